"""What others have published beside what a study measured, where the two can be compared.

Two accuracies are set side by side only where data set, noise with its convention and rate, network
and criterion are the same; for all other published values of the same method, data set, kind of
noise and rate the first reason why not is counted. Schedules, splits and hyper-parameters may
differ in any case.
"""

from __future__ import annotations

import csv
import functools
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.criteria import CRITERIA
from analysis.seed_statistics import summary

FILE = Path(__file__).with_name("published.csv")
TEN_LAST = 40
"""Epochs from which on the criterion `last10` is the mean of ten."""

METHODS = {
    "Cross-entropy": "cross_entropy", "CE": "cross_entropy",
    "Cross-entropy (BaseModel)": "cross_entropy", "Cross-entropy (SGD)": "cross_entropy",
    "GCE": "gce", "SCE": "sce", "Bootstrap": "bootstrap", "Bootstrapping": "bootstrap",
    "Co-teaching": "co_teaching", "Co-teaching+": "co_teaching_plus", "JoCoR": "jocor",
    "MW-Net": "mw_net", "L2RW": "l2rw", "MLC (Zheng 2021)": "mlc", "MLNT": "mlnt",
    "MSLG": "mslg", "MetaLabelNet": "metalabelnet", "PENCIL": "pencil",
    "Joint Optimization": "joint_optimization", "Forward": "forward_estimated",
    "ELR": "elr", "ELR+": "elr_plus", "DivideMix": "dividemix",
    "Mixup": "mixup", "Label smoothing": "label_smoothing",
}  # fmt: skip
"""Name in a source -> name here; variants and reruns of users have none."""

DATA_SETS = {
    "CIFAR-10": "cifar10", "CIFAR-10N": "cifar10", "CIFAR-100": "cifar100",
    "CIFAR-100N": "cifar100", "MNIST": "mnist", "Clothing1M": "clothing1m",
    "Food-101N": "food101n", "mini-WebVision": "mini_webvision",
    "mini-WebVision val": "mini_webvision",
}  # fmt: skip
NETWORKS = {
    "resnet18": {"ResNet-18"}, "resnet32": {"ResNet-32"}, "resnet34": {"ResNet-34"},
    "resnet50": {"ResNet-50"},
    "inception_resnet_v2": {"Inception-ResNet-V2", "Inception-ResNet-V2 from scratch"},
    "pretrained:resnet50": {"ResNet-50 pretrained"},
}  # fmt: skip


@functools.cache
def rows() -> tuple[dict[str, str], ...]:
    """The published values, a row each, with the columns of the file's heading."""
    with FILE.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def beside(frame: pd.DataFrame, criterion: str) -> tuple[pd.DataFrame, dict[str, Counter[str]]]:
    """Published accuracies beside those of a study.

    Args:
        frame: `frames.cells` of the study, of the metric accuracy.
        criterion: name of the criterion.

    Returns:
        A row for each comparable value: `dataset`, `noise_slug`, `noise_display`, `label`,
        `display`, `n`, `ours`, `ours_sd`, `published`, `published_sd` (all in percent) and
        `source`. And by setting, why others of its methods cannot be compared: reason -> values.
    """
    found, reasons = [], {}
    for (dataset, slug, label), cells in frame.groupby(
        ["dataset", "noise_slug", "label"], sort=False
    ):
        first, ours = cells.iloc[0], summary(100 * cells[criterion])
        where = f"{dataset}, {first['noise_display']}"
        for row in rows():
            if METHODS.get(row["method"]) != first["method"] or not _of_setting(row, first):
                continue
            reason = "not finished here" if ours.n == 0 else why_not(row, first, criterion)
            if reason:
                reasons.setdefault(where, Counter())[reason] += 1
                continue
            found.append(
                {"dataset": dataset, "noise_slug": slug, "noise_display": first["noise_display"]}
                | {"label": label, "display": first["display"], "n": ours.n}
                | {"ours": ours.mean, "ours_sd": ours.sd}
                | {"published": float(row["value"]), "published_sd": _number(row["sd"])}
                | {"source": row["source"]}
            )
    columns = ["dataset", "noise_slug", "noise_display", "label", "display", "n", "ours", "ours_sd"]
    columns += ["published", "published_sd", "source"]
    return pd.DataFrame(found, columns=columns), reasons


