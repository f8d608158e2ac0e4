"""Image sets that live on the device as uint8, and batches drawn from them or from streamed ones.

Normalising, cropping and flipping are batched tensor operations; there are no worker processes and
no image library in the loop. Every random number (order, crop, flip) is drawn on the CPU, for a
whole epoch or pass at once, so CPU and GPU see the same views.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from datasets.packed import PackedImages
from methods.base import uploaded
from runners.cell.streamed import StreamedSet, begun_ahead
from runners.cell.views import crop_and_flip, draw_all, draw_views, normalised, strong_view

Parts = tuple[Tensor, Tensor, Tensor]
"""Images (B, C, H, W) float, labels (B,) int64, index (B,) int64."""
Views = tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]
"""The same, and further views of the images."""


@dataclass(frozen=True)
class ImageSet:
    """Images (N, C, H, W) uint8 and labels (N,) int64 on the device.

    Attributes:
        scale, shift: (C, 1, 1) float; `image * scale + shift` is the normalised image.
    """

    ahead: ClassVar[int] = 0
    """Batches that are worth beginning before they are asked for."""
    draw: ClassVar = staticmethod(draw_views)

    images: Tensor
    labels: Tensor
    scale: Tensor
    shift: Tensor

    @classmethod
    def build(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device,
    ) -> ImageSet:
        """Uploads uint8 images (N, C, H, W); `mean` and `std` per channel, pixels in [0, 1]."""
        return cls(
            torch.from_numpy(np.ascontiguousarray(images)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
            *_normalising(mean, std, device),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, positions: Tensor) -> ImageSet:
        """The samples at `positions` int64 on the device."""
        return replace(self, images=self.images[positions], labels=self.labels[positions])

    def upload(self, values: np.ndarray) -> Tensor:
        """What `begin` is given, where it is fastest for it."""
        return uploaded(values, self.labels.device)

    def take(self, index: Tensor, views: Tensor | None = None) -> Parts:
        """The samples at `index` (B,), cropped and flipped as `views` (B, 4) says."""
        images = self.images[index]
        if views is not None:
            images = crop_and_flip(images, views)
        return normalised(images, self.scale, self.shift), self.labels[index], index

    def views(
        self, index: Tensor, strengths: Sequence[str], draws: Sequence[Tensor | None]
    ) -> Views:
        """The parts of a batch: first view, labels, index, further views."""
        images, labels, index = self.take(index, draws[0])
        further = tuple(
            strong_view(self.images[index], drawn, self.scale, self.shift)
            if strength == "strong"
            else self.take(index, drawn)[0]
            for strength, drawn in zip(strengths[1:], draws[1:], strict=True)
        )
        return images, labels, index, further

    def begin(
        self, index: Tensor, strengths: Sequence[str], draws: Sequence[Tensor | None]
    ) -> Callable[[], Views]:
        """A function that gives the batch; arguments as of `views`."""
        return functools.partial(self.views, index, strengths, draws)

    def in_order(self, size: int) -> Iterator[Parts]:
        """All samples once, unaugmented, in batches of at most `size`."""
        index = torch.arange(len(self), device=self.labels.device)
        for start in range(0, len(self), size):
            images = normalised(self.images[start : start + size], self.scale, self.shift)
            yield images, self.labels[start : start + size], index[start : start + size]


AnySet = ImageSet | StreamedSet


def image_set(
    images: np.ndarray | PackedImages,
    labels: np.ndarray,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    size: int,
    device: torch.device,
) -> AnySet:
    """A set on the device, or streamed to it where its images are in a packed file.

    Args:
        images: uint8 (N, C, H, W), or a part of a packed file.
        labels: integers (N,).
        mean, std: of each channel, of pixels in [0, 1].
        size: side of the images in pixels.
    """
    if not isinstance(images, PackedImages):
        return ImageSet.build(images, labels, mean, std, device)
    on_device = torch.from_numpy(labels.astype(np.int64)).to(device)
    whole = device.type != "cpu"
    return StreamedSet(images, on_device, *_normalising(mean, std, device), size, whole)


def _normalising(
    mean: tuple[float, ...], std: tuple[float, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """`scale` and `shift` of a set."""
    deviation = torch.tensor(std).view(-1, 1, 1)
    scale = 1 / (255 * deviation)
    shift = -torch.tensor(mean).view(-1, 1, 1) / deviation
    return scale.to(device), shift.to(device)


def epoch_batches(
    data: AnySet,
    rng: np.random.Generator,
    batch_size: int,
    augment: str,
    start: int = 0,
    strengths: Sequence[str] = ("weak",),
) -> Iterator[Views]:
    """One shuffled epoch of floor(N / batch_size) batches (at least one); the rest is dropped.

    `start` leaves out the first batches: the others are the same as without. Further views than
    the first are those of `strengths`.
    """
    size = min(batch_size, len(data))
    steps = len(data) // size
    order = data.upload(rng.permutation(len(data))[: steps * size].reshape(steps, size))
    grouped = [
        None if view is None else data.upload(view.reshape(steps, size, -1))
        for view in draw_all(rng, steps * size, augment, strengths, data.draw)
    ]
    yield from begun_ahead(
        data,
        (
            (order[step], strengths, [None if view is None else view[step] for view in grouped])
            for step in range(start, steps)
        ),
    )


class EndlessBatches:
    """Batches of a small set without end: reshuffled every pass, what is left over is carried on.

    Batch j is a function of j alone, so `position` is the whole state.

    Args:
        data: the set, N samples; batches have min(batch_size, N).
        stream_of_pass: number of a pass -> its random stream.
        prepare: how many batches are drawn and uploaded together.
    """

    def __init__(
        self,
        data: AnySet,
        batch_size: int,
        augment: str,
        stream_of_pass: Callable[[int], np.random.Generator],
        prepare: int,
    ) -> None:
        self.data, self.augment, self.prepare = data, augment, prepare
        self.size = min(batch_size, len(data))
        self.stream_of_pass = stream_of_pass
        self.position = 0
        self._prepared_from = -1
        self._begun: dict[tuple[int, bool], Callable[[], Views]] = {}

    def next(self, augment: bool) -> Parts:
        """The next batch; `augment` False gives the unaugmented images."""
        wanted = [(self.position + k, augment) for k in range(1 + self.data.ahead)]
        self._begun = {each: self._begun.get(each) or self._begin(*each) for each in wanted}
        self.position += 1
        return self._begun.pop(wanted[0])()[:3]

    def _begin(self, position: int, augment: bool) -> Callable[[], Views]:
        block, step = divmod(position, self.prepare)
        if block != self._prepared_from:
            self._prepare(block)
        views = self._views[step] if augment and self._views is not None else None
        return self.data.begin(self._order[step], ("weak",), [views])

    def _prepare(self, block: int) -> None:
        count, first = len(self.data), block * self.prepare * self.size
        last = first + self.prepare * self.size
        orders, views = [], []
        for number in range(first // count, (last - 1) // count + 1):
            rng = self.stream_of_pass(number)
            orders.append(rng.permutation(count))
            views.append(self.data.draw(rng, count, self.augment))
        window = slice(first - first // count * count, None)
        shape, total = (self.prepare, self.size), self.prepare * self.size
        self._order = self.data.upload(np.concatenate(orders)[window][:total].reshape(shape))
        self._views = None
        if views[0] is not None:
            chosen = np.concatenate(views)[window][:total]
            self._views = self.data.upload(chosen.reshape(*shape, -1))
        self._prepared_from = block
