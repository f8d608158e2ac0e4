"""What a data set loads is what it says of itself, or one sentence says what is not."""

from __future__ import annotations

import numpy as np
import pytest

from datasets.base import Arrays, DataError, Dataset
from datasets.check_arrays import checked


class Pets(Dataset):
    name, display = "pets", "Pets"
    class_names = ("cat", "dog", "owl")
    channels, size, n_train, n_test, clean_subset = 3, 8, 12, 6, 3
    mean, std, how_to_get = (0.5,) * 3, (0.25,) * 3, "draw them"
    class_counts = (4, 4, 4)

    def check(self, root):
        """Nothing to look for."""

    def load(self, root):
        raise NotImplementedError


def parts(**changes) -> dict[str, np.ndarray]:
    given = {
        "train_images": np.zeros((12, 3, 8, 8), np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": np.zeros((6, 3, 8, 8), np.uint8),
        "test_labels": np.arange(6) % 3,
    }
    return {name: changes.get(name, values) for name, values in given.items()}


def test_arrays_that_fit_are_taken_as_they_are():
    arrays = Arrays.of(**parts(train_labels=(np.arange(12) % 3).astype(np.uint8)))
    assert checked(arrays, Pets()) is arrays and arrays.train_labels.dtype == np.int64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_images": np.linspace(0, 1, 2304).reshape(12, 3, 8, 8).astype(np.float32)},
         "train_images are float32 from 0 to 1: must be uint8 from 0 to 255"),
        ({"test_images": np.full((6, 3, 8, 8), 300)},
         "test_images are int64 from 300 to 300: must be uint8 from 0 to 255"),
        ({"train_labels": np.array(["cat", "dog", "owl"] * 4)},
         "train_labels are <U3: must be integers from 0"),
        ({"test_labels": np.arange(6) % 3 + 0.5},
         "test_labels are float64 from 0.5 to 2.5: must be integers from 0"),
    ],
    ids=["float images", "wide images", "names", "fractions"],
)  # fmt: skip
def test_what_could_be_misread_is_not_converted(changes, sentence):
    with pytest.raises(DataError) as caught:
        Arrays.of(**parts(**changes))
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train_images": np.zeros((12, 8, 8, 3), np.uint8)},
         "train_images are (12, 8, 8, 3): must be (12, 3, 8, 8): channels come first"),
        ({"train_images": np.zeros((12, 3, 8, 12), np.uint8)},
         "train_images are (12, 3, 8, 12): must be (12, 3, 8, 8)"),
        ({"train_labels": np.arange(12) % 3 + 1},
         "train_labels go from 1 to 3: must be from 0 to 2"),
        ({"test_labels": np.arange(6) % 3 - 1}, "test_labels go from -1 to 1: must be from 0 to 2"),
        ({"train_labels": np.arange(11) % 3}, "train_labels are (11,): must be (12,)"),
        ({"test_images": np.zeros((5, 3, 8, 8), np.uint8)},
         "test_images are (5, 3, 8, 8): must be (6, 3, 8, 8)"),
        ({"train_labels": np.zeros(12, np.int64)},
         "all train_labels are 0: must be of two classes or more"),
        ({"train_labels": np.array([0] * 5 + [1] * 4 + [2] * 3)},
         "its classes have (5, 4, 3) training images: must be (4, 4, 4), as declared"),
    ],
    ids=["channels last", "not square", "from 1", "below 0", "short", "few tests", "one class",
         "counts"],
)  # fmt: skip
def test_what_does_not_fit_the_facts_is_named(changes, sentence):
    with pytest.raises(DataError) as caught:
        checked(Arrays.of(**parts(**changes)), Pets())
    assert sentence in str(caught.value).removeprefix("pets: ").split("; ")


def test_a_data_set_has_two_classes_or_more():
    class Cats(Pets):
        class_names, class_counts = ("cat",), None

    arrays = Arrays.of(**parts(train_labels=np.zeros(12, int), test_labels=np.zeros(6, int)))
    with pytest.raises(DataError, match="it has 1 class: must have two or more"):
        checked(arrays, Cats())
