"""Compare two results folders, bit for bit.

python analysis/compare_runs.py A B

A and B are study folders, as run or packed, or folders that hold studies. Times, memory, commit,
code and attempts may differ; all else of the records, the epochs and, where both studies are as
run, `samples.npz` must be equal. Cells that neither has run are counted and not compared. Exit
codes: 0 all cells are equal, 1 a cell differs or has no valid record in A or B alone, 2 the folders
cannot be compared or no cell has ended in either.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from analysis import command, differences
from analysis.studies import Study, find, load
from runners.system.errors import UserError


@dataclass(frozen=True)
class Pair:
    """A planned cell and the study of either side; None where a side lacks the whole study."""

    cell: dict[str, Any]
    a: Study | None
    b: Study | None

    @property
    def name(self) -> str:
        return f"{(self.a or self.b).name}: {self.cell['name']}"

    @property
    def records(self) -> tuple[dict[str, Any], ...]:
        """The records of both sides; empty where one of them has none."""
        key = self.cell["key"]
        both = tuple(side.records[key] for side in (self.a, self.b) if side and key in side.records)
        return both if len(both) == 2 else ()


def main() -> None:
    """Compare the two folders that the command line names."""
    parser = argparse.ArgumentParser(
        description="Compare two results folders bit for bit.",
        epilog="Exit codes: 0 equal, 1 different, 2 cannot be compared.",
    )
    for side in ("A", "B"):
        parser.add_argument(
            side, type=Path, help="study folder, as run or packed, or a folder that holds studies"
        )
    arguments = parser.parse_args()
    a, b = studies(arguments.A), studies(arguments.B)
    if not any(has_ended(study) for study in [*a.values(), *b.values()]):
        raise UserError(
            f"nothing to compare: neither {arguments.A} nor {arguments.B} has a cell that has ended"
        )
    if is_study(arguments.A) and is_study(arguments.B):
        b = dict(zip(a, b.values(), strict=True))  # two named studies may have two names
    planned = list(paired(a, b))
    pairs = [pair for pair in planned if differences.has_run(pair.cell, pair.a, pair.b)]
    check_platforms(pairs)
    code = report(pairs)
    if left := len(planned) - len(pairs):
        print(f"Not compared, as neither A nor B has run them: {left} of {len(planned)} cells.")
    raise SystemExit(code)


def is_study(folder: Path) -> bool:
    """Whether a folder is a study itself and not one that holds studies."""
    return (folder / "study.json").is_file()


def has_ended(study: Study) -> bool:
    """Whether any of its cells has ended, well or not, so that there is something to compare."""
    failed = (place / "failed.json" for place in study.sources.values() if not study.packed)
    records = study.records or study.damaged or study.other_schema
    return bool(records) or any(path.is_file() for path in failed)


def studies(folder: Path) -> dict[str, Study]:
    """The study of a folder, or all studies that it holds, by name.

    Raises:
        UserError: there is no such folder, no study in it, two of one name, or one that cannot be
            read.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    places = [folder] if is_study(folder) else find(folder)
    if not places:
        raise UserError(f"{folder} is no study folder and holds none")
    by_name: dict[str, Study] = {}
    for place in places:
        study = load(place, fingerprint=lambda _: None)  # what is stale does not matter
        if study.name in by_name:
            raise UserError(f"{folder}: two of its studies have the name {study.name}")
        by_name[study.name] = study
    return by_name


def paired(a: dict[str, Study], b: dict[str, Study]) -> Iterator[Pair]:
    """All cells that a study of either side plans: those of A in order, then those of B alone.

    Studies are matched by name, cells by key.
    """
    for name in {**a, **b}:
        one, other = a.get(name), b.get(name)
        planned = [cell for study in (one, other) if study for cell in study.cells]
        cells: dict[str, dict[str, Any]] = {}
        for cell in planned:
            cells.setdefault(cell["key"], cell)
        for cell in cells.values():
            yield Pair(cell, one, other)


def check_platforms(pairs: list[Pair]) -> None:
    """Make sure that equal code would have given equal bits.

    Raises:
        UserError: a cell ran on other hardware, under another torch or with other threads.
    """
    for pair in pairs:
        unequal = differences.platforms(*pair.records) if pair.records else ""
        if unequal:
            raise UserError(f"{pair.name} cannot be compared bit for bit: {unequal}")


def report(pairs: list[Pair]) -> int:
    """Print whether all cells are equal, else the first difference; returns the exit code."""
    compared = [(pair, differences.of_cell(pair.cell, pair.a, pair.b)) for pair in pairs]
    different = [(pair, difference) for pair, difference in compared if difference]
    count = f"{len(pairs)} cell{'s' * (len(pairs) != 1)}"
    if different:
        pair, difference = different[0]
        print(f"{pair.name}: {difference}")
        print(f"{len(different)} of {count} differ{'s' * (len(different) == 1)}")
    else:
        print(f"{count} {'is' if len(pairs) == 1 else 'are'} equal, bit for bit")
    for sentence in notes(pairs):
        print(sentence)
    return int(bool(different))


def notes(pairs: list[Pair]) -> Iterator[str]:
    """What a reader of the comparison should know, one sentence each."""
    if any(pair.records and (pair.a.packed or pair.b.packed) for pair in pairs):
        yield "Without samples.npz, which a packed study does not have."
    both = [pair.records for pair in pairs if pair.records]
    others = sum(a["provenance"]["fingerprint"] != b["provenance"]["fingerprint"] for a, b in both)
    if others:
        yield f"Made by different code in A and B (fingerprint): {others} of {len(both)}."


if __name__ == "__main__":
    command.run(main)
