"""Marks: what a method is told, what is wrong with an entry, and which entries stand out."""

from __future__ import annotations

import pandas as pd

PRIVILEGE_MARKS = {
    "clean_subset": "ᶜ",
    "noise_rate": "ʳ",
    "noise_type": "ᵗ",
    "transition_matrix": "ᵀ",
    "true_labels": "ᵒ",
}
TOLD = {
    "noise_rate": "is told the noise rate",
    "noise_type": "is told the type of noise",
    "transition_matrix": "is told the transition matrix",
    "true_labels": "is told all true labels: a ceiling, never bold",
}
GROUPS = {
    "clean_subset": "clean images",
    "noise_rate": "the noise rate",
    "noise_type": "the type of noise",
    "transition_matrix": "the transition matrix",
    "true_labels": "all true labels",
}
STALE, UNTUNED, TUNED_ELSEWHERE = "†", "‡", "§"
FAILED, CLOSE = "\N{MULTIPLICATION SIGN}", "≈"
NOTHING = "\N{EN DASH}"


def marks(privileges: tuple[str, ...]) -> str:
    """Superscript letters for what a method is told; an unknown privilege is spelled out."""
    return "".join(PRIVILEGE_MARKS.get(name, f" [{name}]") for name in privileges)


def is_ceiling(privileges: tuple[str, ...]) -> bool:
    """Whether a method is told all true labels: no rival of the others."""
    return "true_labels" in privileges


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


def group(privileges: tuple[str, ...]) -> str:
    """What a method is told beyond the noisy labels, in words."""
    given = [GROUPS.get(name, name) for name in privileges]
    return f"given {' and '.join(given)}" if given else "noisy labels only"


def standing(*, second: bool, close: bool, first_of_group: bool) -> str:
    """The sentence on entries that stand out; each argument says whether one is marked so."""
    words = [
        "Bold: best mean of a column among complete entries, every row counted, "
        "ties at the digits shown included"
    ]
    words += ["underlined: the second"] * second
    words += ["italic: the best of those that are told the same"] * first_of_group
    words += [
        f"{CLOSE} not told apart from the best (paired t test over seeds, 5 %, corrected by Holm)"
    ] * close
    return f"{'; '.join(words)}."
