"""Write one page about a study that opens in any browser, with no network and no other file.

python analysis/report.py [STUDY_DIR ...] [--reference LABEL] [--highlight LABEL,...] [--out DIR]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

from analysis import command
from analysis.report_page import page
from analysis.studies import Study
from runners.system.files import write_text

NAME = "report.html"


def main() -> None:
    """Pages of all studies that the command line names."""
    parser = command.parser("Write a page about the records of studies.", NAME)
    parser.add_argument(
        "--reference", metavar="LABEL",
        help="a method that figures always show in colour (default: cross_entropy, else the first)",
    )  # fmt: skip
    parser.add_argument(
        "--highlight", default="", metavar="LABEL,...",
        help="further ones, where more than ten methods leave most of them grey",
    )  # fmt: skip
    arguments = parser.parse_args()
    named = command.labels(arguments.highlight)
    for study, place in command.studies(arguments, NAME):
        command.check_labels(study, "--reference", filter(None, [arguments.reference]))
        command.check_labels(study, "--highlight", named)
        path = place if arguments.out is None else place / NAME
        file = next((p for p in arguments.studies if _names(p, study, arguments.results)), None)
        text = page.render(study, arguments.reference, named, file)
        written = write_text(path, text)
        print("\n".join(study.sentences()), end="\n" * bool(study.sentences()))
        print(f"Report of study {study.name}: {written} ({len(text.encode()) / 1e6:.1f} MB)")


def _names(path: Path, study: Study, results: Path) -> bool:
    return path.is_file() and command.folder_of(path, results) == study.folder


if __name__ == "__main__":
    command.run(main)
