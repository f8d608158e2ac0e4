"""Tidy frames of a study: one row a cell, one row a cell and epoch."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pandas as pd

import datasets.noise
from analysis import criteria, failures, label_wave
from analysis.studies import Study

Epochs = Callable[[Mapping[str, Any]], Sequence[Mapping[str, Any]]]
"""Reads the lines of the epochs of a planned cell that is finished."""

SETTING = ["dataset", "noise_slug"]
"""What names a setting of a study."""
DESCRIPTION = ("dataset", "noise_slug", "noise_display", "method", "label", "display", "seed")


def cells(
    study: Study, metric: str = "accuracy", wanted: Collection[str] = criteria.DEFAULT
) -> pd.DataFrame:
    """See `by_metric`."""
    return by_metric(study, [metric], wanted)[metric]


def by_metric(
    study: Study,
    metrics: Collection[str],
    wanted: Collection[str] = criteria.DEFAULT,
    read: Epochs | None = None,
) -> dict[str, pd.DataFrame]:
    """For each metric one row for every planned cell, in the order of the grid, finished or not.

    Epochs are read, once and by `read` (default: `study.epochs`), only where one of the `wanted`
    criteria is found in them; else it is nan.

    Cells of a data set that ran on other data than the rest are not averaged with these: they count
    as not done. So do those of a setting whose noise is the same for all seeds that were given
    other labels. The rest are those of today's files, else the most frequent ones.

    Columns: `key`, those of `DESCRIPTION`, `noise` (name), `noise_config`, `dataset_name` (not its
    label), `family` (data set and noise without its rate), `rate` (nominal), `privileges` (tuple),
    `track`, `source` (of the hyper-parameters, the same words as in a plan without names),
    `tuned_at`, `budget` (of tuning, in words), `network`, `epochs`, `batch_size`, `done`, `failed`
    (why; None if not), `other_data`, `other_labels`, `other_code`, `outdated` (of other files than
    today's), `stale` (one of these two), `realised_rate`, `no_true_class`, `unknown_truth` and
    `clean_subset` (images), `told` (noise rate that a method was told in place of the realised
    one), `told_source`, `judged_by` (what test labels are), `torch`, `device`, `warnings` (tuple),
    `test_images`, `split_sha256`, and for every criterion C the metric `C` and
    `ensemble_C`. Rates and metrics are in [0, 1] (cost: seconds), nan where there is no record.
    """
    in_epochs = any(criteria.METRICS[metric].by_criterion for metric in metrics)
    in_epochs &= label_wave.NAME in wanted
    described: list[dict[str, Any]] = []
    values: dict[str, list[dict[str, float]]] = {metric: [] for metric in metrics}
    for cell in study.cells:
        record = study.records.get(cell["key"])
        lines = (read or study.epochs)(cell) if in_epochs and record else ()
        described.append(_description(study, cell, record))
        for metric, rows in values.items():
            rows.append(_values(record or {}, metric, lines))
    known = pd.DataFrame(described)
    both = {m: pd.concat([known, pd.DataFrame(rows)], axis=1) for m, rows in values.items()}
    return {metric: _with_others(frame) for metric, frame in both.items()}


def _with_others(frame: pd.DataFrame) -> pd.DataFrame:
    """With the columns that say which cells ran on other data or labels than the rest."""
    frame["other_data"] = frame["other_labels"] = False
    for _, rows in frame[frame["done"]].groupby("dataset", sort=False):
        frame.loc[rows.index, "other_data"] = _differ(rows, "data_sha256")
    fixed = frame["done"] & ~frame["other_data"] & frame["noise"].map(_is_fixed)
    for _, rows in frame[fixed].groupby(["dataset", "noise_slug"], sort=False):
        frame.loc[rows.index, "other_labels"] = _differ(rows, "labels_sha256")
    values = [f"{of}{name}" for name in criteria.CRITERIA for of in ("", "ensemble_")]
    left_out = frame["other_data"] | frame["other_labels"]
    frame.loc[left_out, [*values, "realised_rate"]] = math.nan
    frame["done"] &= ~left_out
    frame["outdated"] &= ~left_out
    frame["stale"] = frame["other_code"] | frame["outdated"]
    return frame


def _differ(rows: pd.DataFrame, column: str) -> pd.Series:
    """Which rows differ from those of today's files; where none is, from the most frequent."""
    today = rows[~rows["outdated"]]
    among = (today if len(today) else rows)[column]
    return rows[column] != (among.mode().iloc[0] if among.notna().any() else "")


def _is_fixed(noise: str) -> bool:
    """Whether a noise gives all seeds the same labels."""
    return noise in datasets.noise.names() and not datasets.noise.get(noise).random


def _values(
    record: Mapping[str, Any], metric: str, lines: Sequence[Mapping[str, Any]]
) -> dict[str, float]:
    return {
        f"{of}{name}": criteria.value(record, name, metric=metric, ensemble=bool(of), epochs=lines)
        for name in criteria.CRITERIA
        for of in ("", "ensemble_")
    }


def _description(
    study: Study, cell: Mapping[str, Any], record: Mapping[str, Any] | None
) -> dict[str, Any]:
    origin = record["provenance"] if record else {}
    row = {"key": cell["key"], **{name: cell[name] for name in DESCRIPTION}}
    row |= {name: cell["protocol"].get(name) for name in ("network", "epochs", "batch_size")}
    realised = record["noise"]["realised_rate"] if record else None
    return row | {
        "noise": cell["noise"]["name"],
        "noise_config": cell["noise"],
        "dataset_name": _dataset_name(cell, record),
        "family": _family(cell),
        "rate": _nominal_rate(cell, record),
        "privileges": tuple(cell["privileges"]),
        "track": cell["track"],
        "source": _source(cell["hparams_source"]),
        "tuned_at": cell.get("tuned_at", ""),
        "budget": _budget(cell.get("tuned_under")),
        "done": record is not None,
        "failed": failures.reason(study, cell["key"]),
        "other_code": cell["key"] in study.stale,
        "outdated": cell["key"] in study.outdated,
        "realised_rate": math.nan if realised is None else realised,
        "no_true_class": record["noise"].get("no_true_class", 0) if record else 0,
        "unknown_truth": record["noise"].get("unknown_truth", 0) if record else 0,
        "told": (record["noise"].get("told_rate") if record else None) or math.nan,
        "told_source": record["noise"].get("told_source", "") if record else "",
        "judged_by": record.get("judged_by", "") if record else "",
        "clean_subset": (record["counts"] if record else cell["protocol"])["clean_subset"],
        "data_sha256": origin.get("data_sha256", ""),
        "data_stamp": origin.get("data_stamp", ""),
        "labels_sha256": record["noise"].get("labels_sha256", "") if record else "",
        "test_images": record["counts"].get("test", 0) if record else 0,
        "split_sha256": origin.get("split_sha256", ""),
        "torch": (origin.get("packages") or {}).get("torch"),
        "device": origin.get("device"),
        "warnings": tuple(origin.get("warnings") or ()),
    }


def _dataset_name(cell: Mapping[str, Any], record: Mapping[str, Any] | None) -> str:
    """The data set's own name, whatever its label in the study."""
    config = ((record or {}).get("config") or {}).get("dataset", cell["dataset"])
    return config.get("name", cell["dataset"]) if isinstance(config, Mapping) else str(config)


def _source(sources: Mapping[str, str]) -> str:
    """Where hyper-parameters come from: "tuned", "study+tuned", ...; "none" without any."""
    told = {source for source in sources.values() if source != "default"} or set(sources.values())
    return "+".join(sorted(told)) or "none"


def _budget(under: Mapping[str, Any] | None) -> str:
    return f"{under['draws']} draws x {len(under['seeds'])} seeds" if under else ""


def _family(cell: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in cell["noise"].items() if name != "rate"}
    return json.dumps([cell["dataset"], rest], sort_keys=True)


def without_rate(display: str, rate: float) -> str:
    """What a family of noise is called: the name of one of its noises without the rate."""
    return display.replace(f" {rate:g}", "", 1)


def _nominal_rate(cell: Mapping[str, Any], record: Mapping[str, Any] | None) -> float:
    if cell["noise"]["name"] == "clean":
        return 0.0
    if isinstance(cell["noise"].get("rate"), int | float):
        return float(cell["noise"]["rate"])
    nominal = record["noise"].get("nominal_rate") if record else None
    return math.nan if nominal is None else float(nominal)


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
