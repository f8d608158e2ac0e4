"""What the page says of one cell in words: its row, its configuration, where its record is from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from analysis import marks
from analysis.criteria import CRITERIA
from analysis.report_page.states import WORDS

IN_PROVENANCE = (
    *("git_sha", "dirty", "fingerprint", "data_sha256", "data_stamp", "split_sha256", "device"),
    *("processor", "python", "packages", "torch_threads", "host", "attempts", "sources"),
    "warnings",
)
Terms = list[list[str]]


def head(criteria: Sequence[str]) -> list[str]:
    """Headings over the rows of `row`."""
    shorts = [CRITERIA[name].short for name in criteria]
    return ["seed", "state", *shorts, "label noise", "minutes", "MB"]


def row(
    seed: Mapping[str, Any],
    record: Mapping[str, Any] | None,
    values: pd.Series,
    criteria: Sequence[str],
) -> list[str]:
    """One seed: accuracies in % with their epochs, realised noise rate, minutes and memory.

    Args:
        seed: its number, state and reason (see `states.state`).
        record: its record; None where there is none.
        values: its row in `frames.cells`.
        criteria: names of those that are shown.
    """
    why = f": {seed['reason']}" if "reason" in seed else ""
    start = [str(seed["seed"]), f"{WORDS[seed['state']]}{why}"]
    if record is None:
        return [*start, *[marks.NOTHING] * (len(criteria) + 3)]
    said = [_accuracy(record, name, values[name]) for name in criteria]
    rate = values["realised_rate"]
    said.append(marks.NOTHING if math.isnan(rate) else f"{100 * rate:.1f} %")
    memory = record.get("peak_memory_mb")
    said.append(f"{record['timing']['total_s'] / 60:.1f}")
    return [*start, *said, f"{memory:.0f}" if memory else marks.NOTHING]


def _accuracy(record: Mapping[str, Any], criterion: str, value: float) -> str:
    if math.isnan(value):
        return marks.NOTHING
    epoch = (record["accuracy"].get(criterion) or {}).get("epoch")
    return f"{100 * value:.1f}{f' (epoch {epoch})' if epoch is not None else ''}"


def terms(values: Mapping[str, Any]) -> Terms:
    """Names and values as texts."""
    return [
        [str(name), value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]
        for name, value in values.items()
    ]


def config(cell: Mapping[str, Any]) -> Terms:
    """Hyper-parameters, each with its source, and noise of a planned cell."""
    sources = cell["hparams_source"]
    named = [[n, f"{text} ({sources.get(n, 'default')})"] for n, text in terms(cell["hparams"])]
    return named + [[f"noise: {name}", text] for name, text in terms(cell["noise"])]


def origin(record: Mapping[str, Any]) -> Terms:
    """By what code, of what data and on what machine a record was made."""
    said = {name: record["provenance"].get(name) for name in IN_PROVENANCE}
    said["results_version"] = record.get("results_version")
    return terms({name: value for name, value in said.items() if value not in (None, "", [], {})})
