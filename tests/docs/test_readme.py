"""The documents tell the truth: commands, studies, names and paths in them exist."""

from __future__ import annotations

import functools
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import datasets
import methods
import networks
from analysis import criteria
from datasets import noise
from runners.study.config import load_study
from runners.study.grid import cells, select
from runners.study.presets import PRESETS
from tests.helpers.own_images import write_images

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (
        *(ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "results" / "README.md"),
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
FOLDERS = (
    *(
        "analysis",
        "benchmarks",
        "datasets",
        "docs",
        "methods",
        "networks",
        "runners",
        "tests",
        "examples",
    ),
)
WITH_STUDY = ("run_grid.py", "tune.py", "export_labels.py")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    """Every command of a block or between backticks, as words without comments."""
    lines = []
    for text in DOCUMENTS.values():
        lines += [line for block in blocks(text, "sh") for line in block.splitlines()]
        lines += re.findall(r"`((?:make|python) [^`]+)`", text)
    words = [shlex.split(line, comments=True) for line in lines]
    return [w[1:] if w and w[0].startswith("PYTHONPATH=") else w for w in words if w]


PYTHON = [w[1:] for w in commands() if w[0] == "python" and w[1].endswith(".py")]
STUDIES = [w for w in PYTHON if Path(w[0]).name in WITH_STUDY and len(w) > 1]
STUDIES = [w for w in STUDIES if (ROOT / w[1]).is_file()]


def values_of(words: list[str], option: str) -> list[str]:
    return [after for word, after in itertools.pairwise(words) if word == option]


@functools.cache
def help_of(script: str) -> str:
    command = [sys.executable, str(ROOT / script), "--help"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_every_command_is_of_a_known_kind():
    kinds = {words[0] for words in commands()}
    assert kinds == {"make", "python", ".ci/run"}
    assert len(STUDIES) > 8 and len({words[0] for words in PYTHON}) > 6


@pytest.mark.parametrize(
    "words", [w for w in PYTHON if w[0] != "tests/check_reference.py"], ids=str
)
def test_scripts_and_their_options_exist(words):
    for option in (word for word in words[1:] if word.startswith("--")):
        assert re.search(rf"{option}\b", help_of(words[0])), f"{words[0]} has no {option}"


@pytest.mark.parametrize("words", STUDIES, ids=str)
def test_commands_on_a_study_are_accepted(words, tmp_path):
    path = ROOT / words[1]
    if path.name == "my_images.yaml":  # beside which a person has their images
        path = Path(shutil.copy(path, tmp_path))
        write_images(tmp_path / "my_images", per_class=10)
    study = load_study(path, values_of(words, "--set"))
    assert select(cells(study), values_of(words, "--only"))


def test_make_commands_name_targets_and_variables_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for words in (words for words in commands() if words[0] == "make"):
        for word in words[1:]:
            name, equals, _ = word.partition("=")
            assigned = r"\?=" if equals else ":"
            assert re.search(rf"^{name} *{assigned}", makefile, re.MULTILINE), word


@pytest.mark.parametrize(
    "text",
    [t for name in DOCUMENTS if name != "CONTRIBUTING.md" for t in blocks(DOCUMENTS[name], "yaml")],
)
def test_example_studies_are_valid(text, tmp_path):
    (tmp_path / "study.yaml").write_text(text)
    assert cells(load_study(tmp_path / "study.yaml"))


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("benchmark.yaml", 105),
        ("benchmarks/cifar10.yaml", 120),
        ("benchmarks/fashion_mnist.yaml", 126),
        ("benchmarks/default_all.yaml", 3 * len(methods.names()) * 5),
        ("benchmarks/clean_subset.yaml", 264),
    ],
)
def test_the_studies_of_the_repository_have_the_cells_that_they_announce(path, count):
    grid = cells(load_study(ROOT / path))
    assert len(grid) == count and {cell.track for cell in grid} == {"fair"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_named_files_exist(name):
    text = re.sub(r"^```.*?^```$", "", DOCUMENTS[name], flags=re.DOTALL | re.MULTILINE)
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[\w./-]+)`", text)
    named += re.findall(r"\b([A-Z]+\.md|LICENSE|CITATION\.cff)\b", text)
    named += [words[0] for words in PYTHON]
    missing = [path for path in named if not (ROOT / path).exists()]
    assert set(missing) <= {"methods/label_smoothing.py"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_between_pages_lead_somewhere(name):
    folder = (ROOT / name).parent
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)\)", DOCUMENTS[name])
    assert [link for link in links if not (folder / link).exists()] == []


def test_the_readme_is_short_and_names_every_page():
    assert len(README.splitlines()) <= 220
    assert len(DOCUMENTS["docs/architecture.md"].splitlines()) <= 80
    assert all(f"]({name})" in README for name in DOCUMENTS if name.startswith("docs/"))


def test_the_page_on_architecture_names_every_room():
    rooms = {path.parent.name for path in (ROOT / "runners").glob("*/__init__.py")}
    assert all(f"`{room}/`" in DOCUMENTS["docs/architecture.md"] for room in rooms)


def test_every_test_that_the_page_on_clusters_names_exists():
    named = re.findall(r"`(\w+\.py)::(\w+)`", DOCUMENTS["docs/clusters.md"])
    assert len(named) > 10
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / "slurm" / file).read_text(), f"{file}::{name}"


@pytest.mark.parametrize(
    ("page", "section", "names"),
    [
        ("methods", "Methods", methods.names()),
        ("data-and-noise", "Data sets", datasets.names()),
        ("data-and-noise", "Noise models", noise.names()),
        ("records", "How to read the table", list(criteria.CRITERIA)),
    ],
)
def test_tables_of_names_are_complete(page, section, names):
    text = DOCUMENTS[f"docs/{page}.md"]
    (part,) = re.findall(rf"^##+ {section}\n(.*?)(?=^##|\Z)", text, re.DOTALL | re.MULTILINE)
    assert sorted(re.findall(r"^\| `(\w+)`", part, re.MULTILINE)) == sorted(names)


def test_networks_and_presets_are_all_named():
    assert all(f"`{name}`" in DOCUMENTS["docs/methods.md"] for name in networks.names())
    running = DOCUMENTS["docs/running.md"]
    (presets,) = re.findall(r"^\*\*Paper\*\*: `protocol: \{preset: (.*?)\) takes", running, re.M)
    assert set(re.findall(r"\w+", presets)) - {"or"} == set(PRESETS)


def test_documents_and_package_have_one_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert YAML(typ="safe").load(ROOT / "CITATION.cff")["version"] == version
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(\d.*?)\]", changes, re.MULTILINE)[0] == version


def test_the_figures_are_there():
    figures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    assert figures and all((ROOT / path).is_file() for path in figures)
