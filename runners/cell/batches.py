"""Image sets that live on the device as uint8, and the batches drawn from them.

Normalising, cropping and flipping are batched tensor operations; there are no worker processes and
no image library in the loop. Every random number (order, crop, flip) is drawn on the CPU, for a
whole epoch or pass at once, so CPU and GPU see the same views.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runners.cell.views import crop_and_flip, draw_all, draw_views, strong_view

Parts = tuple[Tensor, Tensor, Tensor]
"""Images (B, C, H, W) float, labels (B,) int64, index (B,) int64."""


@dataclass(frozen=True)
class ImageSet:
    """Images (N, C, H, W) uint8 and labels (N,) int64 on the device.

    Attributes:
        scale, shift: (C, 1, 1) float; `image * scale + shift` is the normalised image.
    """

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
        deviation = torch.tensor(std).view(-1, 1, 1)
        scale = 1 / (255 * deviation)
        shift = -torch.tensor(mean).view(-1, 1, 1) / deviation
        return cls(
            torch.from_numpy(np.ascontiguousarray(images)).to(device),
            torch.from_numpy(labels.astype(np.int64)).to(device),
            scale.to(device),
            shift.to(device),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor, views: Tensor | None = None) -> Parts:
        """The samples at `index` (B,), cropped and flipped as `views` (B, 4) says."""
        images = self.images[index]
        if views is not None:
            images = crop_and_flip(images, views)
        return images * self.scale + self.shift, self.labels[index], index

    def views(
        self, index: Tensor, strengths: Sequence[str], draws: Sequence[Tensor | None]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        """The parts of a batch: first view, labels, index, further views."""
        images, labels, index = self.take(index, draws[0])
        further = tuple(
            strong_view(self.images[index], drawn, self.scale, self.shift)
            if strength == "strong"
            else self.take(index, drawn)[0]
            for strength, drawn in zip(strengths[1:], draws[1:], strict=True)
        )
        return images, labels, index, further

    def in_order(self, size: int) -> Iterator[Parts]:
        """All samples once, unaugmented, in batches of at most `size`."""
        index = torch.arange(len(self), device=self.labels.device)
        for start in range(0, len(self), size):
            images = self.images[start : start + size] * self.scale + self.shift
            yield images, self.labels[start : start + size], index[start : start + size]


def upload(values: np.ndarray, device: torch.device) -> Tensor:
    """A tensor of `values` on the device, without waiting for the copy."""
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def epoch_batches(
    data: ImageSet,
    rng: np.random.Generator,
    batch_size: int,
    augment: str,
    start: int = 0,
    strengths: Sequence[str] = ("weak",),
) -> Iterator[tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]]:
    """One shuffled epoch of floor(N / batch_size) batches (at least one); the rest is dropped.

    `start` leaves out the first batches: the others are the same as without. Further views than
    the first are those of `strengths`.
    """
    size = min(batch_size, len(data))
    steps = len(data) // size
    device = data.labels.device
    order = upload(rng.permutation(len(data))[: steps * size].reshape(steps, size), device)
    grouped = [
        None if view is None else upload(view.reshape(steps, size, -1), device)
        for view in draw_all(rng, steps * size, augment, strengths)
    ]
    for step in range(start, steps):
        drawn = [None if view is None else view[step] for view in grouped]
        yield data.views(order[step], strengths, drawn)


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
        data: ImageSet,
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

    def next(self, augment: bool) -> Parts:
        """The next batch; `augment` False gives the unaugmented images."""
        block = self.position // self.prepare
        if block != self._prepared_from:
            self._prepare(block)
        step = self.position % self.prepare
        self.position += 1
        views = self._views[step] if augment and self._views is not None else None
        return self.data.take(self._order[step], views)

    def _prepare(self, block: int) -> None:
        count, first = len(self.data), block * self.prepare * self.size
        last = first + self.prepare * self.size
        orders, views = [], []
        for number in range(first // count, (last - 1) // count + 1):
            rng = self.stream_of_pass(number)
            orders.append(rng.permutation(count))
            views.append(draw_views(rng, count, self.augment))
        window = slice(first - first // count * count, None)
        shape, device = (self.prepare, self.size), self.data.labels.device
        total = self.prepare * self.size
        self._order = upload(np.concatenate(orders)[window][:total].reshape(shape), device)
        self._views = None
        if views[0] is not None:
            chosen = np.concatenate(views)[window][:total]
            self._views = upload(chosen.reshape(*shape, 4), device)
        self._prepared_from = block
