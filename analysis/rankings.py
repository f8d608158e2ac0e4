"""How the ranking of methods changes with the criterion that chooses the reported epoch."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis import inference, rank_tests
from analysis.criteria import CRITERIA, METRICS
from analysis.marks import NOTHING


def of_criteria(frame: pd.DataFrame, criteria: Sequence[str], metric: str) -> pd.DataFrame:
    """Ranks of the methods of each setting under every criterion.

    Methods are ranked that have a value in all settings under all criteria, ceilings left out.

    Args:
        frame: `frames.cells` of the study and metric.
        criteria: names, the first of which the others are compared with.
        metric: name of what the frame shows.

    Returns:
        One row a setting, criterion and method: `dataset`, `noise_slug`, `criterion`, `label`,
        `value` (mean over seeds), `rank` (1 is the best, equal means share one) and `tau`,
        Kendall's tau-b of the setting's ranking with the one under the first criterion.
    """
    tables = {name: inference.settings_by_methods(frame, name) for name in criteria}
    shared = [label for label in tables[criteria[0]] if all(label in t for t in tables.values())]
    rows = []
    for setting in tables[criteria[0]].index:
        first = tables[criteria[0]].loc[setting, shared]
        for name in criteria:
            values = tables[name].loc[setting, shared]
            order = rank_tests.ranks(values.to_numpy()[None], METRICS[metric].lower_is_better)[0]
            tau = rank_tests.kendall_tau(first, values)
            rows += [
                {"dataset": setting[0], "noise_slug": setting[1], "criterion": name}
                | {"label": label, "value": values[label], "rank": rank, "tau": tau}
                for label, rank in zip(shared, order, strict=True)
            ]
    columns = ["dataset", "noise_slug", "criterion", "label", "value", "rank", "tau"]
    return pd.DataFrame(rows, columns=columns)


def texts(frame: pd.DataFrame, found: pd.DataFrame) -> list[list[str]]:
    """Heading and rows of the ranks of a study: a row a method and, last of a setting, its tau.

    Args:
        frame: `frames.cells` of the study.
        found: `of_criteria` of it.
    """
    criteria = list(found["criterion"].unique())
    display = dict(zip(frame["label"], frame["display"], strict=True))
    settings = frame.set_index(["dataset", "noise_slug"])["noise_display"].to_dict()
    several = frame["dataset"].nunique() > 1
    rows = [["Setting", "Method", *(CRITERIA[name].short for name in criteria)]]
    for (dataset, slug), mine in found.groupby(["dataset", "noise_slug"], sort=False):
        where = settings[dataset, slug]
        where = f"{dataset}, {where}" if several else where
        for label, ranks in mine.groupby("label", sort=False):
            by_criterion = ranks.set_index("criterion")["rank"]
            rows.append([where, display[label], *(f"{by_criterion[c]:g}" for c in criteria)])
        taus = mine.drop_duplicates("criterion").set_index("criterion")["tau"]
        shown = [NOTHING if pd.isna(taus[c]) else f"{taus[c]:.2f}" for c in criteria]
        rows.append([where, "Kendall's tau", *shown])
    return rows


def note(criteria: Sequence[str]) -> str:
    """What the numbers of `texts` are."""
    diagnostic = [CRITERIA[name].short for name in criteria if CRITERIA[name].diagnostic]
    return (
        "Rank of the mean over seeds in its setting, 1 the best, equal means sharing a rank, of "
        "methods that have a value in all settings under all these criteria; Kendall's tau with "
        f"the ranking under {CRITERIA[criteria[0]].short}: 1 the same order, -1 the reverse. "
        "Ranks say nothing of how far methods are apart."
        + (f" Never a result: {', '.join(diagnostic)}." if diagnostic else "")
    )
