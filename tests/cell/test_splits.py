"""Splits of the training part: who may see which image."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.cell.splits import split_training_part

few = settings(max_examples=40, deadline=None)


def split(labels, seed=0, **sizes):
    asked = {"clean_subset": 0, "clean_val": 0, "dev": 0, "noisy_val": 0.1, **sizes}
    labels = np.asarray(labels)
    asked |= {"classes": int(labels.max()) + 1, "rng": np.random.default_rng(seed)}
    return split_training_part(labels, **asked)


def shuffled(classes, per_class, seed=3):
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(classes), per_class))


def test_the_default_mini_study_has_the_counts_of_the_protocol():
    parts = split(shuffled(10, 1200), clean_subset=250)
    counts = {name: len(part) for name, part in parts.of_training.items()}
    assert counts == {
        "train": 10_575, "noisy_val": 1_175, "clean_subset": 250, "clean_val": 0, "dev": 0,
    }  # fmt: skip


@few
@given(
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.floats(0, 0.9), st.integers(0)
)
def test_every_image_is_in_exactly_one_part(clean_subset, clean_val, dev, noisy_val, seed):
    parts = split(
        shuffled(4, 50),
        seed,
        clean_subset=clean_subset,
        clean_val=clean_val,
        dev=dev,
        noisy_val=noisy_val,
    )
    everything = np.concatenate([*parts.of_training.values()])
    np.testing.assert_array_equal(np.sort(everything), np.arange(200))
    for part in parts.of_training.values():
        assert part.dtype == np.int64
        assert (np.diff(part) > 0).all()
    sizes = [len(parts.clean_subset), len(parts.clean_val), len(parts.dev)]
    assert sizes == [clean_subset, clean_val, dev]


@few
@given(st.integers(0, 43), st.integers(0, 43), st.integers(0, 43))
def test_clean_parts_are_balanced_with_the_remainder_in_the_first_classes(subset, val, dev):
    labels = shuffled(4, 40)
    parts = split(labels, clean_subset=subset, clean_val=val, dev=dev)
    for part in (parts.clean_subset, parts.clean_val, parts.dev):
        counts = np.bincount(labels[part], minlength=4).tolist()
        assert counts == [len(part) // 4 + (c < len(part) % 4) for c in range(4)]


def test_smaller_clean_subsets_are_inside_larger_ones():
    labels = shuffled(10, 100)
    subsets = [set(split(labels, clean_subset=n).clean_subset) for n in (7, 50, 100, 250)]
    assert all(small < large for small, large in itertools.pairwise(subsets))


def test_the_clean_subset_does_not_depend_on_the_parts_after_it():
    labels = shuffled(10, 100)
    alone = split(labels, clean_subset=50)
    beside = split(labels, clean_subset=50, clean_val=40, dev=150, noisy_val=0.3)
    np.testing.assert_array_equal(alone.clean_subset, beside.clean_subset)


def test_the_same_stream_gives_the_same_split_and_another_one_does_not():
    labels = shuffled(10, 100)
    first, again, other = (split(labels, seed, clean_subset=50) for seed in (0, 0, 1))
    for one, two in zip(first.of_training.values(), again.of_training.values(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert set(first.clean_subset) != set(other.clean_subset)
    assert set(first.noisy_val) != set(other.noisy_val)


def test_noisy_val_is_drawn_without_looking_at_labels():
    labels = shuffled(10, 100)
    counts = [np.bincount(labels[split(labels, s).noisy_val], minlength=10) for s in range(200)]
    # A class-balanced draw would have no spread at all.
    assert np.std(counts) > 2
    np.testing.assert_allclose(np.mean(counts, axis=0), 10, atol=1.2)


@pytest.mark.parametrize(("share", "expected"), [(0.29, 29), (0.07, 7), (0.555, 55), (0, 0)])
def test_noisy_val_is_the_floor_of_the_decimal_share(share, expected):
    assert len(split(shuffled(4, 25), noisy_val=share).noisy_val) == expected


def test_too_few_images_of_a_class_are_named_with_the_counts():
    labels = np.repeat([0, 1], [30, 5])
    expected = "class 1 has 5 training images, but clean_subset 10 .* dev 4 ask for 7 of it"
    with pytest.raises(ValueError, match=expected):
        split(labels, clean_subset=10, dev=4)


def test_a_split_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(ValueError, match="ask for 5 of it and none would be left to train on"):
        split(shuffled(4, 5), clean_subset=20)


@pytest.mark.parametrize("sizes", [{"dev": -1}, {"noisy_val": 1.0}, {"noisy_val": float("nan")}])
def test_sizes_out_of_range_are_refused(sizes):
    with pytest.raises(ValueError, match=next(iter(sizes))):
        split(shuffled(4, 5), **sizes)
