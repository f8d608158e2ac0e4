"""A cell's record: what protocol, data, training and machine amount to in one JSON document."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor, nn

History = Sequence[dict[str, Any]]


def accuracies(history: History, key: str) -> dict[str, dict[str, Any] | None]:
    """Accuracy under every criterion, from one run.

    Args:
        history: one entry an epoch.
        key: what is judged: "test", "dev", or the ensemble's "ensemble_test".

    Returns:
        Criterion -> {"epoch": from 1, or None for a mean, "test" or "dev": accuracy}; None where
        the criterion cannot be applied.
    """
    name = key.removeprefix("ensemble_")
    values = [entry[key] for entry in history]
    tail = values[-min(len(values), 10, max(2, len(values) // 4)) :]

    def at(position: int) -> dict[str, Any]:
        return {"epoch": history[position]["epoch"], name: values[position]}

    def best(by: str) -> dict[str, Any] | None:
        scores = [entry[by] for entry in history]
        return None if None in scores else at(int(np.argmax(scores)))

    return {
        "last": at(len(values) - 1),
        "last10": {"epoch": None, name: float(np.mean(tail))},
        "noisy_val": best("noisy_val"),
        "clean_val": best("clean_val"),
        f"{name}_peek": best(key),
    }


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def array_sha256(*arrays: np.ndarray) -> str:
    """SHA-256 over dtypes, shapes and bytes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def sample_arrays(
    index: np.ndarray,
    given: Tensor,
    predicted: Tensor,
    given_probability: Tensor,
    corrected: Tensor | None,
    clean_probability: Tensor | None,
) -> dict[str, np.ndarray]:
    """Columns of `samples.npz`, one row a training image; index is the official one."""
    arrays = {
        "index": index,
        "given_label": given.cpu().numpy().astype(np.int16),
        "prediction": predicted.cpu().numpy().astype(np.int16),
        "given_probability": given_probability.float().cpu().numpy(),
    }
    if corrected is not None:
        arrays["corrected_label"] = corrected.argmax(1).cpu().numpy().astype(np.int16)
    if clean_probability is not None:
        arrays["clean_probability"] = clean_probability.float().cpu().numpy()
    return arrays
