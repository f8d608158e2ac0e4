"""ANIMAL-10N in both of its versions, in miniature: layouts, order, and what is refused."""

import struct

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets.base import UNKNOWN, DataError
from datasets.check_arrays import checked

ANIMALS = datasets.get("animal10n")


@pytest.fixture(autouse=True)
def miniature(monkeypatch):
    monkeypatch.setattr(type(ANIMALS), "n_train", 12)
    monkeypatch.setattr(type(ANIMALS), "n_test", 4)


def picture(number):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[..., number % 3] = 200
    pixels[: 2 * (number + 1)] = 255
    return pixels


def write_raw(root, inner=""):
    for part, count in (("training", 12), ("testing", 4)):
        folder = root / "animal10n" / inner / part
        folder.mkdir(parents=True)
        for number in reversed(range(count)):  # a folder's own order is no order
            name = f"{number % 10}_{number:05}.jpg"
            Image.fromarray(picture(number)).save(folder / name, quality=95)
    return root


def write_binary(root):
    folder = root / "ANIMAL-10N"
    folder.mkdir(parents=True)
    for name, count in (("data_batch_1.bin", 12), ("test_batch.bin", 4)):
        content = b"".join(
            struct.pack(">ii", 1000 + k, k % 10) + picture(k).transpose(2, 0, 1).tobytes()
            for k in range(count)
        )
        (folder / name).write_bytes(content)
    return root


def test_the_raw_version_is_read_in_the_order_of_names_with_labels_out_of_them(tmp_path):
    arrays = checked(ANIMALS.load(write_raw(tmp_path)), ANIMALS)
    given = arrays.train_inputs["given"]
    assert given.tolist() == [0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert arrays.test_labels.tolist() == [0, 1, 2, 3]
    assert (arrays.train_labels == UNKNOWN).all()
    wanted = picture(10).transpose(2, 0, 1).astype(int)  # 0_00010.jpg is the second
    assert np.abs(arrays.train_images[1].astype(int) - wanted).mean() < 10
    assert ANIMALS.load(tmp_path).sha256 == arrays.sha256


def test_the_raw_version_may_lie_in_the_folder_of_its_archive(tmp_path):
    assert len(ANIMALS.load(write_raw(tmp_path, "raw_image")).train_labels) == 12


def test_the_binary_version_has_big_endian_numbers_and_planes_of_colour(tmp_path):
    arrays = checked(ANIMALS.load(write_binary(tmp_path)), ANIMALS)
    assert arrays.train_inputs["given"].tolist() == [*range(10), 0, 1]
    np.testing.assert_array_equal(arrays.train_images[4], picture(4).transpose(2, 0, 1))


def rename(root):
    file = root / "animal10n" / "training" / "3_00003.jpg"
    file.rename(file.with_name("cat.jpg"))


def remove(root):
    (root / "animal10n" / "testing" / "3_00003.jpg").unlink()


def cut(root):
    file = root / "animal10n" / "testing" / "3_00003.jpg"
    file.write_bytes(file.read_bytes()[:200])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (rename, "cat.jpg: must be called <label 0 to 9>_<number>.jpg"),
        (remove, "testing has 3 images: must have 4"),
        (cut, "cannot be read, the first is testing/3_00003.jpg"),
    ],
)
def test_a_copy_with_a_fault_is_one_sentence(tmp_path, change, sentence):
    root = write_raw(tmp_path)
    before = ANIMALS.stamp(root)
    change(root)
    assert ANIMALS.stamp(root) != before
    with pytest.raises(DataError) as caught:
        ANIMALS.load(root)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_cut_off_binary_file_and_a_missing_copy_are_named(tmp_path):
    root = write_binary(tmp_path)
    file = root / "ANIMAL-10N" / "test_batch.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match="is cut off"):
        ANIMALS.load(root)
    file.unlink()
    with pytest.raises(DataError, match="animal10n is not there: looked in"):
        ANIMALS.load(root)
