"""Compare two studies that differ in their protocol: equivalent, different, or not shown?

python analysis/compare_protocols.py A B [--criterion last] [--margin 0.5]

Pairs the cells of the same data set, noise, method label and seed. For each setting and method:
the mean difference B - A in points, its 95 % t interval over the pairs, and a verdict: *different*
where that interval leaves out 0; *equivalent* where the 90 % interval lies within the margin (two
one-sided tests at 5 %); both where the difference is real and small; else *not shown*.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import pandas as pd

from analysis import command, frames, studies
from analysis.criteria import CRITERIA
from analysis.seed_statistics import half_width, summary
from runners.system.errors import UserError

PAIR = ["dataset", "noise_slug", "label", "seed"]
FEWEST = 3
"""Pairs below which nothing is said."""


def main() -> None:
    """Compare the two studies that the command line names."""
    parser = argparse.ArgumentParser(description="Compare two studies of different protocol.")
    for side in ("A", "B"):
        parser.add_argument(side, type=Path, help="study folder, as run or packed")
    parser.add_argument("--criterion", choices=CRITERIA, default="last")
    parser.add_argument(
        "--margin", type=float, default=0.5, help="points that do not matter (default 0.5)"
    )
    arguments = parser.parse_args()
    if not 0 < arguments.margin < 100:
        raise UserError(f"--margin: {arguments.margin:g} is not allowed: must be in (0, 100)")
    a, b = (studies.load(folder) for folder in (arguments.A, arguments.B))
    if differing := _protocol_differences(a.config, b.config):
        print(f"B has other values than A: {', '.join(differing)}")
    both = (frames.cells(study, wanted=[arguments.criterion]) for study in (a, b))
    for line in compare(*both, arguments.criterion, arguments.margin):
        print(line)


def _protocol_differences(a: Mapping, b: Mapping) -> list[str]:
    one, other = (config.get("protocol") or {} for config in (a, b))
    names = [name for name in {**one, **other} if one.get(name) != other.get(name)]
    return [f"{name} {other.get(name)} (A: {one.get(name)})" for name in names]


def compare(a: pd.DataFrame, b: pd.DataFrame, criterion: str, margin: float) -> list[str]:
    """One line for each setting and method that both frames have.

    Raises:
        UserError: they have no finished pair.
    """
    joined = a.merge(b, on=PAIR, suffixes=("_a", "_b"))
    joined["difference"] = 100 * (joined[f"{criterion}_b"] - joined[f"{criterion}_a"])
    joined = joined[joined["difference"].notna()]
    if joined.empty:
        raise UserError("A and B have no finished cell of one data set, noise, label and seed")
    lines = []
    for (_, _, _), pairs in joined.groupby(PAIR[:3], sort=False):
        first, differences = pairs.iloc[0], pairs["difference"].tolist()
        mean, wide = summary(differences).mean, half_width(differences)
        interval = f" ({mean - wide:+.2f} to {mean + wide:+.2f})" if math.isfinite(wide) else ""
        lines.append(
            f"{first['noise_display_a']}, {first['display_a']}: {mean:+.2f} points{interval} over "
            f"{len(pairs)} pairs: {verdict(differences, margin)}"
        )
    return lines


def verdict(differences: Sequence[float], margin: float) -> str:
    """In words; `differences` and `margin` in points."""
    if len(differences) < FEWEST:
        return "not shown"
    mean = summary(differences).mean
    differ = abs(mean) > half_width(differences)
    equal = abs(mean) + half_width(differences, level=0.9) < margin
    if differ and equal:
        return f"different, but equivalent within {margin:g} points"
    if equal:
        return f"equivalent within {margin:g} points"
    return "different" if differ else "not shown"


if __name__ == "__main__":
    command.run(main)
