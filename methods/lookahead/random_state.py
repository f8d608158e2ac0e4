"""The random numbers that a forward pass may draw: whether it drew any, and drawing them again."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch


class RandomState:
    """State of the global generators of torch (CPU, and the images' GPU), NumPy and Python."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.torch = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        self.numpy, self.python = np.random.get_state(), random.getstate()  # noqa: NPY002

    def has_moved(self) -> bool:
        """Whether anything was drawn since."""
        now = RandomState(self.device)
        same = torch.equal(now.torch, self.torch) and now.python == self.python
        same = same and (self.cuda is None or torch.equal(now.cuda, self.cuda))
        return not (
            same and np.array_equal(now.numpy[1], self.numpy[1]) and now.numpy[2:] == self.numpy[2:]
        )

    def restore(self) -> None:
        """Sets all generators to this state."""
        torch.set_rng_state(self.torch)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)

    @contextlib.contextmanager
    def replayed(self) -> Iterator[None]:
        """Inside, the numbers that were drawn after this state are drawn again."""
        now = RandomState(self.device)
        self.restore()
        try:
            yield
        finally:
            now.restore()
