"""Where the same cell of two studies differs: in its results, and in what it ran on."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from analysis import failures, samples
from analysis.studies import Study

# what two runs of the same cell may differ in
NOT_RESULTS = frozenset(
    {"timing", "peak_memory_mb", "record_sha256", "provenance", "epochs_sha256"}  # with times
)
RESULTS_OF_PROVENANCE = ("data_sha256", "split_sha256")
CLOCKS = frozenset({"seconds", "train_seconds"})

MISSING = "missing"
LONGEST = 60  # characters of a value in a sentence
ABSENT = object()  # stands for a value that only the other side has


def platforms(a: Mapping[str, Any], b: Mapping[str, Any]) -> str:
    """What makes the bits of two records incomparable; empty where nothing does.

    Args:
        a: the record of a cell in the first study.
        b: the record of the same cell in the second one.

    Returns:
        Those of device, processor, version of torch and number of threads that are unequal, with
        both values. A record that names no processor, as old ones do, is not held against others.
    """
    unequal = []
    ours, theirs = _platform(a["provenance"]), _platform(b["provenance"])
    for name in ours:
        one, other = ours[name], theirs[name]
        noted = name != "processor" or None not in (one, other)
        if noted and one != other:
            unequal.append(f"{name} is {one} in A and {other} in B")
    return ", ".join(unequal)


def _platform(provenance: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "device": provenance.get("device"),
        "processor": provenance.get("processor"),
        "torch": provenance.get("packages", {}).get("torch"),
        "torch_threads": provenance.get("torch_threads"),
    }


def of_cell(cell: Mapping[str, Any], a: Study | None, b: Study | None) -> str | None:
    """The first difference of a cell, as "field: value in A, value in B"; None if it is equal.

    Args:
        cell: as it is planned in one of the studies.
        a: the first study; None if there is none, so that all its cells are missing.
        b: the second study.
    """
    key = cell["key"]
    wrong = [_trouble(key, study, side) for study, side in ((a, "A"), (b, "B"))]
    if any(wrong):
        return ", ".join(filter(None, wrong))
    difference = first(_results(a.records[key]), _results(b.records[key]))
    difference = difference or _of_epochs(cell, a, b)
    if not difference and not (a.packed or b.packed):  # only live studies keep their samples
        difference = _of_samples(a.sources[key], b.sources[key])
    return difference


def has_run(cell: Mapping[str, Any], a: Study | None, b: Study | None) -> bool:
    """Whether a cell has ended in either study, well or not."""
    troubles = [_trouble(cell["key"], study, "") for study in (a, b)]
    return not all(trouble and trouble.startswith(MISSING) for trouble in troubles)


def _trouble(key: str, study: Study | None, side: str) -> str | None:
    """Why a study has no result for a cell; None if it has one."""
    if study is None or key not in study.planned:
        return f"{MISSING} in {side}"
    if key in study.records:
        return None
    place = study.sources.get(key, study.folder)
    if (reason := failures.reason(study, key)) is not None:
        return f"failed in {side}{f' ({_cut(reason)})' * bool(reason)}"
    names = (study.planned[key], place.name)  # a folder may still have the cell's former label
    wrong = next((study.unusable[name] for name in names if name in study.unusable), MISSING)
    return f"{wrong} in {side}"


def _results(record: Mapping[str, Any]) -> dict[str, Any]:
    provenance = record["provenance"]
    compared = {name: provenance[name] for name in RESULTS_OF_PROVENANCE if name in provenance}
    kept = {name: value for name, value in record.items() if name not in NOT_RESULTS}
    return kept | {"provenance": compared}


def first(a: Any, b: Any, path: str = "") -> str | None:
    """The first field in which two values out of JSON differ, with both values; None if none does.

    Numbers are compared exactly, 1 and 1.0 are equal.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        stem = f"{path}." if path else ""
        inside = (
            first(a.get(name, ABSENT), b.get(name, ABSENT), f"{stem}{name}") for name in {**a, **b}
        )
    elif isinstance(a, list) and isinstance(b, list):
        rows = range(max(len(a), len(b)))
        inside = (first(_at(a, row), _at(b, row), f"{path}[{row}]") for row in rows)
    else:
        return None if _equal(a, b) else f"{path}: {_both(a, b)}"
    return next((difference for difference in inside if difference), None)


def _at(values: list[Any], row: int) -> Any:
    return values[row] if row < len(values) else ABSENT


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, bool) != isinstance(b, bool):
        return False  # for Python, True is 1
    return a == b


def _both(a: Any, b: Any) -> str:
    """Both values, long ones only from shortly before the place where they part."""
    one, other = (("absent" if v is ABSENT else json.dumps(v)) for v in (a, b))
    start = 0
    if max(len(one), len(other)) > LONGEST:
        equal = (x == y for x, y in zip(one, other, strict=False))
        start = max(0, sum(itertools.takewhile(bool, equal)) - LONGEST // 4)
    return f"{_cut(one, start)} in A, {_cut(other, start)} in B"


def _cut(text: str, start: int = 0) -> str:
    rest = text[start:]
    short = rest if len(rest) <= LONGEST else f"{rest[: LONGEST - 3]}..."
    return f"...{short}" if start else short


def _of_epochs(cell: Mapping[str, Any], a: Study, b: Study) -> str | None:
    ours, theirs = a.epochs(cell), b.epochs(cell)
    unreadable = [side for lines, side in ((ours, "A"), (theirs, "B")) if not lines]
    if unreadable:
        return f"epochs: unreadable in {' and in '.join(unreadable)}"
    return first(_timeless(ours), _timeless(theirs), "epochs")


def _timeless(lines: list[Any]) -> list[Any]:
    return [
        {name: value for name, value in line.items() if name not in CLOCKS}
        if isinstance(line, dict)
        else line
        for line in lines
    ]


def _of_samples(ours: Path, theirs: Path) -> str | None:
    a, b = (_samples(folder / "samples.npz") for folder in (ours, theirs))
    wrong = [
        f"{trouble} in {side}" for trouble, side in ((a, "A"), (b, "B")) if isinstance(trouble, str)
    ]
    if wrong:
        return f"samples.npz: {', '.join(wrong)}"
    inside = (_of_arrays(a.get(name), b.get(name), f"samples.npz.{name}") for name in {**a, **b})
    return next((difference for difference in inside if difference), None)


def _samples(path: Path) -> dict[str, np.ndarray] | str:
    """The arrays of a file, or what is wrong with it."""
    if not path.is_file():
        return "missing"
    try:
        return samples.load(path)
    except samples.UNREADABLE:
        return "unreadable"


def _of_arrays(a: np.ndarray | None, b: np.ndarray | None, path: str) -> str | None:
    if a is None or b is None:
        return f"{path}: absent in {'A' if a is None else 'B'}"
    for name, one, other in (("dtype", a.dtype.str, b.dtype.str), ("shape", a.shape, b.shape)):
        if one != other:
            return f"{path}.{name}: {one} in A, {other} in B"
    # by bytes, for which a NaN is itself and -0.0 is not 0.0
    if a.tobytes() == b.tobytes():
        return None
    one, other = (np.frombuffer(v.tobytes(), np.uint8).reshape(v.size, -1) for v in (a, b))
    row = np.unravel_index(np.flatnonzero((one != other).any(axis=1))[0], a.shape)
    return f"{path}[{', '.join(map(str, row))}]: {a[row]} in A, {b[row]} in B"
