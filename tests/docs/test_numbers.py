"""Every number in README and docs is that of a record, of `results/speed` or of a tuning."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

import methods
from analysis import frames, studies
from analysis.compare_protocols import compare
from datasets import noise
from datasets.human_labels import SETS

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "results" / "reference" / "default"
SPEED = ROOT / "results" / "speed"
TUNED = ROOT / "benchmarks" / "tuned"
PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
VARIANTS = {
    "&nbsp; by double backward": ("mw_net", "double-backward"),
    "MetaLabelNet, cached features": ("metalabelnet", "cached"),
    "MetaLabelNet, online features": ("metalabelnet", "online"),
    "&nbsp; cached, by double backward": ("metalabelnet", "double-backward"),
}


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """A page without code, identifiers of papers, and what commands write that tests compare."""
    names = "methods|table|findings|accuracies|against|soft labels|picks|other|feature_dependent"
    made = rf"<!-- ({names}) -->.*?<!-- end of \1 -->"
    for pattern in (made, r"^```.*?^```$", r"`[^`]*`", r"arXiv \S+", r"^## \[\S+"):
        text = re.sub(pattern, "", text, flags=re.DOTALL | re.MULTILINE)
    return text


def decimals(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w.])\d[\d,]*\.\d+(?![\w.])", text))


def speed_numbers() -> set[str]:
    """What the pages may say of speed, as they write it."""
    rows = json.loads(read(SPEED / "cpu.json"))
    said = {f"{row[key]:.2f}" for row in rows for key in ("ratio_min", "ideal_ratio") if row[key]}
    for row in json.loads(read(SPEED / "cpu-epoch.json")):
        said |= {f"{100 * row[key]:.1f}" for key in ("overhead", "following")}
    for row in json.loads(read(SPEED / "cpu-loading.json")):
        said.add(f"{row['ratio']:.2f}")
    for row in json.loads(read(SPEED / "cpu-pool.json")):
        said |= {f"{row[key]:.2f}" for key in ("times_the_first", "times_the_last")}
    return said


def study_numbers() -> set[str]:
    texts = [read(path) for path in sorted((REFERENCE / "tables").glob("*.md"))]
    return decimals(" ".join(texts))


def tuning_numbers() -> set[str]:
    return decimals(" ".join(read(path).replace(",", " ") for path in sorted(TUNED.glob("*.csv"))))


def suspects_table() -> list[str]:
    """Mean quality of lists over seeds, a row a setting and list, out of `docs/suspects.csv`."""
    with (ROOT / "docs" / "suspects.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    made = []
    for setting, name in dict.fromkeys((row["setting"], row["list"]) for row in rows):
        mine = [row for row in rows if (row["setting"], row["list"]) == (setting, name)]
        means = [
            f"{sum(float(row[key]) for row in mine) / len(mine):.3f}"
            for key in ("average_precision", "roc_auc", "found")
        ]
        made.append(f"| {setting} | {name} | {len(mine)} | {' | '.join(means)} |")
    return made


def own_numbers() -> set[str]:
    """Of own data and of lists, and rates of human labels."""
    texts = [read(ROOT / "docs" / "own_data.txt"), *suspects_table()]
    rates = {f"{100 * noise.get('human')(labels=name).nominal_rate:.2f}" for name in SETS}
    return decimals(" ".join(texts)) | rates


def test_the_table_of_lists_of_suspects_is_that_of_the_benchmark():
    block = read(ROOT / "docs" / "own_data.md").partition("<!-- suspects -->")[2]
    lines = block.partition("<!-- end")[0].strip().splitlines()
    assert lines[2:] == suspects_table()


SETTINGS = {
    "0.2",
    "0.4",
    "0.6",
    "0.8",
    "0.45",
    "2.11",
    "2.14",
    "2.9",
    "3.11",
    "3.12",
    "1.23",
    "4.0",
}
"""Noise rates of studies, and versions."""
PUBLISHED = {"38.5", "1.0", "0.1"}
"""Of Clothing1M, and WebVision's version; and the share of images that packing does without."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_decimal_number_of_a_page_is_one_that_was_measured(page):
    measured = speed_numbers() | study_numbers() | tuning_numbers()
    measured |= decimals(" ".join(precision_lines())) | own_numbers()
    assert decimals(prose(read(page))) <= measured | SETTINGS | PUBLISHED


CROPS = {"crop_flip": "random crops", "resized_crop_flip": "random resized crops"}


def loading_table() -> list[str]:
    """Images a second of each loader, out of `results/speed`."""
    return [
        f"| {CROPS[row['augment']]} | {row['loader']} | {row['images_a_second']:,} "
        f"| {row['ratio']:.2f} |"
        for row in json.loads(read(SPEED / "cpu-loading.json"))
    ]


def test_the_table_of_loaders_is_that_of_the_benchmark():
    block = read(ROOT / "docs" / "data-and-noise.md").partition("<!-- loading -->")[2]
    lines = block.partition("<!-- end")[0].strip().splitlines()
    assert lines[2:] == loading_table()
    rows = json.loads(read(SPEED / "cpu-loading.json"))
    for row in rows:  # in levels of 255; what is rounded once in place of twice may differ by one
        once = row["loader"].endswith("GPU") and row["augment"] == "resized_crop_flip"
        assert row["largest_difference"] <= (1.001 if once else 0)


def test_the_table_of_speed_is_that_of_the_file():
    rows = {
        (row["method"], row["variant"], row["precision"]): row
        for row in json.loads(read(SPEED / "cpu.json"))
        if row["network"] == "cnn8"
    }
    displays = {methods.declaration(name).display: (name, "") for name in methods.names()}
    section = read(ROOT / "docs" / "methods.md").partition("## How fast")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    assert len(lines) == 8
    for line in lines:
        name, ms, ratio, ideal, peak, bf16 = (part.strip() for part in line.strip("|").split("|"))
        key = VARIANTS.get(name) or displays[name]
        row = rows[*key, "float32"]
        assert (ms, ratio) == (f"{row['min_ms']:.0f}", f"{row['ratio_min']:.2f}"), name
        assert peak == f"{row['peak_mb']:.0f}"
        assert ideal == ("" if row["ideal_ratio"] is None else f"{row['ideal_ratio']:.2f}")
        assert bf16 == f"{rows[*key, 'bf16']['ratio_min']:.2f}"


def test_a_step_costs_at_most_15_percent_more_than_its_passes():
    rows = json.loads(read(SPEED / "cpu-methods.json"))
    assert {row["method"] for row in rows} == set(methods.names())
    counted = [row for row in rows if row["ideal_ratio"]]
    assert len(counted) > 20
    above = {row["method"]: row["ratio_min"] / row["ideal_ratio"] for row in counted}
    assert {name: ratio for name, ratio in above.items() if ratio > 1.15} == {}


def precision_lines() -> list[str]:
    """What `compare_protocols.py` says of the committed cells in both precisions."""
    folders = (REFERENCE.parent / name for name in ("precision", "precision_bf16"))
    return compare(*(frames.cells(studies.load(folder)) for folder in folders), "last", 0.5)


def test_what_bf16_changes_is_what_the_records_say():
    page = read(ROOT / "docs" / "methods.md")
    block = page.partition("<!-- precision -->")[2].partition("<!-- end")[0]
    assert block.strip().splitlines() == [f"- {line}" for line in precision_lines()]
