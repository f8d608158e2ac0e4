"""Image sets and batches: the views and the order that methods meet."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from runners.cell.batches import EndlessBatches, ImageSet, epoch_batches
from runners.cell.views import crop_and_flip, draw_views

CPU = torch.device("cpu")
MEAN, STD = (0.5, 0.25), (0.2, 0.4)


def image_set(count: int, size: int = 6) -> ImageSet:
    """Random images with two channels; the label of each image is its position."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, 2, size, size)).astype(np.uint8)
    return ImageSet.build(images, np.arange(count), MEAN, STD, CPU)


def slow_view(image: np.ndarray, view: np.ndarray) -> np.ndarray:
    """Pad, crop and flip one image (C, H, W), one pixel after the other."""
    channels, height, width = image.shape
    row, column, horizontal, vertical = view
    made = np.zeros_like(image)
    for c, i, j in itertools.product(range(channels), range(height), range(width)):
        y = row + (height - 1 - i if vertical else i) - 4
        x = column + (width - 1 - j if horizontal else j) - 4
        if 0 <= y < height and 0 <= x < width:
            made[c, i, j] = image[c, y, x]
    return made


@pytest.mark.parametrize("shape", [(2, 6, 6), (3, 5, 8)])
def test_every_crop_and_flip_is_that_of_the_slow_loop(shape):
    corners = list(itertools.product((0, 3, 4, 8), (0, 4, 7, 8), (0, 1), (0, 1)))
    views = np.array(corners, dtype=np.int64)
    images = np.random.default_rng(1).integers(1, 256, (len(views), *shape)).astype(np.uint8)
    found = crop_and_flip(torch.from_numpy(images), torch.from_numpy(views))
    expected = np.stack([slow_view(i, v) for i, v in zip(images, views, strict=True)])
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found, expected)


def test_the_middle_crop_without_flips_is_the_image():
    images = image_set(3).images
    assert torch.equal(crop_and_flip(images, torch.tensor([[4, 4, 0, 0]] * 3)), images)


@pytest.mark.parametrize(
    ("augment", "highest"), [("crop_flip", [8, 8, 1, 0]), ("crop_flip_vflip", [8, 8, 1, 1])]
)
def test_views_use_the_whole_range_of_offsets_and_flips(augment, highest):
    views = draw_views(np.random.default_rng(0), 5000, augment)
    assert views.shape == (5000, 4) and views.dtype == np.int64
    assert views.min(0).tolist() == [0, 0, 0, 0] and views.max(0).tolist() == highest
    for column, top in enumerate(highest):
        shares = np.bincount(views[:, column], minlength=top + 1) / 5000
        assert np.abs(shares - 1 / (top + 1)).max() < 0.04
    assert draw_views(np.random.default_rng(0), 5, "none") is None


def test_images_are_normalised_per_channel():
    data = image_set(4)
    images, labels, index = data.take(torch.tensor([2, 0]))
    raw = data.images.numpy()[[2, 0]] / 255
    expected = (raw - np.reshape(MEAN, (2, 1, 1))) / np.reshape(STD, (2, 1, 1))
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert images.dtype == torch.float32
    assert labels.tolist() == index.tolist() == [2, 0]


def test_the_padding_of_a_crop_is_black_before_it_is_normalised():
    images, *_ = image_set(1).take(torch.tensor([0]), torch.tensor([[0, 0, 0, 0]]))
    assert images[0, :, 0, 0].tolist() == pytest.approx([-0.5 / 0.2, -0.25 / 0.4])


@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_in_order_is_every_image_once_unaugmented(size):
    data = image_set(10)
    images, labels, index = (torch.cat(parts) for parts in zip(*data.in_order(size), strict=True))
    assert labels.tolist() == index.tolist() == list(range(10))
    assert torch.equal(images, data.take(torch.arange(10))[0])
    assert max(len(part) for _, part, _ in data.in_order(size)) <= size


