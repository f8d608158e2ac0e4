"""Noise that stands on something else: another noise, another data set, files that ship."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import datasets
from datasets import human_labels, noise
from datasets.base import DataError
from datasets.noise import distill, feature_scores
from datasets.noise.feature_scores import best_two, flipped, packed, unpacked
from runners.results.sources import label_sources, sources
from runners.study.config import load_study
from runners.study.grid import cells


def planned(tmp_path: Path, entry: str):
    """The one cell of a study with that noise."""
    file = tmp_path / "study.yaml"
    axes = f"{{dataset: simulated, noise: {entry}, method: gce, seed: 1}}"
    file.write_text(f"study: s\naxes: {axes}\nprotocol: {{epochs: 1}}\n")
    (cell,) = cells(load_study(file))
    return cell


@pytest.mark.parametrize(
    ("entry", "file"),
    [
        ("{name: imbalanced, factor: 0.5, noise: {name: pair_flip, rate: 0.4}}", "noise/pair_flip"),
        ("{name: open_set, from: fashion_mnist_mini, rate: 0.3}", "fashion_mnist_mini"),
    ],
)
def test_code_that_a_noise_stands_on_makes_its_cells_stale(tmp_path, entry, file):
    cell = planned(tmp_path, entry)
    assert f"datasets/{file}.py" in sources(cell)
    assert f"datasets/{file}.py" in label_sources(cell)


@pytest.mark.parametrize(
    "inner",
    [
        {"name": "labels_file", "file": "mine.csv"},
        {"name": "feature_dependent", "rate": 0.4, "scores": "x.npy"},
    ],
)
def test_a_noise_with_a_file_of_its_own_cannot_stand_inside_another(inner):
    with pytest.raises(ValidationError, match="must be a noise without a file of its own"):
        noise.of({"name": "imbalanced", "factor": 0.5, "noise": inner})


def test_imbalance_over_images_with_paths_hands_none_of_them_on():
    model = noise.of(
        {"name": "imbalanced", "factor": 0.5, "noise": {"name": "pair_flip", "rate": 0.4}}
    )
    assert "path" not in (*model.needs, *model.wants)


def test_packed_scores_of_many_images_give_the_same_labels():
    rng = np.random.default_rng(0)
    scores = rng.random((40_000, 3))  # 80,000 different best ones: more than two bytes can tell
    labels = scores.argmax(1)
    labels[::10] = (labels[::10] + 1) % 3
    best = best_two(scores)
    whole, again = (flipped(labels, each, 16_000)[0] for each in (best, unpacked(packed(best))))
    np.testing.assert_array_equal(whole, again)


def test_other_scores_in_the_place_of_those_that_ship_are_refused(monkeypatch, tmp_path):
    dataset = datasets.get("fashion_mnist_mini")
    monkeypatch.setattr(feature_scores, "EMBEDDED", tmp_path)
    rng = np.random.default_rng(0)
    other = tmp_path / "fashion_mnist_mini_scores.xz"
    other.write_bytes(packed(best_two(rng.random((dataset.n_train, 10)))))
    model = noise.get("feature_dependent")(rate=0.4)
    labels = np.zeros(dataset.n_train, np.int64)
    with pytest.raises(DataError, match=f"{other} is corrupt: its sha256"):
        model.corrupt(labels, dataset, rng, data_root=None)


def test_other_counts_in_the_place_of_those_that_ship_are_refused(monkeypatch, tmp_path):
    other = tmp_path / "human_counts.npz"
    np.savez_compressed(other, worst=np.eye(10, dtype=np.uint16))
    monkeypatch.setattr(human_labels, "COUNTS", other)
    human_labels.counts.cache_clear()
    try:
        with pytest.raises(DataError, match=f"{other} is corrupt: its sha256"):
            human_labels.counts("worst")
    finally:
        human_labels.counts.cache_clear()


def test_distilled_scores_are_the_same_again_and_make_labels(tmp_path, monkeypatch):
    files = [tmp_path / "one.xz", tmp_path / "two.xz"]
    for file in files:
        words = ["distill.py", "simulated", "--epochs", "12", "--out", str(file)]
        monkeypatch.setattr(sys, "argv", words)
        assert distill.main() == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    dataset = datasets.get("simulated")
    labels = dataset.load(None).train_labels
    model = noise.get("feature_dependent")(rate=0.25, scores=str(files[0]))
    drawn = model.corrupt(labels, dataset, np.random.default_rng(0), data_root=None)
    assert (drawn.labels != labels).sum() == 128
    assert drawn.facts["student_error"] < 0.6
