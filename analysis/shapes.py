"""Whether files hold what is read of them: a study file, a record, the lines of epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from runners.system.canonical import SCHEMA
from runners.system.names import NAME_ALLOWED, is_name

LARGEST = 1e15

CELL = {
    **dict.fromkeys(("key", "name", "dataset", "noise_slug", "noise_display", "method"), str),
    **dict.fromkeys(("label", "display", "track", "hparams_source"), str),
    **dict.fromkeys(("noise", "hparams", "protocol"), dict),
    **{"seed": int, "privileges": list},
}
"""Parts of a planned cell and their types."""


def wrong_with_study(head: Any) -> str:
    """What makes a study file unusable, as the end of a sentence; empty where nothing does."""
    if not isinstance(head, dict) or head.get("schema") != SCHEMA:
        return f" is no study file of schema {SCHEMA}"
    for name, kind in (("study", str), ("config", dict), ("cells", list)):
        if not isinstance(head.get(name), kind):
            return f": {name} is missing or not a {kind.__name__}"
    if not is_name(head["study"]):
        return f": study is no name of {NAME_ALLOWED}"
    if not isinstance(head["config"].get("protocol") or {}, dict):
        return ": config.protocol is not a dict"
    if not head["cells"]:
        return ": cells is empty"
    return next(filter(None, map(_wrong_with_cell, head["cells"])), "")


def _wrong_with_cell(cell: Any) -> str:
    if not isinstance(cell, dict):
        return ": a cell is not a dict"
    if missing := [name for name in CELL if name not in cell]:
        return f": a cell lacks {', '.join(missing)}"
    for name, kind in CELL.items():
        if type(cell[name]) is not kind:
            return f": {name} of a cell is not a {kind.__name__}"
        if kind is str and not cell[name].isprintable():
            return f": {name} of a cell holds control characters"
    texts = [cell["noise"].get("name"), *cell["privileges"]]
    numbers = [cell["seed"], cell["noise"].get("rate"), cell["protocol"].get("clean_subset")]
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_number, numbers)):
        return f": noise, privileges or a number of the cell {cell['name']!r:.99} make no sense"
    return ""


def is_record(record: Mapping[str, Any]) -> bool:
    """Whether a record has the parts that tables read, each of its kind."""
    accuracies = [record.get("accuracy"), record.get("ensemble_accuracy") or {}]
    noise, counts, origin = (record.get(name) for name in ("noise", "counts", "provenance"))
    if not all(isinstance(part, dict) for part in (*accuracies, noise, counts, origin)):
        return False
    chosen = [part for accuracy in accuracies for part in accuracy.values() if part is not None]
    sources = origin.get("sources", [])
    return (
        all(isinstance(part, dict) and None is not part.get("test", 0.0) for part in chosen)
        and all(_is_number(part.get("test")) for part in chosen)
        and all(type(noise.get(name)) in (int, float) for name in ("realised_rate", "nominal_rate"))
        and all(map(_is_number, (noise["realised_rate"], noise["nominal_rate"])))
        and type(counts.get("clean_subset")) is int
        and isinstance(record.get("hparams_source"), str)
        and isinstance(origin.get("fingerprint"), str)
        and isinstance(sources, list)
        and all(isinstance(source, str) for source in sources)
    )


def are_epochs(lines: Any) -> bool:
    """Whether these are lines of epochs as curves are drawn of them."""
    return isinstance(lines, list) and all(map(_is_epoch, lines))


def _is_epoch(line: Any) -> bool:
    memorised = line.get("memorisation") if isinstance(line, dict) else None
    corrupted = (memorised.get("corrupted_part") or {}) if isinstance(memorised, dict) else None
    if not isinstance(corrupted, dict):
        return False
    numbers = [line.get(name) for name in ("epoch", "test", "noisy_val")]
    return all(map(_is_number, [*numbers, *map(corrupted.get, ("fits_given", "fits_true"))]))


def _is_number(value: Any) -> bool:
    """Whether a value is a number that can be drawn, or nothing."""
    if value is None:
        return True
    return type(value) in (int, float) and math.isfinite(value) and abs(value) < LARGEST
