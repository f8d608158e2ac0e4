"""Noise that a person states: given labels, label files, a matrix, a map of classes."""

import numpy as np
import pytest

import datasets
from datasets import noise
from datasets.base import DataError
from tests.helpers.own_images import write_list

SIMULATED = datasets.get("simulated")
CLASSES = SIMULATED.class_names
RNG = np.random.default_rng(0)


def labels_of(rows, tmp_path, count=4, **inputs):
    model = noise.get("labels_file")(file=str(write_list(tmp_path / "labels.csv", rows)))
    given = np.zeros(count, np.int64)
    return model.corrupt(given, SIMULATED, RNG, given=given, **inputs)


def test_given_labels_are_taken_as_they_are_and_a_rate_is_only_stated():
    model = noise.get("given")()
    given = np.array([1, 0, 3])
    np.testing.assert_array_equal(model.corrupt(np.full(3, -2), SIMULATED, RNG, given=given), given)
    assert (model.nominal_rate, noise.get("given")(rate=0.3).nominal_rate) == (None, 0.3)
    assert noise.get("given")(rate=0.3).display == "Given stated 0.3"
    assert model.transition_matrix(SIMULATED) is None


def test_a_label_file_may_number_or_name_classes_and_list_images_in_any_order(tmp_path):
    rows = [{"index": str(k), "noisy": str(3 - k)} for k in (2, 0, 3, 1)]
    assert labels_of(rows, tmp_path).labels.tolist() == [3, 2, 1, 0]
    rows = [{"index": str(k), "label": name} for k, name in enumerate(CLASSES)]
    assert labels_of(rows, tmp_path).labels.tolist() == [0, 1, 2, 3]


def test_a_reviewed_list_counts_where_it_has_a_label_and_else_what_was_given(tmp_path):
    rows = [{"path": f"{k}.png", "given": CLASSES[0], "label": ""} for k in (2, 9, 0, 1, 3)]
    rows[0]["label"] = CLASSES[3]
    drawn = labels_of(rows, tmp_path, path=np.array(["0.png", "1.png", "2.png", "3.png"]))
    assert drawn.labels.tolist() == [0, 0, 3, 0]
    assert drawn.facts == {"rows_passed_over": 1}


GOOD = [{"index": str(k), "label": "1"} for k in range(4)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (GOOD[:3], "has no row for 1 of 4 training images of simulated, the first is index 3"),
        ([*GOOD, GOOD[2]], "line 6: index 2 is there twice"),
        ([*GOOD[:3], {"index": "3", "label": "cat"}], "label 'cat' is no class of simulated"),
        ([*GOOD[:3], {"index": "3", "label": "4"}], "label '4' is no class of simulated"),
        ([{"index": "0", "true": "1"}], "has no column label or noisy"),
        ([{"image": "0", "label": "1"}], "has no column index"),
    ],
)
def test_a_label_file_that_does_not_fit_is_one_sentence(tmp_path, rows, sentence):
    with pytest.raises(DataError) as caught:
        labels_of(rows, tmp_path)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_a_label_file_that_changes_has_another_stamp(tmp_path):
    file = write_list(tmp_path / "labels.csv", GOOD)
    model = noise.get("labels_file")(file=str(file))
    before = model.stamp(None)
    write_list(file, [*GOOD[:3], {"index": "3", "label": "0"}])
    assert model.stamp(None) != before
    file.unlink()
    with pytest.raises(DataError):
        model.stamp(None)


MATRIX = [[0.5, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0.1, 0.1, 0.1, 0.7]]


def test_a_matrix_comes_from_the_study_or_a_file_and_labels_follow_it(tmp_path):
    given = noise.get("matrix")(rows=MATRIX)
    np.savetxt(tmp_path / "m.csv", MATRIX, delimiter=",")
    read = noise.get("matrix")(file=str(tmp_path / "m.csv"))
    np.testing.assert_array_equal(read.transition_matrix(SIMULATED), MATRIX)
    assert given.nominal_rate == pytest.approx(0.2)
    labels = np.repeat(np.arange(4), 2000)
    drawn = given.corrupt(labels, SIMULATED, np.random.default_rng(1))
    shares = np.array([np.bincount(drawn[labels == c], minlength=4) / 2000 for c in range(4)])
    assert np.abs(shares - MATRIX).max() < 0.04
    assert (shares[np.array(MATRIX) == 0] == 0).all()


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (MATRIX[:3], "matrix is 3 x 4: must be 4 x 4 for simulated"),
        ([[0.5, 0.6, 0, 0], *MATRIX[1:]], "row 0 sums to 1.1: must sum to 1"),
        ([[1.5, -0.5, 0, 0], *MATRIX[1:]], "below 0"),
        ([[1.0], *MATRIX[1:]], "rows must have the same length"),
        (None, "must have rows or a file"),
    ],
)
def test_a_matrix_that_is_none_is_one_sentence(rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        noise.get("matrix")(rows=rows).transition_matrix(SIMULATED)


def test_a_map_of_classes_moves_the_classes_that_it_names():
    model = noise.get("class_map")(map={CLASSES[0]: CLASSES[2], 3: 1}, rate=0.25, exact=True)
    labels = np.repeat(np.arange(4), 100)
    drawn = model.corrupt(labels, SIMULATED, RNG)
    moved = [(int(a), int(b)) for a, b in zip(labels, drawn, strict=True) if a != b]
    assert {pair: moved.count(pair) for pair in set(moved)} == {(0, 2): 25, (3, 1): 25}
    with pytest.raises(ValueError, match="'cat' is no class of simulated"):
        noise.get("class_map")(map={"cat": "1"}, rate=0.2).transition_matrix(SIMULATED)
