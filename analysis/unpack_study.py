"""Lay out a packed study as it was run, so that run_grid.py goes on from its records.

python analysis/unpack_study.py results/reference/NAME [--results DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from analysis import command, studies
from analysis.studies import Study
from runners.results.defects import as_text
from runners.results.store import CellFolder
from runners.system.console import counted
from runners.system.errors import UserError
from runners.system.files import write_text


def main() -> None:
    """Unpack the study folder that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, metavar="STUDY_DIR")
    parser.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    arguments = parser.parse_args()
    study = studies.load(arguments.study)
    if not study.packed:
        raise UserError(f"{study.folder} is not packed: must have a records.jsonl")
    folder = arguments.results / study.name
    count = unpack(study, folder)
    for sentence in study.sentences():
        print(sentence)
    print(f"Unpacked {counted(count, 'cell')} of {study.name} into {folder}")


def unpack(study: Study, folder: Path) -> int:
    """Write record and epochs of every finished cell that the folder lacks; return how many.

    The samples of a cell are not packed with its record: what reads them does not see these cells.
    """
    count = 0
    for cell in study.cells:
        files = CellFolder(folder / "cells" / cell["name"])
        if cell["key"] not in study.records or files.record.exists():
            continue
        record = dict(study.records[cell["key"]])
        record.pop("record_sha256")  # `as_text` adds it
        lines = "".join(json.dumps(entry) + "\n" for entry in study.epochs(cell))
        write_text(files.epochs, lines)
        write_text(files.record, as_text(record))
        count += 1
    return count


if __name__ == "__main__":
    command.run(main)
