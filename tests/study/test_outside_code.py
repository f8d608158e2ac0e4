"""Code from outside: what its fingerprint covers, and what its name may be."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import datasets
import methods
import networks
from datasets import noise
from runners.results.provenance import fingerprint
from runners.results.sources import sources
from tests.helpers.outside import grid, problems


def outside(folder: Path, name: str, **files: str) -> None:
    """Writes a package with these files (`__` stands for a folder, `_py` for `.py`)."""
    for file, content in files.items():
        path = folder / name / file.replace("__", "/").replace("_py", ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


METHOD = """
from methods.base import LossMethod, register
from methods.declaration import Declaration
from {helper} import loss

@register(Declaration("mine", "Mine"))
class Mine(LossMethod):
    pass
"""


@pytest.mark.parametrize("named", ["with __init__", "without"])
def test_a_package_from_outside_counts_as_a_whole(named, tmp_path, monkeypatch):
    package = f"plugin_{len(named)}"
    outside(tmp_path, package, sub__mine_py=METHOD.format(helper="..tools"))
    outside(tmp_path, package, tools_py="loss = 1\n", tables__data="1,2\n", **{".hidden": "x"})
    if named == "with __init__":
        outside(tmp_path, package, sub____init___py="", **{"__init___py".replace("__i", "i"): ""})
        (tmp_path / package / "__init__.py").write_text("")
        (tmp_path / package / "sub" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    (cell,) = grid(**{"axes.method": [f"{package}.sub.mine:Mine"]})
    before = fingerprint(sources(cell))
    changes = {
        "tools.py": ("loss = 1  # a comment\n", True),
        "sub/mine.py": (METHOD.format(helper="..tools") + "\nX = 1\n", False),
        "tables/data": ("1,3\n", False),
        "new.py": ("Y = 1\n", False),
        ".hidden": ("y", True),
    }
    for file, (content, same) in changes.items():
        path = tmp_path / package / file
        old = path.read_text() if path.exists() else None
        path.write_text(content)
        clear_caches()
        assert (fingerprint(sources(cell)) == before) == same, file
        path.unlink() if old is None else path.write_text(old)
        clear_caches()
    assert fingerprint(sources(cell)) == before


def clear_caches() -> None:
    """As in a new process."""
    from runners.results import provenance

    for cached in (provenance._tree, provenance._imports, provenance._meaning):
        cached.cache_clear()


def test_a_single_file_from_outside_counts_with_the_helpers_beside_it(tmp_path, monkeypatch):
    (tmp_path / "lonely_method.py").write_text(METHOD.format(helper="lonely_helper"))
    (tmp_path / "lonely_helper.py").write_text("loss = 1\n")
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    (cell,) = grid(**{"axes.method": ["lonely_method:Mine"]})
    before = fingerprint(sources(cell))
    for name, same in (("unrelated.py", True), ("lonely_helper.py", False)):
        (tmp_path / name).write_text("loss = 2\n")
        clear_caches()
        assert (fingerprint(sources(cell)) == before) == same, name


@pytest.mark.parametrize(
    "line",
    ["from datasets import load_dataset", "import datasets.arrow_dataset",
     "import datasets; datasets.load_dataset('cifar10')", "from methods.svm import SVM"],
    ids=["from", "submodule", "attribute", "methods"],
)  # fmt: skip
def test_another_package_of_a_name_of_the_suite_is_explained(tmp_path, monkeypatch, line):
    (tmp_path / "hugging.py").write_text(f"{line}\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "hugging", raising=False)
    (said,) = problems(**{"axes.method": ["hugging:Mine"]})
    assert "another package called" in said and "read the data with another" in said


def test_another_package_called_datasets_is_explained_also_when_a_cell_runs():
    with pytest.raises(AttributeError, match="another package called datasets cannot be used here"):
        datasets.load_dataset("cifar10")


def test_two_entries_of_one_name_are_an_error(tmp_path):
    for name in ("one.py", "two.py"):
        (tmp_path / name).write_text('@register\nclass A:\n    name = "same"\n')
    registry = type(noise.REGISTRY)("a noise model", tmp_path, "x", lambda entry: None)
    with pytest.raises(ValueError, match="called same is there twice"):
        registry.names()


@pytest.mark.parametrize("package", [methods, datasets, noise, networks])
def test_every_entry_says_in_a_line_what_it_is(package):
    for name in package.names():
        said = package.REGISTRY.summary(name)
        assert 10 < len(said) < 250 and "\n" not in said
        assert package.source(name).is_file()
