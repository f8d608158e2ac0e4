"""What a table says, in sentences made from the records: who is best, and who cannot be told apart.

Two methods of a setting are told apart where the 95 % t interval of their difference, paired over
seeds (same labels, split, initial weights), leaves out zero; nothing is corrected for the number of
pairs. Methods count where all their seeds are finished, but not those told all true labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis.criteria import CRITERIA
from analysis.marks import is_ceiling
from analysis.seed_statistics import LEVEL, half_width
from runners.system.console import counted

GROUPS = {
    (): "without clean images or the noise rate",
    ("clean_subset",): "with clean images",
}


def sentences(frame: pd.DataFrame, criterion: str) -> list[str]:
    """One sentence for every setting and group of methods that are told the same.

    Args:
        frame: `frames.cells` of a study, of any metric.
        criterion: name of the criterion.
    """
    said = []
    several = frame["dataset"].nunique() > 1
    for (dataset, _), rows in frame.groupby(["dataset", "noise_slug"], sort=False):
        setting = rows["noise_display"].iloc[0]
        where = f"{dataset}, {setting}" if several else setting
        values = _complete(rows, criterion)
        told = dict(rows.groupby("display", sort=False)["privileges"].first())
        groups = {"all methods": list(values)}
        if len({told[name] for name in values}) > 1:
            for privileges, words in GROUPS.items():
                groups[words] = [name for name in values if told[name] == privileges]
        for words, names in groups.items():
            if len(names) > 1:
                text = _of_group({name: values[name] for name in names})
                said.append(f"{where}, {CRITERIA[criterion].short}, {words}: {text}")
    return said


def _complete(rows: pd.DataFrame, criterion: str) -> dict[str, pd.Series]:
    """Display name -> value in percent by seed, of rivals whose seeds are all finished."""
    found = {}
    for display, mine in rows.groupby("display", sort=False):
        values = 100 * mine.set_index("seed")[criterion]
        if values.notna().all() and not is_ceiling(mine["privileges"].iloc[0]):
            found[str(display)] = values
    return found


def _of_group(values: Mapping[str, pd.Series]) -> str:
    best = max(values, key=lambda name: values[name].mean())
    close, seeds = [], len(values[best])
    for name, mine in values.items():
        differences = (values[best] - mine).dropna()
        mean, half = float(differences.mean()), half_width(differences.tolist())
        if name != best and mean - half <= 0:
            span = f", {-mean - half:+.1f} to {-mean + half:+.1f}" if math.isfinite(half) else ""
            close.append(f"{name} ({-mean:+.1f}{span})")
    first = f"{best} has the best mean ({values[best].mean():.1f}, {counted(seeds, 'seed')})"
    if not close:
        return f"{first} and is told apart from every other."
    rest = len(values) - 1 - len(close)
    others = f"; the other {rest} are" if rest > 1 else "; the other one is" * rest
    return f"{first}; not told apart from it: {', '.join(close)}{others}{' worse' * bool(rest)}."


def cost(records: Sequence[Mapping]) -> str:
    """What the cells took: workers' time and memory."""
    minutes = sum(record["timing"]["total_s"] for record in records) / 60
    memory = max((record.get("peak_memory_mb", 0.0) for record in records), default=0.0)
    cells = counted(len(records), "cell")
    return f"{cells}: {minutes:.0f} minutes of one worker, at most {memory:.0f} MB resident."


def text(frame: pd.DataFrame, criteria: Sequence[str], records: Sequence[Mapping]) -> str:
    """All sentences as a list in Markdown."""
    lines = [line for name in criteria for line in sentences(frame, name)]
    what = (
        f"Told apart: the {100 * LEVEL:.0f} % t interval of the paired difference over seeds "
        "leaves out 0 (in brackets the difference in points and its interval); no correction for "
        "the number of pairs."
    )
    return "".join(f"- {line}\n" for line in [*lines, what, cost(records)])
