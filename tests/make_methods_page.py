"""Writes what `docs/methods.md` says of each method: `python tests/make_methods_page.py`.

Out of the registry (names, privileges, hyper-parameters), the head of each method's file (what it
does, how it differs), `benchmarks/tuned` (values and verdicts), `results/speed/cpu-methods.json`
(cost) and the checks against official implementations. `tests/docs/test_methods_page.py` compares.
"""

from __future__ import annotations

import ast
import csv
import functools
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from ruamel.yaml import YAML

import methods
from methods.declaration import Declaration
from tests.vector_checks.checks import CHECKS

PAGE = ROOT / "docs" / "methods.md"
TUNED = ROOT / "benchmarks" / "tuned"
RANGES, VALUES = TUNED / "fashion_mnist_mini_ranges.csv", TUNED / "fashion_mnist_mini.yaml"
SPEED = ROOT / "results" / "speed" / "cpu-methods.json"
FAMILIES = (
    *("baseline", "robust loss", "loss correction", "label correction", "regularisation"),
    *("sample selection", "semi-supervised", "meta-learning", "control", "ceiling"),
)
"""In the order of the page."""
FORMULAS = (
    *("test_losses", "test_simple_methods", "test_label_correction", "test_two_networks"),
    *("test_dividemix", "test_mlnt", "test_controls"),
)
"""Tests with numbers worked out from papers; others name methods for other reasons."""


def names() -> list[str]:
    """The methods by family."""
    return sorted(methods.names(), key=lambda n: FAMILIES.index(methods.declaration(n).family))


def told(declared: Declaration) -> str:
    return ", ".join(declared.privileges.names).replace("_", " ")


def paragraphs(name: str) -> list[str]:
    """Of the head of a method's file: its title, then what it does and how it differs."""
    text = methods.source(name).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n\n")


def tuned() -> list[dict[str, str]]:
    """Each tuned hyper-parameter: how its range was searched and what came out."""
    with RANGES.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@functools.cache
def fixed() -> dict[str, dict[str, Any]]:
    """Method -> what all its draws had in place of a default, of what is not searched."""
    under = YAML(typ="safe").load(VALUES)["tuned_under"]
    return {name: conditions.get("fixed", {}) for name, conditions in under.items()}


def cost(name: str) -> str:
    """A step in steps of cross-entropy, and by count of passes where somebody has counted."""
    texts = []
    for row in json.loads(SPEED.read_text(encoding="utf-8")):
        if row["method"] == name:
            count = row["ideal_ratio"]
            notes = [f"{row['variant']} features"] if row["variant"] else []
            notes += [f"{count:.2f} by count of passes"] if count else []
            texts.append(f"{row['ratio_min']:.2f}" + (f" ({', '.join(notes)})" if notes else ""))
    return " or ".join(texts)


def verified(name: str) -> str:
    """Vectors of official code that are compared, and tests with numbers worked out by hand."""
    files = [f"`{prefix}`" for prefix, check in CHECKS.items() if name in check.methods]
    tests = [
        f"`{stem}.py`"
        for stem in FORMULAS
        if f'"{name}"' in (ROOT / "tests" / "methods" / f"{stem}.py").read_text(encoding="utf-8")
    ]
    by_vectors = [f"vectors {', '.join(files)}"] if files else []
    return "; ".join([*by_vectors, *([f"formula in {', '.join(tests)}"] if tests else [])])


def hyperparameters(declared: Declaration) -> list[str]:
    """A table of them: default, range of the search, tuned value and how the search ended."""
    if not declared.fields:
        return []
    rows = {row["parameter"]: row for row in tuned() if row["method"] == declared.name}
    lines = ["| hyper-parameter | default | searched | tuned | verdict |"]
    lines.append("| :-- | --: | :-- | --: | :-- |")
    for name, info in declared.fields.items():
        search, row = declared.searched.get(name), rows.get(name)
        default = f"{info.default:.4g}" if isinstance(info.default, float) else f"{info.default}"
        best, verdict = (row["best"], row["verdict"]) if row else ("", "")
        if search and not row:
            verdict = "not tuned yet"
        elif row and row["range"] != str(search):
            verdict += f" of {row['range']}; the wider range is not drawn yet"
        elif name in fixed().get(declared.name, {}):
            verdict = f"{fixed()[declared.name][name]} in all draws"
        lines.append(f"| `{name}` | {default} | {search or ''} | {best} | {verdict} |")
    return [*lines, ""]


def section(name: str) -> list[str]:
    """All that is known of one method."""
    declared = methods.declaration(name)
    title, *rest = paragraphs(name)
    facts = [f"told {told(declared) or 'nothing but noisy labels'}", f"step {cost(name)}"]
    facts.append(f"verified by {verified(name)}")
    lines = [f"### {declared.display} (`{name}`)", "", title, ""]
    lines += [line for paragraph in rest for line in (paragraph, "")]
    return [*lines, f"*{declared.family.capitalize()}*: {'; '.join(facts)}.", "",
            *hyperparameters(declared)]  # fmt: skip


def table() -> list[str]:
    """One line a method."""
    lines = ["| method | family | told | in a line |", "| :-- | :-- | :-- | :-- |"]
    for name in names():
        declared = methods.declaration(name)
        about = paragraphs(name)[0].replace("\n", " ")
        lines.append(f"| `{name}` | {declared.family} | {told(declared)} | {about} |")
    return lines


def tuned_table() -> list[str]:
    """One line a tuned hyper-parameter."""
    lines = ["| hyper-parameter | range | default | best | verdict |"]
    lines.append("| :-- | :-- | --: | --: | :-- |")
    for row in tuned():
        name = f"`{row['method']}.{row['parameter']}`"
        values = [row[key] for key in ("range", "default", "best", "verdict")]
        lines.append(f"| {' | '.join([name, *values])} |")
    return lines


def blocks() -> dict[str, list[str]]:
    """Name of a block of the page -> its lines."""
    sections = [line for name in names() for line in section(name)]
    return {"list": table(), "tuned": tuned_table(), "methods": sections[:-1]}


def replaced(text: str, lines_of: dict[str, list[str]]) -> str:
    """A page whose blocks, which begin and end in comments with their name, have these lines."""
    for name, lines in lines_of.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = text.split(begin)
        after = rest.split(end)[1]
        text = "\n".join([before + begin, *lines, "", end + after])
    return text


def filled(text: str) -> str:
    """The page with its blocks as they are today."""
    return replaced(text, blocks())


def main() -> int:
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}: {len(methods.names())} methods")
    return 0


if __name__ == "__main__":
    sys.exit(main())
