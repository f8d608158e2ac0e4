"""Print the table of every study and write it as Markdown, LaTeX and CSV.

python analysis/make_tables.py [STUDY_DIR ...] [--criterion last,noisy_val] [--metric worst_class]
    [--out DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

from analysis import command, criteria, findings, formats, frames, tables
from analysis.records import Study
from runners.system.files import write_text

COMBINED = ["last", "noisy_val"]


def main() -> None:
    """Tables of all studies that the command line names."""
    parser = command.parser("Make tables out of the records of studies.", "tables")
    parser.add_argument(
        "--criterion", default=",".join(criteria.DEFAULT), metavar="NAME,...",
        help=f"which epochs to report: {', '.join(criteria.CRITERIA)} (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--metric", choices=criteria.METRICS, default="accuracy",
        help="what of the test set: accuracy, its mean over the classes, the worst class",
    )  # fmt: skip
    arguments = parser.parse_args()
    chosen = command.chosen(arguments.criterion)
    for study, folder in command.studies(arguments, "tables"):
        _tables(study, chosen, arguments.metric, folder)


def _tables(study: Study, chosen: list[str], metric: str, folder: Path) -> None:
    frame = frames.cells(study, metric)
    written, printed = [], []
    for name in chosen:
        if not tables.has_values(frame, name):
            text = f"No record of study {study.name} has the criterion {name}; it is left out.\n"
            printed.append(text)
            continue
        table = tables.build(study, frame, [name], metric)
        stem = folder / f"{metric}_{name}"
        written.append(write_text(stem.with_suffix(".md"), formats.markdown(table)))
        written.append(write_text(stem.with_suffix(".tex"), formats.latex(table)))
        text = formats.csv(tables.tidy(study, frame, name, metric))
        written.append(write_text(stem.with_suffix(".csv"), text))
        printed.append(formats.markdown(table))
    combined = [name for name in COMBINED if tables.has_values(frame, name)]
    if combined:
        text = formats.markdown(tables.build(study, frame, combined, metric))
        written.append(write_text(folder / f"{metric}.md", text))
    if combined and frame["done"].any():
        said = findings.text(frame, combined, list(study.records.values()))
        written.append(write_text(folder / f"findings_{metric}.md", said))
        printed.append(said)
    print("\n".join([*printed, *study.sentences(), *_changed(study)]))
    print(f"Tables of study {study.name} are in {folder}: {', '.join(p.name for p in written)}\n")


def _changed(study: Study) -> list[str]:
    return [
        f"{label} has changed since it was last read: whether its cells are of today's images, "
        "run_grid.py with --status says."
        for label in study.unread
    ]


if __name__ == "__main__":
    command.run(main)
