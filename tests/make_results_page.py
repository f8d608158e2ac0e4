"""Writes the numbers of `docs/results.md`: `python tests/make_results_page.py`.

Out of the records of `results/reference`; `tests/docs/test_results_page.py` compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import pandas as pd

from analysis import frames, paired, studies
from analysis.frames import SETTING
from analysis.marks import is_ceiling
from analysis.seed_statistics import summary, t_interval
from tests.make_methods_page import replaced

PAGE = ROOT / "docs" / "results.md"
STUDY = ROOT / "results" / "reference" / "default"
SUBJECT = "metalabelnet"
LAST = "last"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> list[str]:
    """A table whose first columns are words and whose others are numbers."""
    rule = [":--"] * words + ["--:"] * (len(head) - words)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def by_setting(frame: pd.DataFrame, label: str, words: Callable[[pd.DataFrame], str]) -> list[str]:
    """`words` of the rows of one method in each setting."""
    mine = frame[frame["label"] == label]
    return [words(rows) for _, rows in mine.groupby(SETTING, sort=False)]


def accuracies() -> list[str]:
    """The table of all methods, as `make_tables.py` writes it."""
    text = (STUDY / "tables" / "accuracy.md").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.startswith(("|", "- Marks"))]


def against(study: studies.Study) -> list[str]:
    """MetaLabelNet less each method that sees the same clean images, and what its cells cost."""
    frame, minutes = frames.cells(study), frames.cells(study, "cost")
    names = frame.drop_duplicates("label").set_index("label")
    rivals = [
        label
        for label, row in names.iterrows()
        if label != SUBJECT and "clean_subset" in row["privileges"]
    ]
    among = frame[frame["label"].isin([SUBJECT, *rivals])]
    found = paired.to_reference(among, LAST, SUBJECT)
    spent = minutes.groupby("label")[LAST].mean()
    rows = []
    for label in rivals:
        differences = by_setting(found, label, _difference)
        cost = f"{spent[SUBJECT] / spent[label]:.1f}"
        rows.append([f"less {names['display'][label]}", *differences, cost])
    return markdown(["MetaLabelNet", *settings(frame), "times its cost"], rows)


def _difference(rows: pd.DataFrame) -> str:
    """The difference the other way round: positive is in favour of the subject."""
    row = rows.iloc[0]
    interval = f"{-row['high']:+.1f} to {-row['low']:+.1f}"
    return f"{-row['mean']:+.1f} ({interval}), p {row['p_holm']:.1g}"


def settings(frame: pd.DataFrame) -> list[str]:
    """Names of the settings, in the order of the study."""
    return list(frame.drop_duplicates(SETTING)["noise_display"])


def soft_labels(study: studies.Study) -> list[str]:
    """How often the likeliest class of a soft label is the true one."""
    parts = {"on_corrupted_part": "wrongly labelled", "on_clean_part": "rightly labelled"}
    wanted = [cell for cell in study.cells if cell["label"] == SUBJECT]
    frame = pd.DataFrame(
        {name: cell[name] for name in (*SETTING, "label", "noise_display")}
        | {part: study.records[cell["key"]]["labels"][part] for part in parts}
        for cell in wanted
    )
    rows = [
        [f"{words} images", *by_setting(frame, SUBJECT, lambda rows, part=part: _share(rows[part]))]
        for part, words in parts.items()
    ]
    return markdown(["true class by soft label, %", *settings(frame)], rows)


def _share(values: pd.Series) -> str:
    low, high = t_interval(100 * values)
    return f"{100 * summary(values).mean:.1f} ({max(0, low):.1f} to {min(100, high):.1f})"


def picks(study: studies.Study) -> list[str]:
    """All methods but ceilings by what they are told, the best mean over all settings first."""
    frame, minutes = frames.cells(study), frames.cells(study, "cost")
    means = frame.groupby("label")[LAST].mean()
    worst = frame.groupby(["label", *SETTING])[LAST].mean().groupby("label").min()
    spent = minutes.groupby("label")[LAST].mean()
    names = frame.drop_duplicates("label").set_index("label")
    names = names[~names["privileges"].map(is_ceiling)]
    told = names["privileges"].map(lambda p: ", ".join(p).replace("_", " ") or "noisy labels only")
    rows = [
        [names["display"][label], told[label], f"{100 * means[label]:.1f}",
         f"{100 * worst[label]:.1f}", f"{spent[label] / spent['cross_entropy']:.1f}"]
        for label in sorted(names.index, key=lambda label: (told[label], -means[label]))
    ]  # fmt: skip
    head = ["method", "told", "mean of the settings", "worst setting", "x cross-entropy's cost"]
    return markdown(head, rows, words=2)


def blocks() -> dict[str, list[str]]:
    """Name of a block of the page -> its lines."""
    study = studies.load(STUDY)
    return {
        "accuracies": accuracies(),
        "against": against(study),
        "soft labels": soft_labels(study),
        "picks": picks(study),
    }


def filled(text: str) -> str:
    """The page with its blocks as they are today."""
    return replaced(text, blocks())


def main() -> int:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