def epoch(data: ImageSet, size: int, augment: str = "none", seed: int = 0) -> list:
    """Images, labels and index of each batch."""
    rng = np.random.default_rng(seed)
    return [parts[:3] for parts in epoch_batches(data, rng, size, augment)]


def test_an_epoch_is_a_permutation_without_its_last_incomplete_batch():
    batches = epoch(image_set(103), 10)
    assert [len(labels) for _, labels, _ in batches] == [10] * 10
    seen = torch.cat([index for *_, index in batches]).tolist()
    assert len(set(seen)) == 100 and seen != sorted(seen)
    assert seen != torch.cat([i for *_, i in epoch(image_set(103), 10, seed=1)]).tolist()


def test_a_batch_size_above_the_number_of_images_gives_one_batch_of_all():
    ((_, labels, _),) = epoch(image_set(7), 128)
    assert sorted(labels.tolist()) == list(range(7))


@pytest.mark.parametrize("augment", ["none", "crop_flip", "crop_flip_vflip"])
def test_the_same_stream_gives_the_same_epoch(augment):
    data = image_set(30)
    for one, other in zip(epoch(data, 8, augment), epoch(data, 8, augment), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_augmented_images_are_views_of_the_images_that_the_index_names():
    data = image_set(12)
    changed = 0
    for images, labels, index in epoch(data, 4, "crop_flip_vflip"):
        assert torch.equal(labels, index)
        for image, i in zip(images, index, strict=True):
            raw = ((image - data.shift) / data.scale).round().to(torch.uint8).numpy()
            source = data.images[i].numpy()
            views = itertools.product(range(9), range(9), (0, 1), (0, 1))
            assert any(np.array_equal(raw, fast_view(source, *view)) for view in views)
            changed += not np.array_equal(raw, source)
    assert changed > 6


def fast_view(image: np.ndarray, row: int, column: int, flip: int, upside_down: int) -> np.ndarray:
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
    crop = padded[:, row : row + image.shape[1], column : column + image.shape[2]]
    return crop[:, :: -1 if upside_down else 1, :: -1 if flip else 1]


def endless(count: int, size: int, augment: str = "none", prepare: int = 5) -> EndlessBatches:
    return EndlessBatches(image_set(count), size, augment, np.random.default_rng, prepare)


@pytest.mark.parametrize(("count", "size"), [(250, 128), (8, 128), (10, 3), (12, 4)])
def test_every_clean_image_is_used_in_every_pass_and_the_rest_is_carried_over(count, size):
    batches, size = endless(count, size), min(count, size)
    used = torch.zeros(count)
    orders = []
    for _ in range(4 * count):
        index = batches.next(augment=False)[2]
        assert len(index) == size
        used += torch.bincount(index, minlength=count)
        assert used.max() - used.min() <= 1
        orders += index.tolist()
    assert used.tolist() == [4.0 * size] * count
    passes = [orders[i : i + count] for i in range(0, len(orders), count)]
    assert all(sorted(each) == list(range(count)) for each in passes)
    assert len({tuple(each) for each in passes[:4]}) == 4  # reshuffled


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_a_clean_batch_depends_on_its_number_alone(augment):
    batches = endless(10, 4, augment, prepare=3)
    in_turn = [batches.next(augment=True) for _ in range(23)]
    for prepare in (1, 3, 7):
        for number in (22, 0, 9, 10):
            other = endless(10, 4, augment, prepare)
            other.position = number
            again = other.next(augment=True)
            assert all(torch.equal(a, b) for a, b in zip(in_turn[number], again, strict=True))


def test_a_clean_batch_can_be_taken_without_augmentation():
    augmented, plain = endless(10, 4, "crop_flip"), endless(10, 4, "crop_flip")
    one, other = augmented.next(augment=True), plain.next(augment=False)
    assert torch.equal(one[2], other[2]) and not torch.equal(one[0], other[0])
    assert torch.equal(other[0], plain.data.take(other[2])[0])
