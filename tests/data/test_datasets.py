"""Data sets: what is loaded is what their facts promise."""

import hashlib
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import base, fashion_mnist_mini, make_fashion_mnist_mini
from datasets.base import Arrays, DataError

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
REAL_NOISE = ("animal10n", "clothing1m", "food101n", "mini_webvision")
"""Of which nobody knows the true classes of all images; each has tests of its own."""
MINI = datasets.get("fashion_mnist_mini")
FULL = datasets.get("fashion_mnist")


def is_there(name, root=None):
    try:
        datasets.get(name).find(root)
    except DataError:
        return False
    return True


needs_full = pytest.mark.skipif(
    not is_there("fashion_mnist"), reason="the original Fashion-MNIST files are not here"
)


def expect_facts(dataset, arrays):
    """The arrays keep what the class says of them."""
    shape = (dataset.channels, dataset.size, dataset.size)
    assert arrays.train_images.shape == (dataset.n_train, *shape)
    assert arrays.test_images.shape == (dataset.n_test, *shape)
    assert arrays.train_images.dtype == arrays.test_images.dtype == np.uint8
    assert arrays.train_labels.dtype == arrays.test_labels.dtype == np.int64
    assert tuple(np.bincount(arrays.train_labels)) == dataset.class_counts
    assert set(np.bincount(arrays.test_labels)) == {dataset.n_test // dataset.classes}
    for channel in range(dataset.channels):
        counts = np.bincount(arrays.train_images[:, channel].ravel(), minlength=256)
        mean = np.average(np.arange(256), weights=counts)
        std = np.sqrt(np.average((np.arange(256) - mean) ** 2, weights=counts))
        assert mean / 255 == pytest.approx(dataset.mean[channel], abs=0.002)
        assert std / 255 == pytest.approx(dataset.std[channel], abs=0.003)


def test_every_promised_data_set_is_found():
    cifar = ["cifar10", "cifar100", "cifar100_coarse", "cifar10_jpeg"]
    others = ["fashion_mnist", "fashion_mnist_mini", "image_folder", "simulated"]
    assert sorted([*REAL_NOISE, *cifar, *others]) == datasets.names()


@pytest.mark.parametrize(
    "name", [n for n in datasets.names() if n not in (*REAL_NOISE, "image_folder")]
)
def test_facts_of_a_data_set_fit_together(name):
    dataset = datasets.get(name)
    assert dataset.name == name
    assert len(dataset.mean) == len(dataset.std) == dataset.channels
    assert sum(dataset.class_counts) == dataset.n_train
    assert len(dataset.class_counts) == dataset.classes
    assert dataset.asymmetric_map.items() <= set(itertools.permutations(range(dataset.classes), 2))
    small = dataset.size < 32
    assert dataset.default_network == ("small_cnn" if small else "cnn8")
    assert dataset.augment == ("none" if small else "crop_flip")


@pytest.mark.parametrize("name", datasets.names())
def test_the_source_of_a_data_set_is_a_file_of_the_folder(name):
    assert datasets.source(name).parent == ROOT / "datasets"


def test_an_unknown_name_is_a_key_error():
    with pytest.raises(KeyError):
        datasets.get("imagenet")


def test_mini_is_what_it_says_it_is():
    MINI.check(None)
    arrays = MINI.load(None)
    expect_facts(MINI, arrays)
    assert arrays.sha256 == fashion_mnist_mini.ARRAYS_SHA256
    assert (len(arrays.train_labels), len(arrays.test_labels)) == (12_000, 3_000)


def test_the_embedded_files_fit_into_their_budget_and_keep_the_licence():
    files = list((ROOT / "datasets" / "embedded").iterdir())
    assert sum(file.stat().st_size for file in files) <= 6_500_000
    licence = (ROOT / "datasets" / "embedded" / "LICENSE-Fashion-MNIST").read_text("utf-8")
    assert "Zalando" in licence and "Permission is hereby granted" in licence


@pytest.mark.parametrize("position", [0, 1_000_000, -1])
def test_a_corrupt_embedded_file_is_named_with_its_checksums(monkeypatch, tmp_path, position):
    content = bytearray((fashion_mnist_mini.EMBEDDED / fashion_mnist_mini.FILE).read_bytes())
    content[position] ^= 1
    (tmp_path / fashion_mnist_mini.FILE).write_bytes(content)
    monkeypatch.setattr(fashion_mnist_mini, "EMBEDDED", tmp_path)
    for read in (MINI.check, MINI.load):
        with pytest.raises(DataError) as caught:
            read(None)
        sentence = str(caught.value)
        assert str(tmp_path / fashion_mnist_mini.FILE) in sentence
        assert fashion_mnist_mini.FILE_SHA256 in sentence
        assert hashlib.sha256(content).hexdigest() in sentence


@needs_full
def test_mini_holds_the_first_images_of_each_class_of_the_original():
    full, mini = FULL.load(None), MINI.load(None)
    expect_facts(FULL, full)
    train, test = MINI.original_index()
    np.testing.assert_array_equal(full.train_images[train], mini.train_images)
    np.testing.assert_array_equal(full.train_labels[train], mini.train_labels)
    np.testing.assert_array_equal(full.test_images[test], mini.test_images)
    np.testing.assert_array_equal(full.test_labels[test], mini.test_labels)
    last = train[mini.train_labels == 3].max()
    assert (full.train_labels[: last + 1] == 3).sum() == 1_200


@needs_full
@pytest.mark.slow
def test_the_script_makes_the_embedded_file_again_byte_for_byte(tmp_path):
    script = ROOT / "datasets" / "make_fashion_mnist_mini.py"
    out = tmp_path / "again.xz"
    subprocess.run([sys.executable, script, "--out", out], check=True, cwd=tmp_path)
    assert out.read_bytes() == (fashion_mnist_mini.EMBEDDED / fashion_mnist_mini.FILE).read_bytes()


def test_the_subset_rule_takes_the_first_of_each_class_in_order():
    index = make_fashion_mnist_mini.first_of_each_class(np.array([1, 0, 1, 1, 0, 0]), 2)
    assert index.tolist() == [0, 1, 2, 4]


@pytest.mark.slow
@pytest.mark.skipif(not is_there("cifar10_jpeg", SHARED), reason="cifar10_jpeg.npz is not here")
def test_the_jpeg_copy_of_cifar10_is_what_it_says_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    dataset = datasets.get("cifar10_jpeg")
    dataset.check(SHARED)
    expect_facts(dataset, dataset.load(SHARED))


def test_simulated_images_are_always_the_same():
    dataset = datasets.get("simulated")
    dataset.check(None)
    arrays = dataset.load(None)
    expect_facts(dataset, arrays)
    expected = "fcf253341301b0f5647eb6b1b9a869b179d188d7f24029394a2c6c9ee1aa8706"
    assert arrays.sha256 == expected


def test_a_small_network_learns_the_simulated_images_within_a_few_epochs():
    torch = pytest.importorskip("torch")
    import networks

    dataset = datasets.get("simulated")
    arrays = dataset.load(None)
    images, test_images = (
        (torch.from_numpy(pixels) / 255 - dataset.mean[0]) / dataset.std[0]
        for pixels in (arrays.train_images, arrays.test_images)
    )
    labels, test_labels = map(torch.from_numpy, (arrays.train_labels, arrays.test_labels))
    torch.manual_seed(0)
    network = networks.build("small_cnn", 1, dataset.size, dataset.classes)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    for _ in range(4):
        for batch in torch.randperm(len(labels)).split(64):
            loss = torch.nn.functional.cross_entropy(network(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    accuracy = (network.eval()(test_images).argmax(1) == test_labels).float().mean()
    assert accuracy > 0.9


def test_the_fingerprint_of_arrays_covers_values_shape_and_dtype():
    array = np.arange(6, dtype=np.uint8)
    prints = {
        base.sha256_of_arrays(a)
        for a in (array, array[::-1], array.reshape(2, 3), array.astype(np.int64))
    }
    assert len(prints) == 4
    assert base.sha256_of_arrays(array.astype(">i8")) == base.sha256_of_arrays(array.astype("<i8"))


def test_loaded_arrays_may_be_written_to():
    frozen = np.frombuffer(bytes(4), np.uint8)
    arrays = Arrays.of(frozen, frozen, frozen, frozen)
    assert all(getattr(arrays, name).flags.writeable for name in ("train_images", "test_labels"))
