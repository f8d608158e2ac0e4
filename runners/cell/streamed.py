"""Image sets that do not fit on the device: JPEG files of a packed file, decoded ahead of the step.

Threads decode each image once and cut its views out of it, flipped: stored images have different
sizes, and what is cut off need not be uploaded. Batches are uploaded from pinned memory while
earlier steps run, and become floats on the device. What a view is made of is drawn beforehand from
the stream of its epoch or pass, so the view of a sample depends on seed, epoch and sample alone:
not on threads, nor on a restart.
"""

from __future__ import annotations

import functools
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from datasets.files import DataError
from datasets.packed import PackedImages
from runners.cell.transfer import upload
from runners.cell.views import STRONG, normalised, strong_view

CENTRE = -1.0
"""In place of a share of the room that a crop has: in the middle of it."""
FLIPS = slice(2, 4)
CROP = 4
"""Numbers of a crop, before those of a resized one."""
TRIES = 10
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
"""Of a resized crop, as torchvision's `RandomResizedCrop` (Szegedy et al. 2015)."""
AT_ONCE = 8
"""Images that a thread takes together."""


Batch = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]
Box = tuple[int, int, int, int]
"""Top, left, height, width in pixels."""


def decode(content: bytes) -> Tensor:
    """A JPEG file as uint8 (3, H, W).

    By the operator under `torchvision.io.decode_jpeg`, which from 0.29 on warns at every call that
    torchcodec will take its place, and is slower by it.

    Raises:
        RuntimeError: it is no JPEG file, or damaged.
    """
    from torchvision.io import ImageReadMode  # half a second that cells in memory do not need

    data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    return torch.ops.image.decode_jpeg(data, ImageReadMode.RGB.value, False)


def draw_boxes(rng: np.random.Generator, count: int, augment: str) -> np.ndarray | None:
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


def box(view: np.ndarray | None, height: int, width: int, size: int) -> Box:
    """Where a view lies in its image; see `draw_boxes`. Of no view the middle."""
    if view is None:
        view = np.full(CROP, CENTRE)
    high = wide = size
    if len(view) > CROP:
        high, wide = _resized(view[CROP:], height, width)
    return _place(view[0], height - high), _place(view[1], width - wide), high, wide


def _place(share: float, room: int) -> int:
    return round(room / 2) if share < 0 else int(float(share) * (room + 1))


def _resized(tries: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Height and width of the first try that fits; else of the largest piece of allowed shape."""
    for area, ratio in zip(tries[:TRIES].tolist(), tries[TRIES:].tolist(), strict=True):
        wide = round(math.sqrt(area * height * width * math.exp(ratio)))
        high = round(math.sqrt(area * height * width / math.exp(ratio)))
        if 0 < high <= height and 0 < wide <= width:
            return high, wide
    low, most = RATIO
    return min(height, round(width / low)), min(width, round(height * most))


def begun_ahead(data: Any, requests: Iterable[tuple]) -> Iterator[Batch]:
    """The batches of some arguments of `data.begin` in turn, `data.ahead` of them under way."""
    waiting: deque[Callable[[], Batch]] = deque()
    for request in requests:
        waiting.append(data.begin(*request))
        if len(waiting) > data.ahead:
            yield waiting.popleft()()
    while waiting:
        yield waiting.popleft()()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="decode")


@dataclass(frozen=True)
class StreamedSet:
    """Images of a packed file with labels (N,) int64 on the device; see `batches.ImageSet`.

    Attributes:
        scale, shift: (C, 1, 1) float; `image * scale + shift` is the normalised image.
        size: height and width of the views.
    """

    ahead: ClassVar[int] = 3
    draw: ClassVar = staticmethod(draw_boxes)

    images: PackedImages
    labels: Tensor
    scale: Tensor
    shift: Tensor
    size: int

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, positions: Tensor) -> StreamedSet:
        """The samples at `positions` int64 on the device."""
        images = self.images[positions.cpu().numpy()]
        return replace(self, images=images, labels=self.labels[positions])

    def upload(self, values: np.ndarray) -> np.ndarray:
        """What `begin` is given: it is needed on the host."""
        return values

    def begin(
        self, index: np.ndarray, strengths: Sequence[str], draws: Sequence[np.ndarray | None]
    ) -> Callable[[], Batch]:
        """Begins to decode a batch; the function returned waits for it and uploads it.

        Args:
            index: (B,) int64.
            strengths: "weak" or "strong", of each view.
            draws: of each view what `draw_boxes`, or `views.draw_strong` with it, gave.
        """
        shape, pinned = (len(index), 3, self.size, self.size), self.labels.is_cuda
        with torch.inference_mode(False):  # the threads that fill them are not in it
            hosts = [torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for _ in draws]
        weak = [_weak(drawn, strength) for drawn, strength in zip(draws, strengths, strict=True)]
        futures = [
            _threads().submit(self._fill, index, weak, hosts, range(start, start + AT_ONCE))
            for start in range(0, len(index), AT_ONCE)
        ]
        return functools.partial(self._finish, index, strengths, draws, hosts, futures)

    def _fill(
        self,
        index: np.ndarray,
        weak: Sequence[np.ndarray | None],
        hosts: Sequence[Tensor],
        rows: range,
    ) -> None:
        """Decodes the images of some rows of a batch into the rows of its views."""
        for row in rows[: len(index) - rows.start]:
            image = self._decoded(int(index[row]))
            for drawn, host in zip(weak, hosts, strict=True):
                view = None if drawn is None else drawn[row]
                top, left, high, wide = box(view, *image.shape[1:], self.size)
                piece = image[:, top : top + high, left : left + wide]
                if (high, wide) != (self.size, self.size):
                    shape = (self.size, self.size)
                    piece = F.interpolate(piece[None], shape, mode="bilinear", antialias=True)[0]
                flips = (
                    []
                    if view is None
                    else [a for a, f in zip((2, 1), view[FLIPS], strict=True) if f]
                )
                host[row] = piece.flip(flips) if flips else piece

    def _decoded(self, position: int) -> Tensor:
        try:
            return decode(self.images.jpeg(position))
        except RuntimeError as error:
            raise DataError(f"{self.images.named(position)} is damaged: pack it again") from error

    def _finish(
        self,
        index: np.ndarray,
        strengths: Sequence[str],
        draws: Sequence[np.ndarray | None],
        hosts: Sequence[Tensor],
        futures: Sequence[Future],
    ) -> Batch:
        for future in futures:
            future.result()
        device = self.labels.device
        views = []
        for strength, drawn, host in zip(strengths, draws, hosts, strict=True):
            images = upload(host, device)
            if strength == "strong":
                light = upload(drawn[:, :STRONG], device)
                views.append(strong_view(images, light, self.scale, self.shift))
            else:
                views.append(normalised(images, self.scale, self.shift))
        chosen = upload(index, device)
        return views[0], self.labels[chosen], chosen, tuple(views[1:])

    def in_order(self, size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """All samples once, their middles, in batches of at most `size`."""
        index = np.arange(len(self))
        requests = (
            (index[start : start + size], ("weak",), [None]) for start in range(0, len(self), size)
        )
        for images, labels, chosen, _ in begun_ahead(self, requests):
            yield images, labels, chosen


def _weak(drawn: np.ndarray | None, strength: str) -> np.ndarray | None:
    """The part of a view's numbers that is a weak view; None without any."""
    if strength != "strong" or drawn is None:
        return drawn
    return drawn[:, STRONG:] if drawn.shape[1] > STRONG else None
