"""Files of data sets: where they are found, and what is said of missing and corrupt ones."""

import gzip
import hashlib
import io
import pickle

import numpy as np
import pytest

import datasets
from datasets import fashion_mnist, files
from datasets.base import DataError

FULL = datasets.get("fashion_mnist")


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A machine that has no data outside the repository."""
    monkeypatch.setattr(files, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    return tmp_path


def write_fashion(folder, monkeypatch, packed):
    """A Fashion-MNIST of one image a part, whose checksums are taken for the real ones."""
    folder.mkdir(parents=True)
    checksums = {}
    for number, name in enumerate(FULL.files):
        content = bytes(16) + bytes([number]) * 784 if "images" in name else bytes(8) + b"\x05"
        checksums[name] = hashlib.md5(content).hexdigest()
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    monkeypatch.setattr(type(FULL), "files", checksums)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("place", ["given/FashionMNIST/raw", "repository/data/FashionMNIST/raw"])
def test_fashion_mnist_is_found_in_torchvisions_layout(nowhere, monkeypatch, place, packed):
    write_fashion(nowhere / place, monkeypatch, packed)
    FULL.check(nowhere / "given")
    arrays = FULL.load(nowhere / "given")
    assert arrays.train_images.shape == arrays.test_images.shape == (1, 1, 28, 28)
    assert (arrays.train_images == 0).all() and (arrays.test_images == 2).all()
    assert arrays.train_labels.tolist() == arrays.test_labels.tolist() == [5]


def test_fashion_mnist_is_found_where_debian_puts_it(nowhere, monkeypatch):
    write_fashion(nowhere / "debian", monkeypatch, packed=True)
    assert FULL.load(None).test_labels.tolist() == [5]


def test_a_given_data_root_comes_before_the_usual_places(nowhere, monkeypatch):
    write_fashion(nowhere / "given" / "FashionMNIST" / "raw", monkeypatch, packed=False)
    write_fashion(nowhere / "debian", monkeypatch, packed=True)
    assert FULL.find(nowhere / "given") == nowhere / "given" / "FashionMNIST" / "raw"


@pytest.mark.parametrize("damage", ["other bytes", "not gzip", "cut short"])
def test_corrupt_fashion_mnist_is_named_with_its_checksum(nowhere, monkeypatch, damage):
    write_fashion(nowhere / "debian", monkeypatch, packed=True)
    path = nowhere / "debian" / "train-labels-idx1-ubyte.gz"
    content = {
        "other bytes": gzip.compress(b"something else"),
        "not gzip": b"<html>",
        "cut short": path.read_bytes()[:-9],
    }[damage]
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        FULL.check(None)
    assert str(path) in str(caught.value)
    assert FULL.files["train-labels-idx1-ubyte"] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("fashion_mnist", "python datasets/download.py fashion_mnist --data DIR"),
        ("fashion_mnist", "apt-get install dataset-fashion-mnist"),
        ("cifar10", "python datasets/download.py cifar10 --data DIR"),
        ("cifar10_jpeg", "put cifar10_jpeg.npz into the folder cifar10_jpeg"),
    ],
)
def test_missing_data_are_one_sentence_that_says_what_to_type(nowhere, name, typed):
    for read in (datasets.get(name).check, datasets.get(name).load):
        with pytest.raises(DataError) as caught:
            read(nowhere / "given")
        sentence = str(caught.value)
        assert sentence.startswith(f"{name} is not there: looked in {nowhere / 'given'}")
        assert str(nowhere / "repository" / "data") in sentence
        assert typed in sentence and "\n" not in sentence


def write_cifar10(root):
    """CIFAR-10 in miniature: two images a batch; returns the MD5 of each file."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    checksums = {}
    for number, name in enumerate(datasets.get("cifar10").files):
        pixels = np.full((2, 3072), number, dtype=np.uint8)
        pixels[0, :1024] = 200  # the red plane comes first
        content = pickle.dumps({"data": pixels, "labels": [number, 9]}, protocol=2)
        (folder / name).write_bytes(content)
        checksums[name] = hashlib.md5(content).hexdigest()
    return checksums


def test_cifar10_with_a_wrong_checksum_is_never_unpickled(nowhere, monkeypatch):
    write_cifar10(nowhere)
    monkeypatch.setattr(pickle, "loads", lambda *a, **k: pytest.fail("an unknown file was loaded"))
    dataset = datasets.get("cifar10")
    for read in (dataset.check, dataset.load):
        with pytest.raises(DataError) as caught:
            read(nowhere)
        sentence = str(caught.value)
        path = nowhere / "cifar-10-batches-py" / "data_batch_1"
        assert f"{path} is corrupt" in sentence
        assert dataset.files["data_batch_1"] in sentence
        assert hashlib.md5(path.read_bytes()).hexdigest() in sentence


def test_cifar10_batches_are_joined_in_order_and_planes_are_channels(nowhere, monkeypatch):
    dataset = datasets.get("cifar10")
    monkeypatch.setattr(type(dataset), "files", write_cifar10(nowhere))
    arrays = dataset.load(nowhere)
    assert arrays.train_labels.tolist() == [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]
    assert arrays.test_labels.tolist() == [5, 9]
    assert arrays.train_images.shape == (10, 3, 32, 32)
    assert (arrays.train_images[2, 0] == 200).all() and (arrays.train_images[2, 1:] == 1).all()


