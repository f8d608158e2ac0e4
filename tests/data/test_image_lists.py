"""Lists of images: labels, true labels and parts, and what is refused in a sentence."""

import numpy as np
import pytest

from datasets.base import UNKNOWN, DataError
from datasets.check_arrays import checked
from tests.helpers.own_images import listed, number_of, own, write_images, write_list


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "images"
    write_images(root)
    return root


def test_a_list_says_labels_true_labels_and_parts(folder, tmp_path):
    truth = np.arange(120) // 30
    parts = {3: "test", 4: "clean", 5: "clean"}
    rows = listed(folder, truth, split=lambda name: parts.get(number_of(name) % 30, ""))
    data = own(write_list(tmp_path / "list.csv", rows))
    arrays = checked(data.load(None), data)
    assert (data.truth, data.judged_by_given, data.n_test) == ("all", False, 4)
    numbers = [number_of(path) for path in arrays.train_inputs["path"]]
    np.testing.assert_array_equal(arrays.train_labels, truth[numbers])
    assert (arrays.train_inputs["given"] != arrays.train_labels).sum() > 10
    assert data.own_clean_counts == (2, 2, 2, 2)
    assert arrays.clean_images.shape == (8, 1, 8, 8)
    assert data.clean_subset == 8


def test_true_labels_of_a_part_may_be_known(folder, tmp_path):
    rows = listed(folder, np.arange(120) // 30)
    for row in rows:
        row["clean_label"] = row["clean_label"] if number_of(row["path"]) % 3 == 0 else ""
    data = own(write_list(tmp_path / "list.csv", rows))
    arrays = checked(data.load(None), data)
    known = arrays.train_labels != UNKNOWN
    assert data.truth == "some" and 20 < known.sum() < 40
    assert sum(data.class_counts) == known.sum()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"path": "../elsewhere.png"}, "must be a file below the list's own folder"),
        ({"path": "/etc/passwd"}, "must be a file below the list's own folder"),
        ({"path": "images/1/none.png"}, "cannot be read, the first is images/1/none.png"),
        ({"label": ""}, "label is empty"),
        (
            {"clean_label": "3"},
            "is labelled '3': must be a class that is given to a training image",
        ),
        ({"split": "val"}, "split is 'val': must be one of train, test, clean"),
        ({"split": "test", "label": "3"}, "(test) is labelled '3': must be a class"),
    ],
)
def test_a_list_with_a_mistake_is_one_sentence(folder, tmp_path, change, sentence):
    rows = listed(folder)
    rows[7] |= change
    with pytest.raises(DataError) as caught:
        own(write_list(tmp_path / "list.csv", rows))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_missing_columns_duplicates_and_ragged_rows_of_a_list_are_named(folder, tmp_path):
    rows = listed(folder)
    for wrong, sentence in (
        ([{"file": row["path"], "label": row["label"]} for row in rows], "has no column path"),
        ([*rows, rows[3]], "line 122: images/1/"),
    ):
        with pytest.raises(DataError, match=sentence):
            own(write_list(tmp_path / "list.csv", wrong))
    (tmp_path / "list.csv").write_text("path,label\na.png,1,2\n")
    with pytest.raises(DataError, match="another number of columns"):
        own(tmp_path / "list.csv")
    (tmp_path / "list.txt").write_text("x")
    with pytest.raises(DataError, match="is no folder and no list"):
        own(tmp_path / "list.txt")
