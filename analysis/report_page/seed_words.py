"""What the page says of one cell in words: its row, its configuration, where its record is from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.criteria import CRITERIA

IN_PROVENANCE = (
    *("git_sha", "dirty", "fingerprint", "data_sha256", "data_stamp", "split_sha256", "device"),
    *("processor", "python", "packages", "torch_threads", "host", "attempts", "sources"),
    "warnings",
)
Terms = list[list[str]]


def head(criteria: Sequence[str]) -> list[str]:
    """Headings over the number of a seed, its state and its `row`."""
    shorts = [CRITERIA[name].short for name in criteria]
    return ["seed", "state", *shorts, "label noise", "minutes", "MB"]


def row(
    record: Mapping[str, Any], values: Mapping[str, Any], criteria: Sequence[str]
) -> list[str | None]:
    """What a record says: accuracies in % with their epochs, noise rate, minutes and memory.

    An epoch stands behind the accuracy and a blank. What there is not is None.

    Args:
        record: of one seed.
        values: its row in `frames.cells`.
        criteria: names of those that are shown.
    """
    rate, memory = values["realised_rate"], record.get("peak_memory_mb")
    return [
        *(_accuracy(record, name, values[name]) for name in criteria),
        None if math.isnan(rate) else f"{100 * rate:.1f} %",
        f"{record['timing']['total_s'] / 60:.1f}",
        f"{memory:.0f}" if memory else None,
    ]


def _accuracy(record: Mapping[str, Any], criterion: str, value: float) -> str | None:
    if math.isnan(value):
        return None
    epoch = (record["accuracy"].get(criterion) or {}).get("epoch")
    return f"{100 * value:.1f}{f' {epoch}' if epoch is not None else ''}"


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
