"""Methods over many settings: the critical-difference diagram, and performance profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.criteria import CRITERIA
from analysis.figures import panels
from analysis.rank_tests import Friedman
from analysis.style import PAGE_WIDTH, STYLE, Look

STEP = panels.LINE_HEIGHT
"""Between two names, in inches."""
LONGEST = 28
"""Letters up to which a name beside the ranks is whole; of longer ones the middle is left out."""
RULER = {"color": "black", "linewidth": 0.8, "clip_on": False}


def cliques(ranks: Sequence[float], apart: float) -> list[tuple[int, int]]:
    """First and last place of the widest groups of which no two are told apart.

    Args:
        ranks: mean ranks, the best first.
        apart: the critical difference; ranks that differ by less are not told apart.
    """
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(place for place, other in enumerate(ranks) if other - rank < apart)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def critical_differences(
    overall: pd.DataFrame, test: Friedman, criterion: str, drawn: Mapping[str, Look]
) -> Figure:
    """Mean ranks on a line, 1 the best; bars join those that Nemenyi's test does not tell apart.

    As in Demšar (JMLR 7, 2006). All names are printed; methods in grey have a grey line.

    Args:
        overall: `inference.Inference.overall`, three methods or more.
        test: of the same ranks.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    ordered = overall.sort_values("mean_rank", kind="stable")
    ranks, labels = list(ordered["mean_rank"]), list(ordered["label"])
    joined = cliques(ranks, test.critical_difference)
    below = STEP * (len(joined) + 1)
    half = -(-len(ranks) // 2)
    height = 0.9 + below + STEP * half
    longest = max(len(_short(drawn[label].name)) for label in labels)
    side = (0.6 + 0.065 * longest) / PAGE_WIDTH
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(PAGE_WIDTH, height))
        axis = figure.add_axes((side, 0, 1 - 2 * side, 1))
        axis.set(xlim=(1, len(ranks)), ylim=(-below - STEP * half, 0.9))
        axis.axis("off")
        _ruler(axis, len(ranks), test.critical_difference)
        for number, (first, last) in enumerate(joined, start=1):
            ends = ranks[first] - 0.03, ranks[last] + 0.03
            axis.plot(
                ends, [-STEP * (number - 0.3)] * 2, color="black", linewidth=2.5, label="joined"
            )
        for place, (label, rank) in enumerate(zip(labels, ranks, strict=True)):
            left = place < half
            row = place if left else len(ranks) - 1 - place
            _name(axis, drawn[label], rank, -below - STEP * row, left)
        settings, words = overall["settings"].iloc[0], CRITERIA[criterion].short
        figure.text(
            0.5, 1 - 0.08 / height, f"mean rank over {settings} settings, test accuracy, {words}; "
            f"Friedman p = {test.p:.2g}; joined: not told apart (Nemenyi, 5 %)",
            ha="center", va="top",
        )  # fmt: skip
    return figure


def _ruler(axis: Axes, methods: int, apart: float) -> None:
    """The line of ranks, and the critical difference above it."""
    axis.plot([1, methods], [0, 0], **RULER)
    every = max(1, methods // 10)
    for rank in range(1, methods + 1, every):
        axis.plot([rank, rank], [0, 0.06], **RULER)
        axis.text(rank, 0.09, str(rank), ha="center", va="bottom")
    end, words = 1 + apart, f"critical difference {apart:.2f}"
    axis.plot([1, 1, 1, end, end, end], [0.36, 0.44, 0.4, 0.4, 0.36, 0.44], **RULER)
    axis.text(1 + apart / 2, 0.46, words, ha="center", va="bottom")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 11]}…{name[-10:]}"


def _name(axis: Axes, look: Look, rank: float, y: float, left: bool) -> None:
    """A method's name at the side, joined with its place on the line."""
    low, high = axis.get_xlim()
    out = -0.02 * (high - low) if left else 0.02 * (high - low)
    end = (low if left else high) + out
    line = {"color": look.colour, "linewidth": 0.7 if look.grey else 1.1, "clip_on": False}
    axis.plot([rank, rank, end], [0, y, y], **line, zorder=1 if look.grey else 2)
    name = _short(look.name)
    text = f"{name}  {rank:.2f}" if left else f"{rank:.2f}  {name}"
    axis.text(end + out / 2, y, text, ha="right" if left else "left", va="center")


def profiles(
    frame: pd.DataFrame, found: pd.DataFrame, criterion: str, drawn: Mapping[str, Look]
) -> Figure:
    """Share of runs above each accuracy, every setting with the same weight.

    Args:
        frame: `frames.cells` of the study.
        found: `inference.Inference.profiles`, not empty.
        criterion: name of the reported criterion.
        drawn: look of every label.
    """
    shown = {label: look for label, look in drawn.items() if label in set(found["label"])}
    with mpl.rc_context(STYLE):
        figure, (axes,) = panels.grid(1, 2.8, 1, share=True)
        for place, (label, look) in enumerate(shown.items()):
            mine = found[found["label"] == label]
            every = (3 * place % 8, 8)
            axes[0].plot(
                100 * mine["threshold"], 100 * mine["share"], **look.line(markevery=every)
            )  # fmt: skip
        changes = found[(found["share"] > 0) & (found["share"] < 1)]["threshold"]
        if len(changes):
            axes[0].set_xlim(100 * changes.min() - 3, min(100, 100 * changes.max() + 3))
        axes[0].set_xlabel(f"test accuracy (%), {CRITERIA[criterion].short}")
        axes[0].set_ylabel("runs above it (%)")
        of_shown = frame[frame["label"].isin(shown)]
        settings = of_shown.groupby(["dataset", "noise_slug"]).ngroups
        remark = f"{settings} settings of the same weight, {panels.seeds(of_shown)} each"
        panels.legend(figure, shown, of_shown, [remark])
    return figure
