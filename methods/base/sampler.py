"""Batches of training samples that a method chooses by itself: a subset, or by weights.

Randomness comes from streams of the data set, the seed and the sampler's name, never of the method,
and the whole state is in `state_dict`: a sampler that a method keeps as an attribute resumes to the
same bits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from methods.base.method import Batch

Draws = list[np.ndarray | None]
"""What the views of some samples are made of, one array a view."""


class Sampler:
    """Endless batches of chosen training samples.

    Args:
        name: of the sampler; two samplers of a method have different names.
        n_train: training samples.
        size: samples of a batch where `next` names no other number.
        stream_of_pass: number of a pass -> its random stream.
        draw: stream, count -> what the views of so many samples are made of.
        take: index (B,) and draws, both as CPU arrays -> Batch on the device.
    """

    def __init__(
        self,
        name: str,
        n_train: int,
        size: int,
        stream_of_pass: Callable[[int], np.random.Generator],
        draw: Callable[[np.random.Generator, int], Draws],
        take: Callable[[np.ndarray, Draws], Batch],
    ) -> None:
        self.name, self.n_train, self.size = name, n_train, size
        self._stream_of_pass, self._draw, self._take = stream_of_pass, draw, take
        self._weights: np.ndarray | None = None
        self._passes = 0
        self._order = np.empty(0, dtype=np.int64)
        self._draws: Draws = []

    def choose(self, weights: Tensor) -> None:
        """Says which samples come from now on; waits for the device, so call it once an epoch.

        Args:
            weights: (n_train,) bool: passes over the chosen samples, reshuffled every pass; or
                float: draws with replacement in proportion, none negative.

        Raises:
            ValueError: another shape, no sample, or weights that are negative or not finite.
        """
        chosen = weights.detach().cpu().numpy()
        if chosen.shape != (self.n_train,):
            raise ValueError(f"sampler {self.name}: weights must be ({self.n_train},)")
        if chosen.dtype != np.bool_:
            chosen = chosen.astype(np.float64)
            if not np.isfinite(chosen).all() or (chosen < 0).any():
                raise ValueError(f"sampler {self.name}: a weight is negative or not finite")
        if not chosen.any():
            raise ValueError(f"sampler {self.name}: no sample is chosen")
        self._weights = chosen
        self._order, self._draws = np.empty(0, dtype=np.int64), []

    def next(self, size: int | None = None) -> Batch:
        """The next batch of `size` samples; what a pass leaves over is carried on to the next one.

        Raises:
            RuntimeError: nothing was chosen yet.
        """
        if self._weights is None:
            raise RuntimeError(f"sampler {self.name}: call choose() first")
        size = size or self.size
        while len(self._order) < size:
            self._add_pass()
        index, self._order = self._order[:size], self._order[size:]
        draws = [None if view is None else view[:size] for view in self._draws]
        self._draws = [None if view is None else view[size:] for view in self._draws]
        return self._take(index, draws)

    def _add_pass(self) -> None:
        rng = self._stream_of_pass(self._passes)
        self._passes += 1
        if self._weights.dtype == np.bool_:
            order = rng.permutation(np.flatnonzero(self._weights))
        else:
            share = self._weights / self._weights.sum()
            order = rng.choice(self.n_train, size=self.n_train, p=share)
        draws = self._draw(rng, len(order))
        self._order = np.concatenate([self._order, order])
        if self._draws:
            pairs = zip(self._draws, draws, strict=True)
            draws = [None if new is None else np.concatenate([old, new]) for old, new in pairs]
        self._draws = draws

    def state_dict(self) -> dict[str, Any]:
        """All that decides the batches to come, as tensors and numbers."""
        return {
            "weights": None if self._weights is None else torch.from_numpy(self._weights),
            "passes": self._passes,
            "order": torch.from_numpy(self._order),
            "draws": [None if view is None else torch.from_numpy(view) for view in self._draws],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where the sampler of this state was."""
        self._weights = None if state["weights"] is None else state["weights"].numpy()
        self._passes, self._order = int(state["passes"]), state["order"].numpy()
        self._draws = [None if view is None else view.numpy() for view in state["draws"]]
