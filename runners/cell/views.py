"""Views of images: which ones are drawn, and how they are made on the device, a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Draws = Callable[[np.random.Generator, int, str], np.ndarray | None]
"""Stream, count, `augment` -> numbers (count, k) that views are made of; None: the images."""

PAD = 4
"""Pixels of black border before a random crop, the field's habit for 32x32 images."""

CUTOUT = 0.5
"""Side of the square that a strong view hides, as a share of the image's (16 of 32 pixels: DeVries
and Taylor 2017, arXiv 1708.04552)."""
JITTER = 0.4
"""Brightness and contrast of a strong view are multiplied by 1 - JITTER to 1 + JITTER, the usual
numbers of torchvision's ColorJitter for small images."""

STRONG = 4
"""Numbers of a strong view, before those of its weak one."""


def draw_views(rng: np.random.Generator, count: int, augment: str) -> np.ndarray | None:
    """Random views (count, 4) int64: row offset, column offset, horizontal, vertical flip.

    Args:
        augment: "none" (gives None), "flip", "crop_flip" or "crop_flip_vflip".
    """
    if augment == "none":
        return None
    views = rng.integers(0, [2 * PAD + 1, 2 * PAD + 1, 2, 2], size=(count, 4))
    if augment != "crop_flip_vflip":
        views[:, 3] = 0
    if augment == "flip":
        views[:, :2] = PAD
    return views


def draw_strong(rng: np.random.Generator, count: int, augment: str, draw: Draws) -> np.ndarray:
    """Random strong views (count, 4 or more) float32: brightness, contrast, centre of the hidden
    square (row, column, shares of the image), then the weak view by `draw` if it gives one."""
    low, high = [1 - JITTER, 1 - JITTER, 0, 0], [1 + JITTER, 1 + JITTER, 1, 1]
    numbers = rng.uniform(low, high, size=(count, STRONG))
    weak = draw(rng, count, augment)
    return np.concatenate([numbers, *([] if weak is None else [weak])], 1).astype(np.float32)


def draw_all(
    rng: np.random.Generator, count: int, augment: str, strengths: Sequence[str], draw: Draws
) -> list[np.ndarray | None]:
    """What the views of `count` samples are made of, each further one from a stream of its own.

    So the first view is the same whatever else a method asks for.

    Args:
        draw: draws weak views.
    """
    first = draw(rng, count, augment)
    streams = rng.spawn(len(strengths) - 1) if len(strengths) > 1 else []
    return [
        first,
        *(
            draw_strong(stream, count, augment, draw)
            if strength == "strong"
            else draw(stream, count, augment)
            for strength, stream in zip(strengths[1:], streams, strict=True)
        ),
    ]


def normalised(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Images (B, C, H, W) uint8 as float, times `scale` plus `shift`, both (C, 1, 1)."""
    return images.float().mul_(scale).add_(shift)  # in place: a second large buffer costs more


def crop_and_flip(images: Tensor, views: Tensor) -> Tensor:
    """Pads (B, C, H, W) by `PAD`, then crops and flips each image by its row of `views` (B, 4)."""
    count, channels, height, width = images.shape
    rows = _positions(views[:, 0], views[:, 3], height)
    columns = _positions(views[:, 1], views[:, 2], width)
    padded = F.pad(images, (PAD, PAD, PAD, PAD))
    batch = torch.arange(count, device=images.device)[:, None, None, None]
    channel = torch.arange(channels, device=images.device)[None, :, None, None]
    return padded[batch, channel, rows[:, None, :, None], columns[:, None, None, :]]


def _positions(offset: Tensor, flip: Tensor, length: int) -> Tensor:
    steps = torch.arange(length, device=offset.device)[None, :]
    return offset[:, None] + torch.where(flip[:, None] == 1, length - 1 - steps, steps)


def strong_view(images: Tensor, draws: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Strong views, float and normalised, of images (B, C, H, W) uint8; see `draw_strong`.

    A weak view whose brightness, then contrast, is changed and of which a square is hidden (0 after
    normalising). Ours, not a paper's: RandAugment has no version that treats each image of a batch
    by itself without a loop.

    Args:
        draws: (B, 4 or 8) float32.
        scale, shift: (C, 1, 1), of the normalisation.
    """
    if draws.shape[1] > STRONG:
        images = crop_and_flip(images, draws[:, STRONG:].long())
    brightness, contrast, row, column = draws[:, :STRONG, None, None, None].unbind(1)
    bright = (images * brightness).clamp(0, 255)
    mean = bright.mean((1, 2, 3), keepdim=True)
    changed = ((bright - mean) * contrast + mean).clamp(0, 255) * scale + shift
    height, width = images.shape[2:]
    rows = torch.arange(height, device=images.device).view(1, 1, -1, 1) + 0.5
    columns = torch.arange(width, device=images.device).view(1, 1, 1, -1) + 0.5
    hidden = (rows - row * height).abs() < CUTOUT * height / 2
    hidden = hidden & ((columns - column * width).abs() < CUTOUT * width / 2)
    return changed.masked_fill(hidden, 0.0)
