"""What a table says, in sentences made from the records: who is best, and who cannot be told apart.

Methods of a setting are told apart by the t test of their difference, paired over seeds (same
labels, split, initial weights), corrected by Holm for the methods of a sentence. Methods count
where all their seeds are finished, but not those told all true labels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from analysis import paired
from analysis.criteria import CRITERIA
from analysis.marks import is_ceiling
from analysis.seed_statistics import LEVEL, half_width
from runners.system.console import counted

COLUMNS = ["dataset", "noise_slug", "noise_display", "label", "display", "privileges", "seed"]
COLUMNS += paired.SAME
"""Those of `frames.cells` that sentences are made of, the criterion apart."""
GROUPS = {
    (): "without clean images or the noise rate",
    ("clean_subset",): "with clean images",
}
TOLD_APART = (
    f"Told apart: by the paired t test over seeds at {100 * (1 - LEVEL):.0f} %, corrected by Holm "
    "for the methods of the sentence; in brackets the difference in points and its "
    f"{100 * LEVEL:.0f} % t interval, which is not corrected."
)


def sentences(frame: pd.DataFrame, criterion: str) -> list[str]:
    """One sentence for every setting and group of methods that are told the same.

    Args:
        frame: `frames.cells` of a study, of any metric.
        criterion: name of the criterion.
    """
    said = []
    several = frame["dataset"].nunique() > 1
    frame = frame[[*COLUMNS, criterion]]  # groups of few columns are fast
    for (dataset, _), rows in frame.groupby(["dataset", "noise_slug"], sort=False):
        setting = rows["noise_display"].iloc[0]
        where = f"{dataset}, {setting}" if several else setting
        rivals = rows[_is_complete_rival(rows, criterion)]
        groups = {"all methods": rivals}
        if rivals["privileges"].nunique() > 1:
            for privileges, words in GROUPS.items():
                groups[words] = rivals[rivals["privileges"].map(lambda p, q=privileges: p == q)]
        for words, mine in groups.items():
            if mine["label"].nunique() > 1:
                text = _of_group(mine, criterion)
                said.append(f"{where}, {CRITERIA[criterion].short}, {words}: {text}")
    return said


def _is_complete_rival(rows: pd.DataFrame, criterion: str) -> pd.Series:
    whole = rows.groupby("label")[criterion].transform(lambda values: values.notna().all())
    return whole.astype(bool) & ~rows["privileges"].map(is_ceiling)


def _of_group(rows: pd.DataFrame, criterion: str) -> str:
    by_label = {str(label): mine for label, mine in rows.groupby("label", sort=False)}
    best = max(by_label, key=lambda label: by_label[label][criterion].mean())
    same = paired.not_told_apart(rows, criterion, best)
    close = []
    for label in (label for label in by_label if label in same):
        differences = 100 * paired.pairs(by_label[label], by_label[best], criterion)
        mean, half = float(differences.mean()), half_width(differences.tolist())
        span = f", {mean - half:+.1f} to {mean + half:+.1f}" if math.isfinite(half) else ""
        close.append(f"{_name(by_label[label])} ({mean:+.1f}{span})")
    top, seeds = 100 * by_label[best][criterion].mean(), len(by_label[best])
    first = f"{_name(by_label[best])} has the best mean ({top:.1f}, {counted(seeds, 'seed')})"
    if not close:
        return f"{first} and is told apart from every other."
    rest = len(by_label) - 1 - len(close)
    others = f"; the other {rest} are" if rest > 1 else "; the other one is" * rest
    return f"{first}; not told apart from it: {', '.join(close)}{others}{' worse' * bool(rest)}."


def _name(rows: pd.DataFrame) -> str:
    return str(rows["display"].iloc[0])


def cost(records: Sequence[Mapping]) -> str:
    """What the cells took: workers' time and memory."""
    minutes = sum(record["timing"]["total_s"] for record in records) / 60
    memory = max((record.get("peak_memory_mb", 0.0) for record in records), default=0.0)
    cells = counted(len(records), "cell")
    return f"{cells}: {minutes:.0f} minutes of one worker, at most {memory:.0f} MB resident."


def text(frame: pd.DataFrame, criteria: Sequence[str], records: Sequence[Mapping]) -> str:
    """All sentences as a list in Markdown."""
    lines = [line for name in criteria for line in sentences(frame, name)]
    return "".join(f"- {line}\n" for line in [*lines, TOLD_APART, cost(records)])