@pytest.mark.parametrize(("name", "first"), [("cifar100", [19, 29]), ("cifar100_coarse", [11, 15])])
def test_cifar100_gives_its_fine_or_its_coarse_labels(nowhere, monkeypatch, name, first):
    folder = nowhere / "cifar-100-python"
    folder.mkdir(parents=True)
    checksums = {}
    for part in ("train", "test"):
        labels = {"fine_labels": [19, 29], "coarse_labels": [11, 15]}
        pixels = np.full((2, 3072), 7, dtype=np.uint8)
        content = pickle.dumps({"data": pixels, **labels}, protocol=2)
        (folder / part).write_bytes(content)
        checksums[part] = hashlib.md5(content).hexdigest()
    dataset = datasets.get(name)
    monkeypatch.setattr(type(dataset), "files", checksums)
    arrays = dataset.load(nowhere)
    assert arrays.train_labels.tolist() == arrays.test_labels.tolist() == first
    assert [dataset.class_names[k] for k in first] == {
        "cifar100": ["cattle", "dinosaur"],
        "cifar100_coarse": ["large omnivores and herbivores", "reptiles"],
    }[name]
    assert arrays.train_images.shape == (2, 3, 32, 32)


def write_jpegs(root, monkeypatch):
    """A cifar10_jpeg of five images whose checksum is taken for the real one."""
    image = pytest.importorskip("PIL.Image")
    fields = {}
    for part, labels in (("train", [3, 1, 2]), ("test", [0, 9])):
        files = []
        for label in labels:
            stream = io.BytesIO()
            image.new("RGB", (32, 32), (20 * label, 0, 100)).save(stream, "JPEG")
            files.append(stream.getvalue())
        fields[f"{part}_jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        fields[f"{part}_offsets"] = np.cumsum([0, *map(len, files)]).astype(np.uint32)
        fields[f"{part}_labels"] = np.array(labels, np.uint8)
    path = root / "cifar10_jpeg" / "cifar10_jpeg.npz"
    path.parent.mkdir(parents=True)
    np.savez_compressed(path, **fields)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(type(datasets.get("cifar10_jpeg")), "files", {path.name: checksum})
    return path


def expect_jpegs(arrays):
    assert arrays.train_labels.tolist() == [3, 1, 2]
    assert arrays.test_labels.tolist() == [0, 9]
    assert arrays.train_images.shape == (3, 3, 32, 32)
    np.testing.assert_allclose(
        arrays.train_images[:, :, 5, 5], [[60, 0, 100], [20, 0, 100], [40, 0, 100]], atol=4
    )


@pytest.mark.parametrize("closed", [False, True])
def test_decoded_jpegs_are_kept_beside_the_file_or_in_the_users_cache(nowhere, monkeypatch, closed):
    path = write_jpegs(nowhere, monkeypatch)
    monkeypatch.setenv("XDG_CACHE_HOME", str(nowhere / "cache"))
    if closed:
        path.parent.chmod(0o555)
    place = nowhere / "cache" / "noisy-label-suite" if closed else path.parent
    dataset = datasets.get("cifar10_jpeg")
    first = dataset.load(nowhere)
    expect_jpegs(first)
    [cache] = place.glob("*decoded.npz")
    monkeypatch.setattr("datasets.jpeg._decode", lambda _: pytest.fail("decoded again"))
    again = dataset.load(nowhere)
    expect_jpegs(again)
    assert again.sha256 == first.sha256
    assert sorted(place.iterdir()) == sorted({cache} | ({path} if not closed else set()))


class Evil:
    """Fails the test where its pickle is loaded."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("damage", ["cut", "other arrays", "a pickle"])
def test_a_damaged_cache_is_made_again(nowhere, monkeypatch, damage):
    path = write_jpegs(nowhere, monkeypatch)
    dataset = datasets.get("cifar10_jpeg")
    expected = dataset.load(nowhere).sha256
    [cache] = path.parent.glob("*decoded.npz")
    if damage == "cut":
        cache.write_bytes(cache.read_bytes()[:-100])
    else:
        with np.load(cache) as npz:
            fields = dict(npz)
        fields["train_images"][0, 0, 0, 0] += 1
        if damage == "a pickle":
            fields["train_images"] = np.array([Evil()], dtype=object)
        np.savez(cache, **fields)
    expect_jpegs(dataset.load(nowhere))
    assert dataset.load(nowhere).sha256 == expected


def test_a_corrupt_jpeg_file_is_named_with_its_checksum(nowhere):
    path = nowhere / "cifar10_jpeg" / "cifar10_jpeg.npz"
    path.parent.mkdir()
    path.write_bytes(b"not an npz")
    with pytest.raises(DataError, match=f"{path} is corrupt: its sha256 is .* expected 8290735662"):
        datasets.get("cifar10_jpeg").load(nowhere)
