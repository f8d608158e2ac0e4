"""Tidy frames of a study: one row a cell, one row a cell and epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis import criteria
from analysis.records import Study

DESCRIPTION = ("dataset", "noise_slug", "noise_display", "method", "label", "display", "seed")


def cells(study: Study) -> pd.DataFrame:
    """One row for every planned cell, in the order of the grid, finished or not.

    Columns: `key`, those of `DESCRIPTION`, `noise` (name), `family` (data set and noise without its
    rate), `rate` (nominal), `privileges` (tuple), `track`, `hparams_source`, `has_hparams`, `done`,
    `stale`, `realised_rate`, `no_true_class` and `clean_subset` (images), and for every criterion C
    the test accuracy `C` and `ensemble_C`. Rates and accuracies are in [0, 1], nan where there is
    no record.
    """
    return pd.DataFrame([_row(study, cell) for cell in study.cells])


def _row(study: Study, cell: Mapping[str, Any]) -> dict[str, Any]:
    record = study.records.get(cell["key"])
    row = {"key": cell["key"], **{name: cell[name] for name in DESCRIPTION}}
    row |= {
        "noise": cell["noise"]["name"],
        "family": _family(cell),
        "rate": _nominal_rate(cell, record),
        "privileges": tuple(cell["privileges"]),
        "track": cell["track"],
        "hparams_source": (record or cell)["hparams_source"],
        "has_hparams": bool(cell["hparams"]),
        "done": record is not None,
        "stale": cell["key"] in study.stale,
        "realised_rate": record["noise"]["realised_rate"] if record else math.nan,
        "no_true_class": record["noise"].get("no_true_class", 0) if record else 0,
        "clean_subset": (record["counts"] if record else cell["protocol"])["clean_subset"],
    }
    for name in criteria.CRITERIA:
        row[name] = criteria.accuracy(record or {}, name)
        row[f"ensemble_{name}"] = criteria.accuracy(record or {}, name, ensemble=True)
    return row


def _family(cell: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in cell["noise"].items() if name != "rate"}
    return json.dumps([cell["dataset"], rest], sort_keys=True)


def _nominal_rate(cell: Mapping[str, Any], record: Mapping[str, Any] | None) -> float:
    if cell["noise"]["name"] == "clean":
        return 0.0
    if isinstance(cell["noise"].get("rate"), int | float):
        return float(cell["noise"]["rate"])
    return float(record["noise"]["nominal_rate"]) if record else math.nan


def epochs(study: Study) -> pd.DataFrame:
    """One row for every epoch of every finished cell.

    Columns: those of `DESCRIPTION`, `epoch`, the accuracies `test` and `noisy_val`, and the shares
    `fits_given` and `fits_true` of the training images with a wrong label that are predicted as
    given and as true; all in [0, 1], nan where not measured.
    """
    rows = []
    for cell in study.cells:
        if cell["key"] not in study.records:
            continue
        described = {name: cell[name] for name in DESCRIPTION}
        for line in study.epochs(cell):
            corrupted = line["memorisation"]["corrupted_part"] or {}
            rows.append(
                described
                | {name: line.get(name) for name in ("epoch", "test", "noisy_val")}
                | {name: corrupted.get(name) for name in ("fits_given", "fits_true")}
            )
    columns = [*DESCRIPTION, "epoch", "test", "noisy_val", "fits_given", "fits_true"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({name: float for name in columns[-4:]})
