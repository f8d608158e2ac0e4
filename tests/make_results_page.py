"""Writes what pages say of the committed studies: `python tests/make_results_page.py`.

The table and the sentences of the README, the numbers of `docs/results.md`, the other test images
of `docs/records.md` and the table of noise that looks at images in `docs/data-and-noise.md`, out of
`results/reference`; `tests/docs/test_results_page.py` compares.
"""

from __future__ import annotations

import csv
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

REFERENCE = ROOT / "results" / "reference"
STUDY, OF_IMAGES = "default", "feature_dependent"
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


def said(table: str, study: str) -> list[str]:
    """The lines of a file of `make_tables.py`."""
    return (REFERENCE / study / "tables" / table).read_text(encoding="utf-8").splitlines()


def accuracies(*further: str, study: str = STUDY) -> list[str]:
    """The table of all methods, and the lines below it that begin as one of `further`."""
    return [line for line in said("accuracy.md", study) if line.startswith(("|", *further))]


def findings(*parts: str, study: str = STUDY) -> list[str]:
    """The lines that have one of `parts` (default: all), but for those on noisy validation."""
    lines = [line for line in said("findings_accuracy.md", study) if ", noisy val, " not in line]
    return [line for line in lines if any(part in line for part in parts or ("",))]


def other_images() -> list[str]:
    """Mean accuracies on both parts of the official test images, a row a method."""
    with (REFERENCE / STUDY / "official_test.csv").open(newline="", encoding="utf-8") as file:
        rows = pd.DataFrame(csv.DictReader(file))
    parts = {"mini": "3,000", "official": "7,000"}
    rows = rows.astype(dict.fromkeys(parts, float))
    means = 100 * rows.groupby(["display", "noise"], sort=False)[list(parts)].mean()
    noises = list(rows["noise"].unique())
    head = [f"{noise}: {parts['mini']}|{parts['official']}" for noise in noises]
    made = [
        [display, *(f"{value:.1f}" for noise in noises for value in means.loc[(display, noise)])]
        for display in rows["display"].unique()
    ]
    return markdown(["method", *"|".join(head).split("|")], made)


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


def of_results() -> dict[str, list[str]]:
    """Name of a block of the page of results -> its lines."""
    study = studies.load(REFERENCE / STUDY)
    return {
        "accuracies": accuracies("- Marks"),
        "against": against(study),
        "soft labels": soft_labels(study),
        "picks": picks(study),
    }


def of_images() -> list[str]:
    """Table and sentences of noise that looks at images."""
    sentences = findings(", all methods: ", ", with clean images: ", study=OF_IMAGES)
    return [*accuracies(study=OF_IMAGES), "", *sentences]


PAGES = {
    "README.md": lambda: {"table": accuracies(), "findings": findings()},
    "docs/results.md": of_results,
    "docs/records.md": lambda: {"other": other_images()},
    "docs/data-and-noise.md": lambda: {"feature_dependent": of_images()},
}
"""Page -> a function that gives the lines of its blocks."""


def filled(page: str, text: str) -> str:
    """The text of a page with its blocks as they are today."""
    return replaced(text, PAGES[page]())


def main() -> int:
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        (ROOT / page).write_text(filled(page, text), encoding="utf-8")
        print(f"wrote {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
