"""Repeating random numbers: two passes through a network with the same dropout masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor


@contextlib.contextmanager
def replayed(state: Tensor | None, device: torch.device) -> Iterator[None]:
    """Inside, random numbers repeat those that followed `state`; None changes nothing."""
    if state is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cuda":
            torch.cuda.set_rng_state(state, device)
        else:
            torch.set_rng_state(state)
        yield


def random_state(device: torch.device) -> Tensor:
    """State of the global generator that dropout on this device draws from."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