def _of_setting(row: Mapping[str, str], cell: Mapping[str, Any]) -> bool:
    """Whether a value is of the same data set, kind of noise and rate, whatever its convention."""
    if DATA_SETS.get(row["data_set"]) != cell["dataset_name"]:
        return False
    noise = cell["noise_config"]
    kind = noise["name"]
    if kind == "dividemix":
        kind = noise.get("kind", "symmetric")
    kind = "asymmetric" if kind.startswith("asymmetric") else kind
    if row["noise"] != kind:
        return False
    if kind in ("human", "human_twin"):
        return row["convention"] == noise["labels"]
    if kind in ("clean", "given"):
        return True
    return row["rate"] != "" and math.isclose(float(row["rate"]), noise.get("rate", math.nan))


def why_not(row: Mapping[str, str], cell: Mapping[str, Any], criterion: str) -> str:
    """Why a value of the same setting cannot be set beside a cell's; empty where it can.

    Args:
        row: one of `rows`.
        cell: a row of `frames.cells`.
        criterion: name of the criterion.
    """
    convention = _convention(cell["noise_config"])
    if convention and row["convention"] != convention:
        if row["convention"] == "not stated":
            return "the convention of its noise is not stated"
        return f"its noise is another ({row['convention']}; here {convention})"
    if row["metric"] != "accuracy":
        return f"it is {row['metric']}"
    if row["network"] not in NETWORKS.get(cell["network"], ()):
        return f"its network is another or not stated ({row['network']}; here {cell['network']})"
    if row["criterion"] not in CRITERIA:
        return f"it is of no criterion known here ({row['criterion']})"
    if row["criterion"] != criterion:
        return f"it is of another criterion ({row['criterion']})"
    if criterion == "last10" and not cell["epochs"] >= TEN_LAST:
        return f"last10 is the mean of ten only from {TEN_LAST} epochs on"
    return ""


def _convention(noise: Mapping[str, Any]) -> str:
    """How a source would have to describe a noise of ours; empty where the name says it all."""
    name = noise["name"]
    if name == "symmetric":
        kept = "included" if noise.get("include_true_class") else "excluded"
        return f"true class {kept}"
    if name == "dividemix":
        symmetric = noise.get("kind", "symmetric") == "symmetric"
        return "true class included" if symmetric else "by the map of similar classes"
    own = {
        "asymmetric": "by the map of similar classes",
        "asymmetric_superclass": "within true superclasses",
        "asymmetric_blocks": "within superclass",  # as blocks of five indices are called
    }
    return own.get(name, "")


def _number(text: str) -> float:
    return float(text) if text else math.nan


def texts(found: pd.DataFrame) -> list[list[str]]:
    """Heading and rows of what is comparable as texts, for a table."""
    lines = [["Setting", "Method", "Source", "Ours", "Published", "Difference"]]
    for row in found.itertuples():
        ours, theirs = (
            f"{mean:.1f}{'' if math.isnan(sd) else f' ± {sd:.1f}'}"
            for mean, sd in ((row.ours, row.ours_sd), (row.published, row.published_sd))
        )
        where = f"{row.dataset}, {row.noise_display}"
        difference = f"{row.ours - row.published:+.1f}"
        lines.append([where, row.display, row.source, f"{ours} (n = {row.n})", theirs, difference])
    return lines


def sentences(found: pd.DataFrame, reasons: Mapping[str, Counter[str]]) -> list[str]:
    """What is compared, and for each setting why the rest is not."""
    said = []
    if len(found):
        said.append(
            "Same data set, noise, convention, rate, network and criterion; schedule, split, clean "
            "images and hyper-parameters may differ all the same."
        )
    for where, counts in reasons.items():
        parts = [f"{reason}: {count}" for reason, count in counts.most_common()]
        said.append(f"{where}, not comparable: {'; '.join(parts)}.")
    if not said:
        said.append(
            "Nothing is published in analysis/published.csv of these data sets, noises, rates and "
            "methods together."
        )
    return said
