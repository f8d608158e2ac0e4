"""Noise that a person states: given labels, label files, a matrix, a map of classes."""

from types import SimpleNamespace

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


def test_a_name_counts_before_a_number_and_classes_named_by_numbers_have_names_only(tmp_path):
    data = SimpleNamespace(name="own", class_names=("1", "2", "10"), classes=3, n_test=0)
    rows = [{"index": str(k), "label": name} for k, name in enumerate(("10", "2", "1"))]
    model = noise.get("labels_file")(file=str(write_list(tmp_path / "names.csv", rows)))
    given = np.zeros(3, np.int64)
    assert model.corrupt(given, data, RNG, given=given).labels.tolist() == [2, 1, 0]
    noisy = [{"index": str(k), "noisy": str(2 - k)} for k in range(3)]  # numbers, as exported
    model = noise.get("labels_file")(file=str(write_list(tmp_path / "noisy.csv", noisy)))
    assert model.corrupt(given, data, RNG, given=given).labels.tolist() == [2, 1, 0]
    moved = noise.get("class_map")(map={1: 10}, rate=0.5).targets(data)
    assert moved[0].tolist() == [0, 0, 1] and moved[1].tolist() == [0, 1, 0]
    rows[0]["label"] = "0"
    model = noise.get("labels_file")(file=str(write_list(tmp_path / "names.csv", rows)))
    with pytest.raises(DataError, match=r"label '0' is no class of own: must be one of 1, 2, 10$"):
        model.corrupt(given, data, RNG, given=given)
    with pytest.raises(ValueError, match=r"'0' is no class of own: must be one of 1, 2, 10$"):
        noise.get("class_map")(map={0: 2}, rate=0.5).targets(data)


def test_a_class_that_a_map_moves_twice_is_refused():
    with pytest.raises(ValueError, match="'upper left' and '0' are one class"):
        noise.get("class_map")(map={CLASSES[0]: 2, 0: 1}, rate=0.2).targets(SIMULATED)


def test_rows_of_test_images_are_counted_and_an_index_of_no_image_is_refused(tmp_path):
    end = 4 + SIMULATED.n_test
    rows = [*GOOD, {"index": "4", "label": "1"}, {"index": str(end - 1), "label": "1"}]
    assert labels_of(rows, tmp_path).facts == {"rows_passed_over": 2}
    for wrong in (str(end), "-1", "2.0", ""):
        with pytest.raises(DataError) as caught:
            labels_of([*GOOD, {"index": wrong, "label": "1"}], tmp_path)
        sentence = (
            f"line 6: index '{wrong}' is that of no image of simulated: must be a whole number"
        )
        assert sentence in str(caught.value)


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


def test_a_list_made_again_with_the_same_labels_has_the_same_stamp(tmp_path):
    rows = [{"path": f"{k}.png", "given": "a", "score": "0.5", "label": ""} for k in range(4)]
    model = noise.get("labels_file")(file=str(write_list(tmp_path / "labels.csv", rows)))
    before = model.stamp(None)
    write_list(tmp_path / "labels.csv", [row | {"score": "0.1"} for row in reversed(rows)])
    assert model.stamp(None) == before
    write_list(tmp_path / "labels.csv", [*rows[:3], rows[3] | {"label": "b"}])
    assert model.stamp(None) != before


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
        ([], "rows must be one or more"),
        ([[1.0], *MATRIX[1:]], "rows must be one or more, and have the same length"),
        (None, "must have rows or a file"),
    ],
)
def test_a_matrix_that_is_none_is_one_sentence(rows, sentence):
    with pytest.raises(ValueError, match=sentence):
        noise.get("matrix")(rows=rows).transition_matrix(SIMULATED)


@pytest.mark.parametrize("array", [b"", np.zeros((0, 4)), np.zeros(4), np.float64(1), None])
def test_a_file_that_holds_no_matrix_is_one_sentence(tmp_path, array):
    if isinstance(array, bytes):
        (tmp_path / "m.npy").write_bytes(array)
    else:
        np.save(tmp_path / "m.npy", array, allow_pickle=True)
    with pytest.raises(ValueError) as caught:
        noise.get("matrix")(file=str(tmp_path / "m.npy")).transition_matrix(SIMULATED)
    assert "\n" not in str(caught.value) and str(caught.value).startswith("matrix")


def test_a_map_of_classes_moves_the_classes_that_it_names():
    model = noise.get("class_map")(map={CLASSES[0]: CLASSES[2], 3: 1}, rate=0.25, exact=True)
    labels = np.repeat(np.arange(4), 100)
    drawn = model.corrupt(labels, SIMULATED, RNG)
    moved = [(int(a), int(b)) for a, b in zip(labels, drawn, strict=True) if a != b]
    assert {pair: moved.count(pair) for pair in set(moved)} == {(0, 2): 25, (3, 1): 25}
    with pytest.raises(ValueError, match="'cat' is no class of simulated"):
        noise.get("class_map")(map={"cat": "1"}, rate=0.2).transition_matrix(SIMULATED)
