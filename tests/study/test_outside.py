"""Methods, data sets, noise models and networks from outside: found, checked, hashed, run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import datasets
import methods
import networks
from datasets import noise
from runners.results.provenance import ROOT, fingerprint
from runners.results.sources import sources
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import ConfigError
from tests.helpers.cli import run_grid


def write_squares(folder: Path, train: int = 300) -> Path:
    """The data file of the example: a bright square in one of three places."""
    rng, content = np.random.default_rng(0), {}
    for part, count in (("train", train), ("test", 90)):
        labels = np.arange(count) % 3
        images = rng.integers(0, 150, (count, 1, 8, 8), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 2:5, 2 * label : 2 * label + 3] += 100
        content |= {f"{part}_images": images, f"{part}_labels": labels}
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "squares.npz", **content)
    return folder


def grid(**changes: Any) -> list[Cell]:
    """The cells of the example, some keys of it changed."""
    study = load_study(
        ROOT / "examples" / "outside.yaml", [f"{k}={json.dumps(v)}" for k, v in changes.items()]
    )
    return cells(study)


def problems(**changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        grid(**changes)
    return caught.value.problems


def test_a_study_of_four_kinds_from_outside_runs_and_its_records_say_so(tmp_path):
    data = write_squares(tmp_path / "data")
    study, results = ROOT / "examples" / "outside.yaml", tmp_path / "results"
    run = run_grid(study, results, "--data", str(data), folder=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    paths = results.glob("outside/cells/*/record.json")
    records = {r["cell"]["label"]: r for r in (json.loads(p.read_text()) for p in paths)}
    assert set(records) == {"cross_entropy", "TwoNetworks"}
    record = records["TwoNetworks"]
    assert record["cell"]["dataset"] == "squares" and record["cell"]["noise_slug"] == "dark"
    assert record["config"]["dataset"]["file"] == "squares.npz"
    assert "label" not in json.dumps(record["config"]["dataset"])
    assert record["ensemble_accuracy"] is not None and record["selection"] is not None
    found = record["noise"]
    assert 15 < found["no_true_class"] < 50 and 0.2 < found["realised_rate"] < 0.5
    (labels,) = results.glob("outside/noise/*.npz")
    with np.load(labels) as file:
        assert file["no_true_class"].sum() == found["no_true_class"]
    tables = [sys.executable, str(ROOT / "analysis" / "make_tables.py"), str(results / "outside")]
    table = subprocess.run(tables, capture_output=True, text=True, check=True).stdout
    count = found["no_true_class"]
    assert f"dark: {count} training images (mean over seeds) belong to none of the" in table
    again = run_grid(study, results, "--data", str(data), "--status", folder=tmp_path)
    assert "2 cells: 2 done" in again.stdout
    original = (data / "squares.npz").read_bytes()
    with np.load(data / "squares.npz") as file:
        arrays = {name: file[name].copy() for name in file.files}
    arrays["train_images"][0] += 1
    np.savez(data / "squares.npz", **arrays)
    again = run_grid(study, results, "--data", str(data), "--status", folder=tmp_path)
    assert "2 cells: 2 stale" in again.stdout
    (data / "squares.npz").write_bytes(original)
    (data / "squares.npz").unlink()  # of which finished cells need nothing
    again = run_grid(study, results, "--data", str(data), folder=tmp_path)
    assert again.returncode == 0 and "2 of 2 cells done already" in again.stdout
    more = ["--data", str(data), "--set", "axes.seed=2"]
    again = run_grid(study, results, *more, folder=tmp_path)
    assert again.returncode == 2 and "npz_images is not there" in again.stderr
    again = run_grid(study, results, *more, "--plan", folder=tmp_path)
    assert again.returncode == 0 and "4 cells: 2 missing, 2 done" in again.stdout
    assert "not ready to run: " in again.stderr and "npz_images is not there" in again.stderr


def test_samples_without_a_true_class_are_trained_on_and_never_taken_for_clean(tmp_path):
    from runners.cell.build import load_data

    (cell, _) = grid()
    data = load_data(cell, write_squares(tmp_path))
    classless = np.flatnonzero(data.noisy.truth < 0)
    parts = {
        part: set(getattr(data.split, part)) for part in ("clean_subset", "train", "noisy_val")
    }
    assert len(classless) and not parts["clean_subset"] & set(classless)
    assert set(classless) <= parts["train"] | parts["noisy_val"]
    assert sum(map(len, parts.values())) == 300
    changed = (data.noisy.images != data.arrays.train_images).any((1, 2, 3))
    assert set(np.flatnonzero(changed)) == set(classless)


def test_a_file_that_does_not_hold_what_the_data_set_says_is_a_sentence(tmp_path):
    from runners.cell.build import load_data

    (cell, _) = grid()
    with pytest.raises(datasets.base.DataError, match=r"train_images are .*: must be .*300"):
        load_data(cell, write_squares(tmp_path, train=299))


def test_a_label_names_folders_and_changes_no_key_and_no_random_stream():
    entry = grid()[0].dataset_config
    one, other = grid()[0], grid(**{"axes.dataset": [{**entry, "label": "other"}]})[0]
    assert (one.dataset, other.dataset) == ("squares", "other")
    assert one.key == other.key and one.data == other.data and one.name != other.name
    changed = grid(**{"axes.dataset": [{**entry, "channels": 3}]})[0]
    assert changed.key != one.key and changed.data != one.data
    plain = grid(**{"axes.dataset": ["simulated"], "axes.noise": ["clean"]})[0]
    named = {"name": "simulated", "label": "mine"}
    labelled = grid(**{"axes.dataset": [named], "axes.noise": ["clean"]})[0]
    assert plain.config == labelled.config and labelled.dataset == "mine"


def test_lists_of_parameters_multiply_and_a_label_tells_them_apart():
    entry = {"name": "symmetric", "rate": [0.2, 0.4], "label": "sym"}
    data = [{**grid()[0].dataset_config, "label": "x", "channels": [1, 3]}]
    made = grid(**{"axes.noise": [entry], "axes.dataset": data})
    assert {cell.noise_slug for cell in made} == {"sym-rate0.2", "sym-rate0.4"}
    assert {cell.dataset for cell in made} == {"x-channels1", "x-channels3"}


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("axes.dataset", ["examples.npz_images:Nothing"], "has no attribute 'Nothing'"),
        ("axes.dataset", ["examples.perceptron:perceptron"], "is not a data set: must be a sub"),
        ("axes.dataset", [{"name": "simulated", "size": 9}], "axes.dataset[0].size: this key"),
        (
            "axes.dataset",
            [{"name": "examples.npz_images:NpzImages", "file": "../x", "classes": 3, "n_train": 9}],
            "axes.dataset[0].file",
        ),
        ("axes.dataset", [{"name": "examples.npz_images:NpzImages"}], "file: is missing"),
        ("axes.dataset", [{"name": "simulated", "label": "../x"}], "axes.dataset[0].label"),
        ("axes.noise", ["examples.nowhere:Noise"], "No module named 'examples.nowhere'"),
        ("axes.noise", [{"name": "clean", "label": "a/b"}], "axes.noise[0].label"),
        (
            "axes.noise",
            [{"name": "symmetric", "rate": r, "label": "x"} for r in (0.2, 0.4)],
            'label "x" is given to two entries',
        ),
        ("axes.noise", [{"name": "examples.dark_images:DarkImages", "rate": 2}], "noise[0].rate"),
        ("axes.method", ["examples.perceptron:perceptron"], "is not a method: decorate it"),
        ("protocol.network", "examples.perceptron:Nothing", "protocol.network"),
        ("protocol.network", "examples.dark_images:np", "is not a network: must be a function"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(key, value, words):
    said = problems(**{key: value})
    assert words in said[0] and not any("Traceback" in sentence for sentence in said), said


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


def test_a_copy_of_the_examples_elsewhere_works_as_well(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "copied")
    study = (tmp_path / "copied" / "outside.yaml").read_text().replace("examples.", "copied.")
    (tmp_path / "study.yaml").write_text(study)
    run = run_grid(tmp_path / "study.yaml", tmp_path / "r", "--status", folder=tmp_path)
    assert run.returncode == 0 and "2 cells: 2 missing" in run.stdout, run.stderr
