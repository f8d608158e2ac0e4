"""Data sets that are packed, on miniatures of their real layouts with the traps of each."""

from __future__ import annotations

import re

import numpy as np
import pytest

import datasets
from datasets import check
from datasets.base import NO_CLASS, UNKNOWN, DataError
from datasets.check_arrays import checked
from tests.helpers.large_sets import (
    LAYOUTS,
    STORED,
    arrays,
    clothing,
    food,
    prepared,
    webvision,
    write_lines,
)


@pytest.fixture(autouse=True)
def fresh():
    datasets.forget()
    yield
    datasets.forget()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_faithful_copy_is_as_it_should_be_and_can_be_packed(name, tmp_path, monkeypatch, capsys):
    LAYOUTS[name](tmp_path, monkeypatch)
    assert check.main([name, "--data", str(tmp_path)]) == 0
    assert f"{name} is as it should be" in capsys.readouterr().out
    assert prepared(name, tmp_path) == 0
    assert re.search(rf"{name} is packed in \S+\.packed \(", capsys.readouterr().out)
    assert check.main([name, "--data", str(tmp_path)]) == 0
    assert f"{name}-{STORED}.packed: intact" in capsys.readouterr().out
    found = arrays(name, tmp_path)
    assert found.train_images.short_side == STORED
    assert found.sha256 == datasets.get(name, {"stored": STORED}).load(tmp_path).sha256


@pytest.mark.parametrize("prefix", [True, False], ids=["images/", "cut off"])
def test_clothing1m_trains_on_the_key_list_without_images_of_the_clean_parts(
    prefix, tmp_path, monkeypatch
):
    clothing(tmp_path, monkeypatch, prefix=prefix)
    assert prepared("clothing1m", tmp_path) == 0
    found = arrays("clothing1m", tmp_path)
    labels = np.repeat(np.arange(14), 8)
    wrong = np.arange(112) % 4 == 3
    assert np.array_equal(found.train_inputs["given"], np.where(wrong, (labels + 1) % 14, labels))
    assert set(found.train_labels) == {UNKNOWN}
    assert np.array_equal(found.test_labels, np.repeat(np.arange(14), 2))
    assert np.array_equal(found.clean_labels, np.repeat(np.arange(14), 2))


def test_food101n_knows_what_people_verified_and_joins_by_class_and_name(tmp_path, monkeypatch):
    food(tmp_path, monkeypatch)
    assert prepared("food101n", tmp_path) == 0
    found = arrays("food101n", tmp_path)
    given, truth = found.train_inputs["given"], found.train_labels
    assert len(given) == 404 and np.bincount(given).tolist() == [4] * 101
    # Of each class one image is verified for training and one for validation.
    assert (truth == UNKNOWN).sum() == 202
    assert np.array_equal(truth[truth >= 0], given[truth >= 0])
    assert set(given[truth == NO_CLASS] % 3) == {0} and (truth == NO_CLASS).sum() == 68
    assert np.array_equal(found.test_labels, np.arange(101))
    own = arrays("food101n", tmp_path, split="metalabelnet")
    assert len(own.train_images) == 303 and (own.test_labels % 3 > 0).all()
    assert len(own.test_labels) == 67 and len(own.clean_labels) == 101


@pytest.mark.parametrize("numbered", [False, True], ids=["WordNet", "0 to 49"])
def test_mini_webvision_has_50_classes_of_google_and_two_test_sets(numbered, tmp_path, monkeypatch):
    webvision(tmp_path, monkeypatch, numbered=numbered)
    assert prepared("mini_webvision", tmp_path) == 0
    found = arrays("mini_webvision", tmp_path)
    assert np.array_equal(found.train_inputs["given"], np.repeat(np.arange(50), 3))
    assert np.array_equal(found.test_labels, np.repeat(np.arange(50), 2))
    imagenet = arrays("mini_webvision", tmp_path, split="imagenet")
    assert np.array_equal(imagenet.test_labels, np.repeat(np.arange(50), 2))
    assert imagenet.test_images.jpeg(0) != found.test_images.jpeg(0)
    assert imagenet.sha256 != found.sha256


