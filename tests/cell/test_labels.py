"""Stored noisy labels are those of today's code, whatever a file holds."""

from __future__ import annotations

import numpy as np
import pytest

import datasets
from datasets.noise.statistics import labels_sha256
from runners.cell.label_files import store_labels
from runners.cell.noisy_labels import noisy_labels
from tests.helpers.cells import make_cell

NOISE = {"name": "symmetric", "rate": 0.4, "exact": False, "include_true_class": False}


def drawn(folder):
    dataset = datasets.get("simulated")
    labels = noisy_labels(dataset, dataset.name, dataset.load(None), NOISE, 0)
    store_labels(folder, make_cell("gce"), labels)
    return labels


def test_labels_are_written_once_and_left_alone_when_they_are_the_same(tmp_path):
    first = drawn(tmp_path)
    (file,) = tmp_path.iterdir()
    written = file.stat().st_mtime_ns
    assert drawn(tmp_path).sha256 == first.sha256
    assert file.stat().st_mtime_ns == written


def other_labels(file) -> None:
    labels = np.zeros(512, dtype=np.int64)
    np.savez_compressed(file, labels=labels, sha256=np.array(labels_sha256(labels)))


@pytest.mark.parametrize(
    "spoil",
    [other_labels, lambda file: file.write_bytes(file.read_bytes()[:200]), lambda file: None],
    ids=["of older code", "truncated", "untouched"],
)
def test_a_file_with_other_labels_is_replaced(spoil, tmp_path):
    first = drawn(tmp_path)
    (file,) = tmp_path.iterdir()
    spoil(file)
    again = drawn(tmp_path)
    assert np.array_equal(again.labels, first.labels)
    with np.load(file, allow_pickle=False) as stored:
        assert np.array_equal(stored["labels"], first.labels)
