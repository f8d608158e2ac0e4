"""The statistics of a study under one criterion: against a reference, and over all settings."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis import limits, paired, rank_tests
from analysis.criteria import CRITERIA, METRICS
from analysis.marks import NOTHING, is_ceiling
from analysis.seed_statistics import LEVEL, finite, interquartile_mean
from runners.system.errors import UserError

DEFAULT_REFERENCE = "cross_entropy"
STEPS = 101
"""Thresholds of a performance profile, from 0 to 1."""


@dataclass(frozen=True)
class Inference:
    """What is said of a study under one criterion.

    Attributes:
        title: one line.
        differences: `paired.to_reference`; None where the study has no pair with the reference.
        overall: one row a method that has a finished seed in every setting: `label`, `display`,
            `settings`, `cells` finished of `cells_expected`, `iqm` and `mean_rank` (1 is the best).
        profiles: `label`, `threshold`, `share`; empty below `rank_tests.FEWEST_SETTINGS` settings.
        sentences: what the numbers mean and what they cannot show.
    """

    title: str
    differences: pd.DataFrame | None
    overall: pd.DataFrame
    profiles: pd.DataFrame
    sentences: list[str]


def reference_of(frame: pd.DataFrame, asked: str | None) -> str | None:
    """Label of the method that the others are compared with.

    Args:
        frame: `frames.cells` of a study.
        asked: a label, or the name of a method that has one label; None for the default.

    Returns:
        None if none was asked for and the study lacks the default.

    Raises:
        UserError: the study has no such method, or several variants of it.
    """
    name = asked or DEFAULT_REFERENCE
    labels = list(frame["label"].unique())
    if name in labels:
        return name
    variants = list(frame.loc[frame["method"] == name, "label"].unique())
    if len(variants) == 1:
        return variants[0]
    if asked is None:
        return None
    raise UserError(f"--reference: {asked!r} is no method of the study; it has {', '.join(labels)}")


def of_study(
    name: str, frame: pd.DataFrame, criterion: str, metric: str, reference: str | None
) -> Inference:
    """All statistics.

    Args:
        name: of the study.
        frame: `frames.cells` of the study and metric.
        criterion: name of the criterion.
        metric: name of what the frame shows.
        reference: label of the reference; None if there is none.
    """
    values = settings_by_methods(frame, criterion)
    overall = _overall(frame, values, criterion, metric)
    differences = reference and paired.to_reference(frame, criterion, reference, metric)
    differences = None if differences is None or differences.empty else differences
    sentences = [] if differences is None else _of_differences(differences, metric)
    sentences += limits.of_test_set(frame, criterion, metric)
    seeds = limits.of_seeds(frame, criterion)
    sentences += [seeds] if seeds else []
    sentences.append(of_ranks(values, overall, metric))
    words = METRICS[metric].words
    if METRICS[metric].by_criterion:
        words += f", {CRITERIA[criterion].short}"
    profiles = _profiles(frame, values, criterion, metric)
    return Inference(f"{name}: {words}", differences, overall, profiles, sentences)


def settings_by_methods(frame: pd.DataFrame, criterion: str) -> pd.DataFrame:
    """Means, a row a setting and a column a label, of rivals with a seed in every setting."""
    rivals = frame[~frame["privileges"].map(is_ceiling)]
    means = rivals.groupby(["dataset", "noise_slug", "label"], sort=False)[criterion].mean()
    table = means.unstack("label", sort=False)
    return table[[label for label in table if table[label].notna().all()]]


def best_of_groups(frame: pd.DataFrame, criterion: str) -> list[str]:
    """Of the rivals that are told the same, the one with the best mean accuracy over all settings.

    Args:
        frame: `frames.cells` of a study.
        criterion: name of the criterion.

    Returns:
        Labels, the best first; of methods with a seed in every setting.
    """
    means = settings_by_methods(frame, criterion).mean().sort_values(ascending=False, kind="stable")
    told = dict(zip(frame["label"], frame["privileges"], strict=True))
    first: dict[tuple[str, ...], str] = {}
    for label in means.index:
        first.setdefault(told[label], str(label))
    return list(first.values())


def _overall(
    frame: pd.DataFrame, values: pd.DataFrame, criterion: str, metric: str
) -> pd.DataFrame:
    ranks = rank_tests.ranks(values.to_numpy(), METRICS[metric].lower_is_better)
    rows = []
    for place, label in enumerate(values):
        mine = frame[frame["label"] == label]
        rows.append(
            {"label": label, "display": mine["display"].iloc[0]}
            | {"settings": len(values), "cells": int(mine[criterion].notna().sum())}
            | {"cells_expected": len(mine)}
            | {"iqm": interquartile_mean(mine[criterion]), "mean_rank": ranks[:, place].mean()}
        )
    return pd.DataFrame(
        rows,
        columns=["label", "display", "settings", "cells", "cells_expected", "iqm", "mean_rank"],
    )


def _profiles(
    frame: pd.DataFrame, values: pd.DataFrame, criterion: str, metric: str
) -> pd.DataFrame:
    """Performance profiles from eight settings on, of metrics that lie between 0 and 1."""
    parts = []
    thresholds = np.linspace(0, 1, STEPS)
    enough = len(values) >= rank_tests.FEWEST_SETTINGS and METRICS[metric].unit == "%"
    for label in values if enough else ():
        mine = frame[frame["label"] == label].groupby(["dataset", "noise_slug"], sort=False)
        runs = [finite(rows[criterion]) for _, rows in mine]
        share = rank_tests.profile(runs, thresholds)
        parts.append(pd.DataFrame({"label": label, "threshold": thresholds, "share": share}))
    empty = pd.DataFrame(columns=["label", "threshold", "share"])
    return pd.concat(parts, ignore_index=True) if parts else empty


def of_ranks(values: pd.DataFrame, overall: pd.DataFrame, metric: str) -> str:
    """What the tests of Friedman and Nemenyi say, or why they are not made."""
    settings, methods = values.shape
    if methods < 3:
        return "Ranks over settings are not tested: fewer than three methods are in all."
    if settings < rank_tests.FEWEST_SETTINGS:
        apart = rank_tests.critical_difference(methods, settings)
        return (
            f"Friedman and Nemenyi are left out below {rank_tests.FEWEST_SETTINGS} settings: with "
            f"{settings}, mean ranks of {methods} methods would differ only if {apart:.1f} or more "
            f"apart, of {methods - 1} at most."
        )
    found = rank_tests.friedman(values.to_numpy())
    ordered = overall.sort_values("mean_rank", kind="stable")
    top = ordered["mean_rank"].iloc[0]
    close = ordered[ordered["mean_rank"] - top < found.critical_difference].iloc[1:]
    names = ", ".join(f"{r.display} ({r.mean_rank:.2f})" for r in close.itertuples()) or "none"
    return (
        f"Friedman over {settings} settings: chi-squared {found.statistic:.2f}, p = "
        f"{found.p:.2g}; Nemenyi: mean ranks differ from {found.critical_difference:.2f} on. "
        f"Best mean rank: {ordered['display'].iloc[0]} ({top:.2f}); not told apart from it: "
        f"{names}."
    )


def _of_differences(differences: pd.DataFrame, metric: str) -> list[str]:
    shown = METRICS[metric]
    unit = "points" if shown.unit == "%" else shown.unit
    said = [
        f"Difference: method less reference in {unit}, paired over seeds (same labels, split and "
        f"initial weights), with its {100 * LEVEL:.0f} % t interval; p of the paired t test, "
        "corrected by Holm for the methods of a setting."
    ]
    if shown.margin is not None:
        said.append(
            f"P(better), P(equal), P(worse): what the seeds make likely of the mean difference, "
            f"equal meaning within {shown.margin:g} points (Bayesian paired t test under the prior "
            "1/sd), given this test set."
        )
    if differences["n"].max() < 2:
        said.append("With one pair there is neither an interval nor a test.")
    return said


def difference_rows(inference: Inference) -> list[list[str]]:
    """Heading and rows of the differences as texts, for a table."""
    rows = [["Setting", "Method", "n", "Difference", "95 % interval", "p (Holm)"]]
    rows[0] += ["P(better)", "P(equal)", "P(worse)"]
    several = inference.differences["dataset"].nunique() > 1
    for row in inference.differences.itertuples():
        where = f"{row.dataset}, {row.noise_display}" if several else row.noise_display
        interval = f"{row.low:+.1f} to {row.high:+.1f}" if math.isfinite(row.low) else NOTHING
        texts = [where, row.display, str(row.n), _text(row.mean, "+.1f"), interval]
        texts.append(_p(row.p_holm))
        texts += [_text(value, ".2f") for value in (row.better, row.equal, row.worse)]
        rows.append(texts)
    return rows


def overall_rows(inference: Inference, metric: str) -> list[list[str]]:
    """Heading and rows of what is said over all settings as texts, for a table."""
    shown = METRICS[metric]
    rows = [["Method", "Settings", "Cells", f"Interquartile mean ({shown.unit})", "Mean rank"]]
    for row in inference.overall.itertuples():
        middle = _text(shown.scale * row.iqm, ".1f")
        missing = f"/{row.cells_expected}" if row.cells < row.cells_expected else ""
        counts = [str(row.settings), f"{row.cells}{missing}"]
        rows.append([row.display, *counts, middle, f"{row.mean_rank:.2f}"])
    return rows


def _text(value: float, form: str) -> str:
    return NOTHING if math.isnan(value) else format(value, form)


def _p(value: float) -> str:
    if math.isnan(value):
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
