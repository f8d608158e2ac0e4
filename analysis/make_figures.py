"""Draw the figures of every study as PNG and PDF.

python analysis/make_figures.py [STUDY_DIR ...] [--criterion last] [--out DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

from analysis import command, figures, frames, style
from analysis.records import Study


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
    frame, epochs = frames.cells(study), frames.epochs(study)
    wrong = epochs[epochs["fits_given"].notna()]
    written = []
    for name in chosen:
        if frame[name].notna().any():
            figure = figures.accuracy_against_noise(frame, name)
            suffix = "" if name == "last" else f"_{name}"
            written += style.save(figure, folder / f"accuracy_against_noise{suffix}")
        else:
            print(f"No record of study {study.name} has the criterion {name}; it is not drawn.")
    if len(epochs):
        written += style.save(figures.learning_curves(frame, epochs), folder / "learning_curves")
    if len(wrong):
        figure = figures.memorisation_curves(frame, wrong)
        written += style.save(figure, folder / "memorisation_curves")
    for sentence in study.sentences():
        print(sentence)
    if written:
        names = ", ".join(path.name for path in written)
        print(f"Figures of study {study.name} are in {folder}: {names}\n")


if __name__ == "__main__":
    command.run(main)
