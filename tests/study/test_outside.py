"""Methods, data sets, noise models and networks from outside: found, checked, hashed, run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from runners.results.provenance import ROOT
from tests.helpers.cli import run_grid
from tests.helpers.outside import grid, problems


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


def test_a_copy_of_the_examples_elsewhere_works_as_well(tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "copied")
    study = (tmp_path / "copied" / "outside.yaml").read_text().replace("examples.", "copied.")
    (tmp_path / "study.yaml").write_text(study)
    run = run_grid(tmp_path / "study.yaml", tmp_path / "r", "--status", folder=tmp_path)
    assert run.returncode == 0 and "2 cells: 2 missing" in run.stdout, run.stderr
