"""Random crops of images of different sizes: which ones are drawn, and how they are cut out.

A thread that has decoded an image can cut it (`cut_one`), or whole images are uploaded and those of
a batch are cut, resized and flipped on the device at once (`cut_batch`). Crops of full resolution
are the same pixels either way; resized ones are rounded once in place of twice, and differ by at
most one of the 255 levels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.base import uploaded

CENTRE = -1.0
"""In place of a share of the room that a crop has: in the middle of it."""
FLIPS = slice(2, 4)
CROP = 4
"""Numbers of a crop, before those of a resized one."""
TRIES = 10
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of a resized crop, as torchvision's `RandomResizedCrop` (Szegedy et al. 2015)."""
MARGINS = 4
"""Times the pixels of its images that a batch of whole images may have, all as high as the highest
and as wide as the widest."""


class Crops(NamedTuple):
    """Where the views of a batch lie in their images.

    Attributes:
        boxes: (B, 4) int64: top, left, height, width in pixels.
        flips: (B, 2) bool: horizontal, vertical.
    """

    boxes: np.ndarray
    flips: np.ndarray


def draw_crops(rng: np.random.Generator, count: int, augment: str) -> np.ndarray | None:
    """Random views (count, 4 or more) float32: row and column as shares of the room that a crop
    has in its image (or `CENTRE`), horizontal and vertical flip; of a resized crop then `TRIES`
    shares of the area and as many logarithms of width / height: the first that fits counts.

    Args:
        augment: "none" (gives None), "flip", "crop_flip", "crop_flip_vflip" or "resized_crop_flip".
    """
    if augment == "none":
        return None
    views = rng.random((count, CROP), dtype=np.float32)
    views[:, FLIPS] = views[:, FLIPS] < 0.5
    if augment != "crop_flip_vflip":
        views[:, 3] = 0
    if augment == "flip":
        views[:, :2] = CENTRE
    if augment != "resized_crop_flip":
        return views
    areas = rng.uniform(*AREA, (count, TRIES)).astype(np.float32)
    ratios = rng.uniform(*np.log(RATIO), (count, TRIES)).astype(np.float32)
    return np.concatenate([views, areas, ratios], 1)


def crops_of(views: np.ndarray | None, sizes: np.ndarray, size: int) -> Crops:
    """Where views lie in images of some sizes (B, 2); see `draw_crops`. Of no view the middle."""
    if views is None:
        views = np.zeros((len(sizes), CROP))
        views[:, :2] = CENTRE
    resized = views.shape[1] > CROP
    pieces = _pieces(views[:, CROP:], sizes) if resized else np.full_like(sizes, size)
    shares, room = views[:, :2].astype(np.float64), sizes - pieces
    places = np.where(shares < 0, np.rint(room / 2), np.floor(shares * (room + 1)))
    return Crops(np.concatenate([places.astype(np.int64), pieces], 1), views[:, FLIPS] > 0)


def _pieces(tries: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Height and width (B, 2) int64 of the first tries that fit in the images.

    Where none does, of the largest piece of allowed shape.
    """
    areas = tries[:, :TRIES] * sizes.prod(1, dtype=np.float64, keepdims=True)
    ratios = np.exp(tries[:, TRIES:], dtype=np.float64)
    found = np.rint(np.sqrt(np.stack([areas / ratios, areas * ratios], 2)))
    fits = ((found > 0) & (found <= sizes[:, None])).all(2)
    first = found[np.arange(len(sizes)), fits.argmax(1)]
    largest = np.minimum(sizes, np.rint(sizes[:, ::-1] / RATIO[0]))
    return np.where(fits.any(1)[:, None], first, largest).astype(np.int64)


def fit_together(sizes: np.ndarray) -> bool:
    """Whether images of sizes (B, 2) are to be uploaded whole: not beside a long panorama."""
    return bool(len(sizes) * sizes.max(0).prod() <= MARGINS * sizes.prod(1).sum())


def cut_one(image: Tensor, box: list[int], flips: list[bool], size: int) -> Tensor:
    """One view, uint8 (C, size, size), of an image uint8 (C, H, W)."""
    top, left, high, wide = box
    piece = image[:, top : top + high, left : left + wide]
    if (high, wide) != (size, size):
        piece = F.interpolate(piece[None], (size, size), mode="bilinear", antialias=True)[0]
    axes = [axis for axis, flip in zip((2, 1), flips, strict=True) if flip]
    return piece.flip(axes) if axes else piece


def cut_batch(images: Tensor, crops: Crops, size: int) -> Tensor:
    """The views, uint8 (B, C, size, size), of images uint8 (B, C, H, W), all at once.

    Args:
        images: what lies right of and below an image in its (H, W) is not looked at.
        crops: on the host.
        size: in pixels.
    """
    starts, lengths = uploaded(crops.boxes, images.device)[..., None].chunk(2, 1)
    horizontal, vertical = uploaded(crops.flips, images.device).unbind(1)
    steps = torch.arange(size, device=images.device)
    rows, columns = (
        torch.where(flip[:, None], size - 1 - steps, steps) for flip in (vertical, horizontal)
    )
    if (crops.boxes[:, 2:] == size).all():
        batch = torch.arange(len(images), device=images.device)[:, None, None]
        channel = torch.arange(images.shape[1], device=images.device)[:, None]
        lines = images[batch, channel, (starts[:, 0] + rows)[:, None]]
        columns = (starts[:, 1] + columns)[:, None, None]
        return lines.gather(3, columns.expand(*lines.shape[:3], -1))
    down = _weights(starts[:, 0], lengths[:, 0], rows, size, images.shape[2])
    across = _weights(starts[:, 1], lengths[:, 1], columns, size, images.shape[3])
    with torch.autocast(images.device.type, enabled=False):
        made = down @ images.float() @ across.transpose(2, 3)
    return made.round_().clamp_(0, 255).to(torch.uint8)


def _weights(start: Tensor, length: Tensor, steps: Tensor, size: int, whole: int) -> Tensor:
    """Weights (B, 1, size, whole) of the pixels of a line in those of its resized piece.

    Triangles as wide as a pixel of the piece, at least as one of the line: linear, antialiased.

    Args:
        start, length: (B, 1) int64, of the pieces.
        steps: (B, size) int64, which of the piece's pixels are made.
    """
    scale = length / size
    centres = (start + (steps + 0.5) * scale)[..., None]
    pixels = torch.arange(whole, device=start.device)
    inside = (pixels >= start) & (pixels < start + length)
    weights = 1 - (pixels + 0.5 - centres).abs() / scale.clamp(min=1)[..., None]
    weights = weights.clamp_(min=0).mul_(inside[:, None])
    return (weights / weights.sum(2, keepdim=True))[:, None]
