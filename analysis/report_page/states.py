"""How every planned cell stands, with the reason where it does not count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from analysis import failures
from analysis.studies import Study

WORDS = {
    "failed": "failed",
    "damaged": "unusable record",
    "left out": "left out",
    "missing": "not finished",
    "stale": "stale",
}
"""State -> what the page calls it, in the order in which they are listed."""

LOGS = 200_000
"""Characters that the logs of all cells that did not fail may have together."""
LOG_LINES = 10
"""Last lines of a log."""
LONGEST_LOG, SHORTEST_LOG = 600, 60
"""Characters of one, and below which none is shown."""


def state(study: Study, cell: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """`state` (a key of `WORDS`) if it is not simply finished, and `reason`, `details` and `log`.

    Args:
        study: the study.
        cell: one of its planned cells.
        row: the same cell in `frames.cells`.
    """
    found = _state(study, cell, row)
    if "log" not in found and (tail := _log(study, cell)):
        found["log"] = tail
    return found


def _log(study: Study, cell: Mapping[str, Any]) -> str:
    """The end of the cell's log; empty where there is none, or no room for so many."""
    most = min(LONGEST_LOG, LOGS // len(study.cells))
    source = None if study.packed else study.sources.get(cell["key"])
    if source is None or most < SHORTEST_LOG:
        return ""
    try:
        with (source / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4 * most))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-LOG_LINES:])[-most:]


def _state(study: Study, cell: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    if row["other_data"] or row["other_labels"]:
        what = "data" if row["other_data"] else "labels"
        return {"state": "left out", "reason": f"ran on other {what} than the rest"}
    if row["done"]:
        how = ["under other code"] * bool(row["other_code"])
        how += ["on other files than today's"] * bool(row["outdated"])
        stale = {"state": "stale", "reason": f"ran {' and '.join(how)}"}
        return stale if how else {}
    if cell["name"] in study.unusable:
        return {"state": "damaged", "reason": f"its record is {study.unusable[cell['name']]}"}
    failure = failures.failure(study, cell["key"])
    if failure is None:
        return {"state": "missing"}
    tail = failure.get("log_tail")
    lines = [str(line) for line in tail] if isinstance(tail, list) else []
    said = {
        "state": "failed",
        "reason": row["failed"] or "it does not say why",
        "details": str(failure.get("details") or "")[-4000:],
        "log": "\n".join(lines)[-4000:],
    }
    return {name: text for name, text in said.items() if text}


def problems(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for every state and reason of a method in a setting that is not simply finished.

    Args:
        payload: what `data.payload` returns.
    """
    found: dict[tuple, dict[str, Any]] = {}
    for each in payload["entries"]:
        method = payload["methods"][each["method"]]["name"]
        setting = payload["settings"][each["setting"]]["name"]
        for seed in each["seeds"]:
            if "state" not in seed:
                continue
            key = (seed["state"], setting, method, seed.get("reason", ""))
            row = found.setdefault(key, {"seeds": [], "details": "", "log": ""})
            row |= {"state": WORDS[key[0]], "setting": setting, "method": method, "reason": key[3]}
            if seed["state"] == "failed":
                row |= {name: seed[name] for name in ("details", "log") if name in seed}
            row["seeds"].append(seed["seed"])
    order = list(WORDS)
    return [found[key] for key in sorted(found, key=lambda key: order.index(key[0]))]
