"""How every planned cell stands, with the reason where it does not count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.records import Study
from runners.system.files import read_json

WORDS = {
    "done": "finished",
    "stale": "stale",
    "failed": "failed",
    "damaged": "unusable record",
    "left out": "left out",
    "missing": "not finished",
}
LOG_LINES = 20


def state(study: Study, cell: Mapping[str, Any], row: pd.Series) -> dict[str, Any]:
    """`state` (a key of `WORDS`), and where there is more to say `reason`, `details` and `log`.

    Args:
        study: the study.
        cell: one of its planned cells.
        row: the same cell in `frames.cells`.
    """
    if row["other_data"] or row["other_labels"]:
        what = "data" if row["other_data"] else "labels"
        return {"state": "left out", "reason": f"ran on other {what} than the rest"}
    if row["done"]:
        how = ["under other code"] * bool(row["other_code"])
        how += ["on other files than today's"] * bool(row["outdated"])
        stale = {"state": "stale", "reason": f"ran {' and '.join(how)}"}
        return stale if how else {"state": "done"}
    if cell["name"] in study.unusable:
        return {"state": "damaged", "reason": f"its record is {study.unusable[cell['name']]}"}
    source = study.sources.get(cell["key"])
    failure = read_json(source / "failed.json") if source else None
    if isinstance(failure, dict):
        return _failed(failure)
    return {"state": "missing"}


def _failed(failure: Mapping[str, Any]) -> dict[str, Any]:
    tail = failure.get("log_tail")
    lines = [str(line) for line in tail[-LOG_LINES:]] if isinstance(tail, list) else []
    said = {
        "state": "failed",
        "reason": str(failure.get("reason") or "no reason was written"),
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
            if seed["state"] == "done":
                continue
            key = (seed["state"], setting, method, seed.get("reason", ""))
            row = found.setdefault(key, {"seeds": [], "details": seed.get("details", "")})
            row |= {"state": WORDS[key[0]], "setting": setting, "method": method, "reason": key[3]}
            row |= {"log": seed.get("log", "")}
            row["seeds"].append(seed["seed"])
    order = list(WORDS)
    return [found[key] for key in sorted(found, key=lambda key: -order.index(key[0]))]
