"""Writes what `docs/methods.md` says of each method: `python tests/make_methods_page.py`.

Out of the registry (names, privileges, hyper-parameters), the head of each method's file (what it
does, how it differs), `benchmarks/tuned` (values and verdicts), `results/speed/cpu.json` (cost) and
the checks against official implementations. `tests/docs/test_methods_page.py` compares.
"""

from __future__ import annotations

import ast
import csv
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import methods
from methods.declaration import Declaration
from tests.vector_checks.checks import CHECKS

PAGE = ROOT / "docs" / "methods.md"
BEGIN, END = "<!-- methods -->", "<!-- end of methods -->"
TUNED = ROOT / "benchmarks" / "tuned" / "fashion_mnist_mini_ranges.csv"
SPEED = ROOT / "results" / "speed" / "cpu.json"
FAMILIES = (
    *("baseline", "robust loss", "loss correction", "label correction", "regularisation"),
    *("sample selection", "semi-supervised", "meta-learning", "control", "ceiling"),
)
"""In the order of the page."""


def cost(name: str) -> str:
    """Milliseconds of a step in steps of cross-entropy, of each variant that was measured."""
    rows = [
        row
        for row in json.loads(SPEED.read_text(encoding="utf-8"))
        if (row["method"], row["network"], row["precision"]) == (name, "cnn8", "float32")
        and row["variant"] != "double-backward"
    ]
    texts = [
        f"{row['ratio_min']:.2f}" + f" ({row['variant']})" * bool(row["variant"]) for row in rows
    ]
    return ", ".join(texts) or "not measured"


def verified(name: str) -> str:
    """Vectors of official code that are compared, and the tests that work numbers out by hand."""
    files = [f"`{prefix}`" for prefix, check in CHECKS.items() if name in check.methods]
    tests = [
        f"`{path.relative_to(ROOT)}`"
        for path in sorted((ROOT / "tests" / "methods").glob("test_*.py"))
        if f'"{name}"' in path.read_text(encoding="utf-8")
    ]
    parts = [f"vectors of an official implementation ({', '.join(files)})"] if files else []
    return "; ".join([*parts, *([f"formula ({', '.join(tests)})"] if tests else [])])


def hyperparameters(declared: Declaration) -> list[str]:
    """A table of them: default, range of the search, tuned value and how the search ended."""
    if not declared.fields:
        return ["No hyper-parameter of its own.", ""]
    with TUNED.open(newline="", encoding="utf-8") as file:
        rows = {
            row["parameter"]: row for row in csv.DictReader(file) if row["method"] == declared.name
        }
    lines = [
        "| hyper-parameter | default | searched | tuned | verdict |",
        "| :-- | --: | :-- | --: | :-- |",
    ]
    for name, info in declared.fields.items():
        search, row = declared.searched.get(name), rows.get(name)
        default = f"{info.default:.4g}" if isinstance(info.default, float) else f"{info.default}"
        best, verdict = (
            (row["best"], row["verdict"]) if row else ("", "not tuned yet" * bool(search))
        )
        lines.append(f"| `{name}` | {default} | {search or ''} | {best} | {verdict} |")
    return [*lines, ""]


def section(name: str) -> list[str]:
    """All that is known of one method."""
    declared = methods.declaration(name)
    source = methods.source(name)
    title, *paragraphs = (
        ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or ""
    ).split("\n\n")
    told = ", ".join(declared.privileges.names).replace("_", " ") or "nothing but noisy labels"
    facts = f"*Told*: {told}. *Step*: {cost(name)}. *Verified by*: {verified(name)}."
    return [
        f"#### {declared.display} (`{name}`)",
        "",
        title,
        "",
        *(line for paragraph in paragraphs for line in (paragraph, "")),
        facts,
        "",
        *hyperparameters(declared),
    ]


def block() -> str:
    """The methods by family, each as a section."""
    by_family: dict[str, list[str]] = {family: [] for family in FAMILIES}
    for name in methods.names():
        by_family[methods.declaration(name).family].append(name)
    lines = []
    for family, names in by_family.items():
        if names:
            lines += [f"### {family.capitalize()}", ""]
            lines += [line for name in names for line in section(name)]
    return "\n".join(lines)


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    PAGE.write_text(f"{head}{BEGIN}\n\n{block()}\n{END}{tail}", encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}: {len(methods.names())} methods")
    return 0


if __name__ == "__main__":
    sys.exit(main())
