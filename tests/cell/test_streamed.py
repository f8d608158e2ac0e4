"""Images that are decoded ahead of the step: their views and batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional

import datasets
from datasets.base import DataError
from runners.cell import crops, streamed
from runners.cell.batches import EndlessBatches, epoch_batches, image_set
from runners.cell.crops import AREA, RATIO, crops_of, draw_crops
from runners.cell.views import STRONG, strong_view
from tests.helpers.large_sets import SIZE, STORED

CPU = torch.device("cpu")
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
AUGMENT = ("none", "flip", "crop_flip", "crop_flip_vflip", "resized_crop_flip")


def images_of(root):
    return datasets.get("clothing1m", {"stored": STORED}).load(root).train_images


def a_set(root, whole=False):
    """As on a CPU, or, with `whole`, as on a GPU: cut on the device."""
    images = images_of(root)
    return replace(image_set(images, np.arange(len(images)), MEAN, STD, SIZE, CPU), whole=whole)


def box(view, high, wide, size):
    views = None if view is None else view[None]
    return tuple(crops_of(views, np.array([[high, wide]]), size).boxes[0].tolist())


def slow(image: np.ndarray, view: np.ndarray | None, augment: str) -> torch.Tensor:
    """One view of an image uint8 (3, H, W), by torchvision's own functions."""
    top, left, high, wide = box(view, *image.shape[1:], SIZE)
    made = torch.from_numpy(image)[:, top : top + high, left : left + wide]
    if augment == "resized_crop_flip" and (high, wide) != (SIZE, SIZE):
        made = functional.resize(made, [SIZE, SIZE], antialias=True)
    for column, flip in ((2, functional.hflip), (3, functional.vflip)):
        made = flip(made) if view is not None and view[column] else made
    return functional.normalize(made.float() / 255, MEAN, STD)


@pytest.mark.parametrize("whole", [False, True], ids=["by threads", "on the device"])
@pytest.mark.parametrize("augment", AUGMENT)
def test_every_view_of_an_epoch_is_that_of_torchvision_one_by_one(augment, whole, root):
    data, seed = a_set(root, whole), 3
    # Torchvision rounds a resized crop after its rows and after its columns; at once is once.
    levels = 1 if whole and augment == "resized_crop_flip" else 0
    atol = levels / 255 / min(STD) + 2e-5
    views = draw_crops(_after_order(seed, len(data), 32), 96, augment)
    seen = []
    for step, (images, labels, index, further) in enumerate(
        epoch_batches(data, np.random.default_rng(seed), 32, augment)
    ):
        assert torch.equal(labels, index) and further == ()
        for k, position in enumerate(index.tolist()):
            content = torch.frombuffer(bytearray(data.images.jpeg(position)), dtype=torch.uint8)
            whole = decode_jpeg(content, ImageReadMode.RGB).numpy()
            expected = slow(whole, None if views is None else views[32 * step + k], augment)
            torch.testing.assert_close(images[k], expected, atol=atol, rtol=1e-5)
            apart = ((images[k] - expected) / data.scale).abs()
            assert apart.mean() <= (0.3 if levels else 1e-2)
        seen += index.tolist()
    assert len(seen) == len(set(seen)) == 96


def _after_order(seed, count, size):
    rng = np.random.default_rng(seed)
    rng.permutation(count)
    return rng


def test_views_use_the_whole_room_and_both_flips():
    views = draw_crops(np.random.default_rng(0), 3000, "crop_flip_vflip")
    places = np.array([box(view, 32, 40, 28) for view in views])
    assert set(places[:, 0]) == set(range(5)) and set(places[:, 1]) == set(range(13))
    assert np.abs(np.bincount(places[:, 1]) - 3000 / 13).max() < 80
    assert 0.45 < views[:, 2].mean() < 0.55 and 0.45 < views[:, 3].mean() < 0.55
    assert not draw_crops(np.random.default_rng(0), 50, "crop_flip")[:, 3].any()
    middles = draw_crops(np.random.default_rng(0), 50, "flip")
    assert (
        {box(view, 33, 40, 28) for view in middles} == {(2, 6, 28, 28)} == {box(None, 33, 40, 28)}
    )


