"""Whole cells under noise that needs more than labels: images, scores, people, other images."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

import datasets
from datasets.human_labels import HumanLabels
from runners.cell.build import load_data
from runners.study.config import load_study
from runners.study.grid import cells
from tests.helpers.cells import ready
from tests.helpers.human import label_file

SIMULATED = datasets.get("simulated")
NOISES = {
    "human": "{name: human, labels: worst}",
    "instance_dependent": "{name: instance_dependent, rate: 0.4}",
    "feature_dependent": "{name: feature_dependent, rate: 0.4, scores: scores.npy}",
    "open_set": "{name: open_set, from: fashion_mnist_mini, rate: 0.3}",
    "imbalanced": "{name: imbalanced, factor: 0.5, noise: {name: symmetric, rate: 0.4}}",
}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder with labels of people and scores for the simulated images."""
    truth = SIMULATED.load(None).train_labels
    content = label_file(truth, (truth + (np.arange(len(truth)) % 3 == 0)) % 4)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "labels.pt").write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    human = HumanLabels("labels.pt", md5, "own", "clean_label", {"worst": "worse_label"})
    monkeypatch.setattr(type(SIMULATED), "human_labels", human, raising=False)
    np.save(tmp_path / "scores.npy", np.random.default_rng(0).random((len(truth), 4)))
    return tmp_path


@pytest.mark.parametrize("method", ["cross_entropy", "co_teaching"])
@pytest.mark.parametrize("name", NOISES)
def test_a_cell_is_trained_under_every_noise(files, name, method):
    axes = f"{{dataset: simulated, noise: {NOISES[name]}, method: {method}, seed: 1}}"
    (files / "study.yaml").write_text(
        f"study: s\naxes: {axes}\nprotocol: {{epochs: 1, batch_size: 64}}\n"
    )
    (cell,) = cells(load_study(files / "study.yaml"))
    data = load_data(cell, files)
    (epoch,) = ready(cell, data).train()
    assert epoch["train_seconds"] > 0 and 0 <= epoch["test"] <= 1
    exact = {"human": 171 / 512, "feature_dependent": 205 / 512, "open_set": 154 / 512}
    slack = 1e-9 if name in exact else 0.1
    assert data.noisy.rate == pytest.approx(exact.get(name, 0.4), abs=slack)
    shares = data.noisy.facts.keys()
    assert shares == ({"tied_share", "student_error"} if name == "feature_dependent" else set())
    used = np.concatenate(list(data.split.of_training.values()))
    assert (len(used) < 512) == (name == "imbalanced")
