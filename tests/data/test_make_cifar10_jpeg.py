"""`datasets/make_cifar10_jpeg.py` builds the JPEG copy from a checkout of its origin."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datasets.base import DataError
from datasets.cifar import CLASS_NAMES, Cifar10Jpeg
from datasets.make_cifar10_jpeg import build, in_order, original_labels
from runners.results.provenance import ROOT

SHARED = ROOT.parent / "shared" / "data" / "cifar10_jpeg" / "cifar10_jpeg.npz"
LABELS = {"train": np.array([3, 3, 0, 9, 0, 3], np.uint8), "test": np.array([1, 0, 1], np.uint8)}


def checkout(folder: Path, labels: dict[str, np.ndarray], images: dict[str, list[bytes]]) -> Path:
    """A checkout of the origin: the images of each class numbered in their order."""
    for part, of_part in labels.items():
        counts = [0] * 10
        for name in CLASS_NAMES:
            (folder / part / name).mkdir(parents=True)
        for label, image in zip(of_part, images[part], strict=True):
            path = folder / part / CLASS_NAMES[label] / f"{counts[label]:04d}.jpg"
            path.write_bytes(image)
            counts[label] += 1
    return folder


def test_images_are_put_into_the_original_order(tmp_path):
    images = {p: [f"{p}{i}".encode() for i in range(len(LABELS[p]))] for p in LABELS}
    (tmp_path / "npz").write_bytes(build(checkout(tmp_path / "c", LABELS, images), LABELS))
    with np.load(tmp_path / "npz") as file:
        assert set(file) == {f"{p}_{w}" for p in LABELS for w in ("jpeg", "offsets", "labels")} | {
            "class_names"
        }
        for part, expected in images.items():
            offsets, content = file[f"{part}_offsets"], file[f"{part}_jpeg"].tobytes()
            assert [content[a:b] for a, b in itertools.pairwise(offsets)] == expected
            assert file[f"{part}_labels"].tolist() == LABELS[part].tolist()


def test_the_shipped_labels_are_those_of_a_balanced_data_set_of_60000():
    labels = original_labels()
    assert np.bincount(labels["train"]).tolist() == [5000] * 10
    assert np.bincount(labels["test"]).tolist() == [1000] * 10
    assert labels["train"][:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]  # frog, truck, truck, deer, ...


def test_a_checkout_that_lacks_images_is_named_with_the_class(tmp_path):
    folder = checkout(tmp_path, LABELS, {"train": [b"x"] * 6, "test": [b"x"] * 3})
    (folder / "train" / "cat" / "0002.jpg").unlink()
    with pytest.raises(DataError, match=r"train/cat holds 2 \.jpg files: must be 3"):
        in_order(folder / "train", LABELS["train"])


def test_another_checkout_is_refused_in_a_sentence_and_nothing_is_written(tmp_path):
    script = ROOT / "datasets" / "make_cifar10_jpeg.py"
    line = [sys.executable, str(script), str(tmp_path), "--data", str(tmp_path / "data")]
    run = subprocess.run(line, capture_output=True, text=True)
    assert run.returncode == 2 and "holds 0 .jpg files: must be 5000" in run.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(not SHARED.is_file(), reason="cifar10_jpeg.npz is not here")
def test_the_whole_copy_is_built_to_its_checksum(tmp_path):
    with np.load(SHARED) as file:
        labels = {part: file[f"{part}_labels"] for part in ("train", "test")}
        images = {}
        for part in labels:
            offsets, content = file[f"{part}_offsets"].tolist(), file[f"{part}_jpeg"].tobytes()
            images[part] = [content[a:b] for a, b in itertools.pairwise(offsets)]
    for part, of_part in original_labels().items():
        np.testing.assert_array_equal(of_part, labels[part])
    folder = checkout(tmp_path / "checkout", labels, images)
    script = ROOT / "datasets" / "make_cifar10_jpeg.py"
    line = [sys.executable, str(script), str(folder), "--data", str(tmp_path / "data")]
    run = subprocess.run(line, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    Cifar10Jpeg().check(tmp_path / "data")  # its sha256 is the known one