def test_resized_crops_have_the_areas_and_shapes_of_torchvisions():
    views = draw_crops(np.random.default_rng(0), 4000, "resized_crop_flip")
    boxes = np.array([box(view, 300, 400, 224) for view in views])
    top, left, high, wide = boxes.T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + high <= 300).all() and (left + wide <= 400).all()
    area, ratio = high * wide / (300 * 400), wide / high
    assert AREA[0] - 0.01 < area.min() and area.max() <= 1
    assert RATIO[0] - 0.02 < ratio.min() and ratio.max() < RATIO[1] + 0.02
    torch.manual_seed(0)
    from torchvision.transforms import RandomResizedCrop

    theirs = np.array(
        [RandomResizedCrop.get_params(torch.empty(3, 300, 400), AREA, RATIO) for _ in range(4000)]
    )
    assert area.mean() == pytest.approx((theirs[:, 2] * theirs[:, 3] / 120_000).mean(), abs=0.02)
    assert np.log(ratio).mean() == pytest.approx(
        np.log(theirs[:, 3] / theirs[:, 2]).mean(), abs=0.02
    )
    # A long picture, in which no try of full area fits: the largest piece of allowed shape.
    assert box(np.array([-1, -1, 0, 0] + [1.0] * 10 + [0.0] * 10), 100, 1000, 64) == (
        0,
        434,
        100,
        133,
    )


@pytest.mark.parametrize("whole", [False, True], ids=["by threads", "on the device"])
@pytest.mark.parametrize("augment", ["crop_flip", "resized_crop_flip"])
def test_threads_change_no_bit(augment, whole, root, monkeypatch):
    found = []
    for threads in (1, 2, 7):
        pool = ThreadPoolExecutor(threads)
        monkeypatch.setattr(streamed, "_threads", lambda pool=pool: pool)
        batches = epoch_batches(a_set(root, whole), np.random.default_rng(0), 25, augment)
        found.append(torch.cat([parts[0] for parts in batches]))
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_beside_a_long_panorama_images_are_cut_before_they_are_uploaded(root, monkeypatch):
    like = [[256, 300]] * 63
    assert crops.fit_together(np.array([*like, [340, 256]]))
    assert not crops.fit_together(np.array([*like, [256, 9000]]))
    monkeypatch.setattr(crops, "MARGINS", 0)
    found = [
        torch.cat([p[0] for p in epoch_batches(a_set(root, whole), rng, 25, "resized_crop_flip")])
        for whole, rng in ((False, np.random.default_rng(0)), (True, np.random.default_rng(0)))
    ]
    assert torch.equal(*found)


def test_an_epoch_can_begin_at_any_step(root):
    def epoch(start):
        return list(epoch_batches(a_set(root), np.random.default_rng(5), 25, "crop_flip", start))

    whole = epoch(0)
    for start in range(1, 4):
        for one, other in zip(epoch(start), whole[start:], strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))


@pytest.mark.parametrize("whole", [False, True], ids=["by threads", "on the device"])
def test_further_views_are_weak_or_strong_ones_of_the_same_images(whole, root):
    data, strengths = a_set(root, whole), ("weak", "weak", "strong")
    first, *_ = epoch_batches(data, np.random.default_rng(0), 25, "crop_flip", 0, strengths)
    plain, *_ = epoch_batches(data, np.random.default_rng(0), 25, "crop_flip")
    assert torch.equal(first[0], plain[0]) and torch.equal(first[2], plain[2])
    weak, strong = first[3]
    assert weak.shape == strong.shape == plain[0].shape
    assert not torch.equal(weak, plain[0])
    light = np.array([[1.2, 0.9, 0.5, 0.5]] * 2, np.float32)
    images, _, _, (made,) = data.begin(np.arange(2), ("weak", "strong"), [None, light])()
    pixels = ((images - data.shift) / data.scale).round().to(torch.uint8)
    expected = strong_view(pixels, torch.from_numpy(light), data.scale, data.shift)
    assert light.shape[1] == STRONG
    torch.testing.assert_close(made, expected, atol=0.05, rtol=0)


def test_clean_batches_are_a_function_of_their_number_whatever_was_begun_ahead(root):
    def batches():
        return EndlessBatches(a_set(root), 50, "crop_flip", np.random.default_rng, 3)

    straight, jumping, switching = batches(), batches(), batches()
    whole = [straight.next(True) for _ in range(8)]
    jumping.next(True)
    jumping.position = 5
    for number in (5, 6, 7):
        assert torch.equal(jumping.next(True)[0], whole[number][0])
    for number in range(8):
        images, labels, _ = switching.next(number % 2 == 0)
        assert torch.equal(labels, whole[number][1])
        assert torch.equal(images, whole[number][0]) == (number % 2 == 0)


def test_a_damaged_image_ends_its_batch_in_one_sentence(root):
    data = a_set(root)
    place = root / "clothing1m" / f"clothing1m-{STORED}.packed"
    content = bytearray(place.read_bytes())
    start = content.find(data.images.jpeg(3))
    content[start : start + 200] = bytes(200)
    place.write_bytes(content)
    with pytest.raises(DataError, match=r"image 3 is damaged: pack it again"):
        list(data.in_order(8))
