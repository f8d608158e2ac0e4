"""The sentences below a table: what its numbers are, what its marks mean, what to beware of."""

from __future__ import annotations

import pandas as pd

from analysis.criteria import CRITERIA
from analysis.seed_statistics import summary

PRIVILEGE_MARKS = {
    "clean_subset": "ᶜ",
    "noise_rate": "ʳ",
    "noise_type": "ᵗ",
    "transition_matrix": "ᵀ",
}
TOLD = {
    "noise_rate": "is told the noise rate",
    "noise_type": "is told the type of noise",
    "transition_matrix": "is told the transition matrix",
}
STALE, UNTUNED = "†", "‡"
NOTHING = "\N{EN DASH}"
CLASS_DEPENDENT = ("asymmetric", "pair_flip")


def marks(privileges: tuple[str, ...]) -> str:
    """Superscript letters for what a method is told; an unknown privilege is spelled out."""
    return "".join(PRIVILEGE_MARKS.get(name, f" [{name}]") for name in privileges)


def privilege_legend(frame: pd.DataFrame) -> list[str]:
    """One phrase for every privilege that a method of the frame has, mark first."""
    granted = {name for names in frame["privileges"] for name in names}
    phrases = []
    for name, mark in PRIVILEGE_MARKS.items():
        if name == "clean_subset" and name in granted:
            has = frame["privileges"].map(lambda names: "clean_subset" in names)
            sizes = sorted(set(frame.loc[has, "clean_subset"].dropna().astype(int)))
            count = f"{' or '.join(f'{size:,}' for size in sizes)} " if sizes else ""
            phrases.append(f"{mark} sees {count}clean images")
        elif name in granted:
            phrases.append(f"{mark} {TOLD[name]}")
    return phrases


def below(frame: pd.DataFrame, criteria: list[str], wants_tuned: bool, preset: str | None) -> list:
    """All notes of a table over `frame` (see `frames.cells`), most needed first.

    Args:
        frame: the cells of the table.
        criteria: names of the criteria that the table shows.
        wants_tuned: whether the study asked for tuned hyper-parameters.
        preset: name of the paper track's preset, if the study is on it.
    """
    said = [_numbers(frame, criteria), _bold()]
    said += [f"Marks: {'; '.join(legend)}."] if (legend := privilege_legend(frame)) else []
    if frame["stale"].any():
        said.append(f"{STALE} at least one of these cells is stale: it ran under other code.")
    said += [*_hyperparameters(frame, wants_tuned, preset), *_warnings(frame, criteria)]
    return said + [note for name in criteria for note in _ensembles(frame, name)]


def _numbers(frame: pd.DataFrame, criteria: list[str]) -> str:
    planned = frame.groupby(["dataset", "noise_slug", "label"]).size()
    words = "; ".join(
        f"{CRITERIA[name].short}: {CRITERIA[name].words}" if len(criteria) > 1 else
        CRITERIA[name].words for name in criteria
    )  # fmt: skip
    if planned.nunique() > 1:
        spread = "± is the sample standard deviation over n seeds"
    elif planned.iloc[0] == 1:
        spread = "n = 1 seed"
    else:
        spread = f"n = {planned.iloc[0]} seeds, ± is the sample standard deviation"
    finished = "" if frame["done"].all() else "; in brackets the seeds finished of those planned"
    return f"Test accuracy in % ({words}); {spread}{finished}."


def _bold() -> str:
    return (
        "Bold: best mean of a column among complete entries, every row counted, "
        "ties at the digits shown included."
    )


def _hyperparameters(frame: pd.DataFrame, wants_tuned: bool, preset: str | None) -> list[str]:
    groups: dict[str, list[str]] = {}
    for display, rows in frame.groupby("display", sort=False):
        sources = set(rows["hparams_source"]) if rows["has_hparams"].all() else {"none"}
        for source in sorted(sources):
            groups.setdefault(source, []).append(str(display))
    phrases = {
        "tuned": "tuned on clean development images",
        "default": f"{UNTUNED} no tuned values: default hyper-parameters"
        if wants_tuned
        else "default values",
        "paper": "each paper's own values",
        "study": "named in the study file",
        "none": "nothing to tune",
    }
    parts = [f"{phrases[s]} ({', '.join(groups[s])})" for s in phrases if s in groups]
    paper = (frame["track"] == "paper").any()
    track = f"Paper track (preset {preset})" if paper and preset else "Paper track"
    return [f"{track if paper else 'Fair track'}. Hyper-parameters: {'; '.join(parts)}."]


def _warnings(frame: pd.DataFrame, criteria: list[str]) -> list[str]:
    said = [
        f"{CRITERIA[name].short}: {CRITERIA[name].diagnostic}."
        for name in criteria
        if CRITERIA[name].diagnostic
    ]
    for setting, rows in frame[frame["no_true_class"] > 0].groupby("noise_display", sort=False):
        count = rows.groupby("seed")["no_true_class"].first().mean()
        said.append(
            f"{setting}: {count:,.0f} training images (mean over seeds) belong to none of the "
            "classes; they count as wrongly labelled."
        )
    if "noisy_val" in criteria and frame["noise"].str.startswith(CLASS_DEPENDENT).any():
        said.append(
            "Under class-dependent noise this criterion (noisy val) rewards fitting the noise."
            if len(criteria) > 1
            else "Under class-dependent noise this criterion rewards fitting the noise."
        )
    return said


def _ensembles(frame: pd.DataFrame, criterion: str) -> list[str]:
    said = []
    has = frame[f"ensemble_{criterion}"].notna()
    several = frame["dataset"].nunique() > 1
    for display, rows in frame[has].groupby("display", sort=False):
        values = []
        for (dataset, setting), seeds in rows.groupby(["dataset", "noise_display"], sort=False):
            mean = summary(seeds[f"ensemble_{criterion}"])
            spread = f" ± {100 * mean.sd:.1f}" if mean.n > 1 else ""
            where = f"{dataset}, {setting}" if several else setting
            values.append(f"{where} {100 * mean.mean:.1f}{spread}")
        said.append(
            f"{display} shows one network; the mean of its networks' probabilities "
            f"({CRITERIA[criterion].short}): {'; '.join(values)}."
        )
    return said