def test_the_clean_set_of_webvision_is_part_of_its_validation_images(tmp_path, monkeypatch):
    webvision(tmp_path, monkeypatch, per_class=1, val=22)
    assert prepared("mini_webvision", tmp_path) == 0
    monkeypatch.setattr(type(datasets.get("mini_webvision")), "n_test", 100)
    own = datasets.get("mini_webvision", {"stored": STORED, "split": "metalabelnet"})
    monkeypatch.setattr(own, "n_test", 100)
    found = checked(own.load(tmp_path), own)
    assert np.bincount(found.clean_labels).tolist() == [20] * 50
    assert np.bincount(found.test_labels).tolist() == [2] * 50
    jpegs = {found.test_images.jpeg(k) for k in range(100)}
    assert not jpegs & {found.clean_images.jpeg(k) for k in range(1000)}


def test_a_few_images_may_be_missing_of_the_published_number(tmp_path, monkeypatch):
    clothing(tmp_path, monkeypatch)
    kind = type(datasets.get("clothing1m"))
    for count, rc in ((113, 0), (114, 2)):  # of which 112 are there
        monkeypatch.setattr(kind, "n_train", count)
        monkeypatch.setattr(kind, "published", {"train": count})
        assert prepared("clothing1m", tmp_path) == rc
    monkeypatch.setattr(kind, "n_train", 113)
    assert len(arrays("clothing1m", tmp_path).train_images) == 112
    monkeypatch.setattr(kind, "n_train", 114)
    with pytest.raises(DataError, match=r"train_images are 112: must be 114"):
        arrays("clothing1m", tmp_path)


def lines(path):
    return path.read_text(encoding="utf-8").splitlines()


def change(path, number, line):
    kept = lines(path)
    kept[number] = line
    write_lines(path, kept)


MISTAKES = {
    "a label too many": (
        clothing,
        lambda root: change(root / "noisy_label_kv.txt", 4, "images/0/00/x.jpg 14"),
        r"noisy_label_kv.txt, line 5: label is 14: must be 0 to 13",
    ),
    "no labels": (
        clothing,
        lambda root: write_lines(root / "clean_label_kv.txt", ["images/0.jpg"] * 10),
        r"clean_label_kv.txt: 10 of 10 lines have no label",
    ),
    "a missing list": (
        clothing,
        lambda root: (root / "clean_test_key_list.txt").unlink(),
        r"clean_test_key_list.txt is not there: looked for ",
    ),
    "another list": (
        clothing,
        lambda root: write_lines(root / "clean_val_key_list.txt", ["images/0.jpg"]),
        r"clean_label_kv.txt has no label of 1 images of clean",
    ),
    "no text": (
        clothing,
        lambda root: (root / "noisy_train_key_list.txt").write_bytes(b"\xff\xfe\x00"),
        r"noisy_train_key_list.txt is no text in UTF-8",
    ),
    "other classes": (
        food,
        lambda root: change(root / "meta" / "classes.txt", 1, "apple_cake"),
        r"classes.txt: 'apple_cake' is there or missing: must be the 101 classes",
    ),
    "no verdict": (
        food,
        lambda root: change(root / "meta" / "verified_val.tsv", 3, "waffles/1.jpg 1"),
        r"verified_val.tsv: 'waffles/1.jpg 1' must end in a tab and 0 or 1",
    ),
    "another order": (
        webvision,
        lambda root: change(root / "info" / "synsets.txt", 2, "n00000000 nothing"),
        r"synsets.txt, line 3: must be n01484850 \(great white shark\)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_wrong_with_a_copy_is_one_sentence(name, tmp_path, monkeypatch, capsys):
    layout, spoil, sentence = MISTAKES[name]
    spoil(layout(tmp_path, monkeypatch))
    dataset = next(each for each, made in LAYOUTS.items() if made is layout)
    assert prepared(dataset, tmp_path) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert re.search(sentence, said), said
    assert check.main([dataset, "--data", str(tmp_path)]) == 1
    assert re.search(f"wrong: .*{sentence}", capsys.readouterr().err)
