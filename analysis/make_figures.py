"""Draw the figures of every study as PNG and PDF.

python analysis/make_figures.py [STUDY_DIR ...] [--criterion last] [--out DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import pandas as pd

from analysis import command, figures, frames, style
from analysis.studies import Study

MOST_METHODS = 12
"""Methods in one figure; a study of more has several of each kind, numbered."""


def main() -> None:
    """Figures of all studies that the command line names."""
    parser = command.parser("Draw figures out of the records of studies.", "figures")
    parser.add_argument(
        "--criterion", default="last", metavar="NAME",
        help="which epoch the figure of accuracy against noise reports (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    chosen = command.chosen(arguments.criterion)
    for study, folder in command.studies(arguments, "figures"):
        _figures(study, chosen, folder)


def _figures(study: Study, chosen: list[str], folder: Path) -> None:
    everything, epochs = frames.cells(study, wanted=chosen), frames.epochs(study)
    written = []
    for name in chosen:
        if everything[name].isna().all():
            print(f"No record of study {study.name} has the criterion {name}; it is not drawn.")
    labels = list(everything["label"].unique())
    parts = [labels[k : k + MOST_METHODS] for k in range(0, len(labels), MOST_METHODS)]
    for number, part in enumerate(parts, start=1):
        frame = everything[everything["label"].isin(part)]
        suffix = f"_{number}" if len(parts) > 1 else ""
        written += _of_part(frame, epochs[epochs["label"].isin(part)], chosen, folder, suffix)
    for sentence in study.sentences():
        print(sentence)
    if written:
        names = ", ".join(path.name for path in written)
        print(f"Figures of study {study.name} are in {folder}: {names}\n")


def _of_part(
    frame: pd.DataFrame, epochs: pd.DataFrame, chosen: list[str], folder: Path, suffix: str
) -> list[Path]:
    """Draws the figures of some methods of a study; returns what was written."""
    written: list[Path] = []
    for name in chosen:
        if frame[name].notna().any():
            figure = figures.accuracy_against_noise(frame, name)
            of_criterion = "" if name == "last" else f"_{name}"
            stem = folder / f"accuracy_against_noise{of_criterion}{suffix}"
            written += style.save(figure, stem)
    if len(epochs):
        figure = figures.learning_curves(frame, epochs)
        written += style.save(figure, folder / f"learning_curves{suffix}")
    wrong = epochs[epochs["fits_given"].notna()]
    if len(wrong):
        figure = figures.memorisation_curves(frame, wrong)
        written += style.save(figure, folder / f"memorisation_curves{suffix}")
    return written


if __name__ == "__main__":
    command.run(main)
