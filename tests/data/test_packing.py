"""The packed file: what is stored, where packing goes on, and what a damaged one says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

import datasets
from datasets import check, packing
from datasets.base import DataError
from datasets.packed import Packed
from tests.helpers.large_sets import (
    LAYOUTS,
    STORED,
    arrays,
    as_array,
    clothing,
    picture,
    prepared,
)


def brightness(pixels):
    return pixels @ np.array([0.299, 0.587, 0.114])


@pytest.fixture(autouse=True)
def fresh():
    datasets.forget()
    yield
    datasets.forget()


def test_images_keep_their_shape_their_order_and_their_looks(tmp_path, monkeypatch):
    root = clothing(tmp_path, monkeypatch)
    assert prepared("clothing1m", tmp_path) == 0
    images = arrays("clothing1m", tmp_path).train_images
    keys = (root / "noisy_train_key_list.txt").read_text().split("\n")
    assert Packed(root / f"clothing1m-{STORED}.packed").paths("train") == keys[:112]
    for position in (0, 1, 2, 3, 4, 5, 111):
        stored = as_array(images.jpeg(position))
        with Image.open(root / keys[position]) as image:
            upright = image.rotate(-90, expand=True) if position == 5 else image
            small = upright.convert("RGB")
            small = small.resize(stored.shape[1::-1], Image.Resampling.BILINEAR)
            ratio = upright.width / upright.height
        assert min(stored.shape[:2]) == STORED and stored.shape[2] == 3
        assert stored.shape[1] / stored.shape[0] == pytest.approx(ratio, abs=0.04)
        # JPEG halves the resolution of colours, so brightness is compared.
        assert np.abs(brightness(stored) - brightness(np.asarray(small))).mean() < 4
        assert images[position].shape == (3, STORED, STORED)  # for people: its middle
    assert prepared("clothing1m", tmp_path, "--fit", "stretch") == 0
    stretched = arrays("clothing1m", tmp_path, fit="stretch").train_images
    assert as_array(stretched.jpeg(0)).shape == (STORED, STORED, 3)


def test_a_picture_that_has_the_size_already_is_not_compressed_again(tmp_path, monkeypatch):
    root = clothing(tmp_path, monkeypatch)
    key = (root / "noisy_train_key_list.txt").read_text().split("\n")[0]
    picture(0, 0).resize((STORED, 40)).save(root / key, quality=70)
    assert prepared("clothing1m", tmp_path) == 0
    assert arrays("clothing1m", tmp_path).train_images.jpeg(0) == (root / key).read_bytes()


@pytest.mark.parametrize("name", LAYOUTS)
def test_packing_goes_on_where_it_was_stopped_to_the_same_bytes(name, tmp_path, monkeypatch):
    folder = LAYOUTS[name](tmp_path, monkeypatch)
    monkeypatch.setattr(packing, "BLOCK", 20)
    assert prepared(name, tmp_path, "--out", str(tmp_path / "whole")) == 0

    class Stopped(BaseException):
        pass

    made = []

    def stopping(part, path, wanted):
        made.append(path)
        if len(made) == 75:
            raise Stopped
        return small(part, path, wanted)

    small = packing._small
    with monkeypatch.context() as broken:
        broken.setattr(packing, "_small", stopping)
        with pytest.raises(Stopped):
            prepared(name, tmp_path, "--threads", "1")
        part = next(folder.glob("*.part"))
        part.write_bytes(part.read_bytes() + b"half a block")
        made.clear()
        made += [None] * 100
        assert prepared(name, tmp_path) == 0
    place = next(folder.glob("*.packed"))
    assert place.read_bytes() == (tmp_path / "whole" / place.name).read_bytes()
    count = sum(Packed(place).meta["parts"][k][1] for k in range(len(Packed(place).meta["parts"])))
    assert len(made) - 100 == count - 60  # three blocks were there
    assert not list(folder.glob("*.part*"))


def test_another_copy_or_size_begins_anew(tmp_path, monkeypatch):
    root = clothing(tmp_path, monkeypatch)
    whole = root / f"clothing1m-{STORED}.packed"
    (root / f"{whole.name}.part").write_bytes(b"something else")
    (root / f"{whole.name}.part.jsonl").write_text('{"name": "clothing1m"}\nno JSON')
    assert prepared("clothing1m", tmp_path) == 0
    Packed(whole).verify()


def test_unreadable_images_are_left_out_and_named_and_many_are_refused(
    tmp_path, monkeypatch, capsys
):
    root = clothing(tmp_path, monkeypatch)
    keys = (root / "noisy_train_key_list.txt").read_text().split("\n")
    (root / keys[7]).write_bytes((root / keys[7]).read_bytes()[:300])
    (root / keys[9]).unlink()
    assert prepared("clothing1m", tmp_path) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"cannot be read, the first is images/\S+ of train \(.*must be at most", said)
    assert check.main(["clothing1m", "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "train: 1 files are missing" in said and "unreadable images, such as images/" in said
    assert prepared("clothing1m", tmp_path, "--most-broken", "0.02") == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("left out")]
    assert (
        len(said) == 2 and f"left out of train: {keys[9]} cannot be read (No such file" in said[1]
    )
    packed = Packed(root / f"clothing1m-{STORED}.packed")
    assert [path for _, path, _ in packed.meta["left_out"]] == [keys[7], keys[9]]
    images = packed.images("train")
    assert len(images) == 110 and len(packed.paths("train")) == 110
    expected = np.delete(np.arange(112), [7, 9])
    given = np.where(expected % 4 == 3, (expected // 8 + 1) % 14, expected // 8)
    assert np.array_equal(images.labels, given)
    for k in (6, 7, 109):
        number = int(expected[k])
        mean = as_array(images.jpeg(k)).mean((0, 1))
        assert np.abs(mean - np.asarray(picture(number // 8, number)).mean((0, 1))).max() < 6


DAMAGE = {
    "cut off": (lambda content: content[:-1], "is cut off or no packed file"),
    "empty": (lambda content: b"", "is cut off or no packed file"),
    "its index": (lambda content: content[:-70] + b"?" + content[-69:], "its index is damaged"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_packed_file_is_found_when_it_is_opened(name, tmp_path, monkeypatch):
    root = clothing(tmp_path, monkeypatch)
    assert prepared("clothing1m", tmp_path) == 0
    place = root / f"clothing1m-{STORED}.packed"
    change, sentence = DAMAGE[name]
    place.write_bytes(change(place.read_bytes()))
    with pytest.raises(DataError, match=sentence):
        datasets.get("clothing1m", {"stored": STORED}).check(tmp_path)


def test_damaged_images_of_a_packed_file_are_found_by_reading_it_through(
    tmp_path, monkeypatch, capsys
):
    root = clothing(tmp_path, monkeypatch)
    assert prepared("clothing1m", tmp_path) == 0
    place = root / f"clothing1m-{STORED}.packed"
    content = bytearray(place.read_bytes())
    content[5000] ^= 1
    place.write_bytes(content)
    datasets.get("clothing1m", {"stored": STORED}).check(tmp_path)  # opening does not read all
    assert check.main(["clothing1m", "--data", str(tmp_path)]) == 1
    assert "images 0 to 167 are damaged: make the file again" in capsys.readouterr().err


def test_what_is_not_packed_is_told_with_the_command_that_packs_it(tmp_path, monkeypatch):
    clothing(tmp_path, monkeypatch)
    dataset = datasets.get("clothing1m", {"stored": 64, "fit": "stretch"})
    command = "python datasets/prepare.py clothing1m --size 64 --fit stretch"
    with pytest.raises(DataError, match=f"clothing1m is not packed: looked for .*`{command}`"):
        dataset.check(tmp_path)
