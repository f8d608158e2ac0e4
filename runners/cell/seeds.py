"""Named random streams: every random number of a cell comes from one of them.

A stream is named by what it may depend on, for example `("noise", dataset, noise, seed)`, so
methods of one setting share labels, split, initial weights and order, and nothing depends on what
else ran. Names are hashed with SHA-256; Python's salted `hash` is never used.
"""

from __future__ import annotations

import hashlib

import numpy as np


def _words(names: tuple[str | int, ...]) -> list[int]:
    # The separator cannot occur in a name, so ("a", "b") and ("ab",) are different streams.
    digest = hashlib.sha256("\x1f".join(map(str, names)).encode()).digest()
    return [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 32, 4)]


def stream(*names: str | int) -> np.random.Generator:
    """A fresh generator at the start of the stream with this name."""
    return np.random.default_rng(np.random.SeedSequence(_words(names)))


def torch_seed(*names: str | int) -> int:
    """A seed for `torch.manual_seed` out of the stream with this name (63 bits)."""
    return int(stream(*names).integers(2**63 - 1))
