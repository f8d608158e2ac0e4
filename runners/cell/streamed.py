"""Image sets that do not fit on the device: JPEG files of a packed file, decoded ahead of the step.

Threads decode each image once. For a GPU whole batches are uploaded from pinned memory while
earlier steps run, and their views are cut, resized and flipped there; on a CPU the threads cut
them, which is faster there. What a view is made of is drawn beforehand from the stream of its epoch
or pass, so the view of a sample depends on seed, epoch and sample alone: not on threads, nor on a
restart.
"""

from __future__ import annotations

import functools
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from datasets.files import DataError
from datasets.packed import PackedImages
from methods.base import uploaded
from runners.cell.crops import Crops, crops_of, cut_batch, cut_one, draw_crops, fit_together
from runners.cell.views import STRONG, normalised, strong_view

AT_ONCE = 8
"""Images that a thread takes together."""


Batch = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]


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
        whole: whole images are uploaded, and cut on the device, where they fit in one tensor.
    """

    ahead: ClassVar[int] = 3
    draw: ClassVar = staticmethod(draw_crops)

    images: PackedImages
    labels: Tensor
    scale: Tensor
    shift: Tensor
    size: int
    whole: bool

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
            draws: of each view what `draw_crops`, or `views.draw_strong` with it, gave.
        """
        sizes = self.images.sizes(index)
        crops = [
            crops_of(_weak(drawn, strength), sizes, self.size)
            for drawn, strength in zip(draws, strengths, strict=True)
        ]
        whole = self.whole and fit_together(sizes)
        high, wide = sizes.max(0).tolist() if whole else (self.size, self.size)
        shape, pinned = (len(index), 3, high, wide), self.labels.is_cuda
        with torch.inference_mode(False):  # the threads that fill them are not in it
            hosts = [
                torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
                for _ in (crops[:1] if whole else crops)
            ]
        fill = self._fill_whole if whole else functools.partial(self._fill_cut, crops=crops)
        futures = [
            _threads().submit(fill, index, hosts, range(start, start + AT_ONCE))
            for start in range(0, len(index), AT_ONCE)
        ]
        left = crops if whole else None
        return functools.partial(self._finish, index, strengths, draws, left, hosts, futures)

    def _fill_whole(self, index: np.ndarray, hosts: Sequence[Tensor], rows: range) -> None:
        """Decodes the images of some rows of a batch into these rows of one tensor."""
        for row in rows[: len(index) - rows.start]:
            image = self._decoded(int(index[row]))
            hosts[0][row, :, : image.shape[1], : image.shape[2]] = image

    def _fill_cut(
        self, index: np.ndarray, hosts: Sequence[Tensor], rows: range, crops: Sequence[Crops]
    ) -> None:
        """Decodes the images of some rows of a batch, and cuts these rows of its views."""
        for row in rows[: len(index) - rows.start]:
            image = self._decoded(int(index[row]))
            for (boxes, flips), host in zip(crops, hosts, strict=True):
                host[row] = cut_one(image, boxes[row].tolist(), flips[row].tolist(), self.size)

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
        crops: Sequence[Crops] | None,
        hosts: Sequence[Tensor],
        futures: Sequence[Future],
    ) -> Batch:
        """The batch, once it is decoded.

        Args:
            crops: of each view, left to be cut out of whole images; None: the threads cut them.
        """
        for future in futures:
            future.result()
        device = self.labels.device
        pixels = [uploaded(host, device) for host in hosts]
        if crops is not None:
            pixels = [cut_batch(pixels[0], each, self.size) for each in crops]
        views = []
        for strength, drawn, images in zip(strengths, draws, pixels, strict=True):
            if strength == "strong":
                light = uploaded(drawn[:, :STRONG], device)
                views.append(strong_view(images, light, self.scale, self.shift))
            else:
                views.append(normalised(images, self.scale, self.shift))
        chosen = uploaded(index, device)
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
