"""A cell's record: all that protocol, data, training and machine amount to, put together here."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

import datasets.noise
from datasets.noise.statistics import realised
from methods.base import Method
from runners.cell import evaluation
from runners.cell.build import Data
from runners.cell.noisy_labels import NO_CLASS
from runners.cell.splits import Split
from runners.results import provenance
from runners.system.canonical import SCHEMA

if TYPE_CHECKING:
    from runners.cell.checkpoint import Notes
    from runners.study.cell import Cell

History = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Origin:
    """Where and by what a cell is run.

    Attributes:
        sources: the files that its numbers depend on, and `fingerprint` of them as they are now.
        began: `time.perf_counter()` at its start.
        notes: of this and of earlier attempts.
        peak_memory_mb: gives the peak since the start.
        warnings: what a reader of the record must know.
    """

    sources: list[str]
    fingerprint: str
    began: float
    notes: Notes
    peak_memory_mb: Callable[[], float]
    warnings: list[str]


def build_record(
    cell: Cell,
    data: Data,
    sets: evaluation.DeviceData,
    method: Method,
    history: History,
    origin: Origin,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record of a trained cell, and the columns of its `samples.npz`.

    What `origin` adds (timing, memory, provenance) may differ between two runs of a cell, all else
    may not.
    """
    final = evaluation.outputs(method, sets.train)
    corrected, probability = method.corrected_labels(), method.clean_probability()
    given, truth = sets.train.labels, sets.train_truth
    eval_name = sets.eval_name
    ensemble = f"ensemble_{eval_name}"
    predicted = evaluation.outputs(method, sets.eval_set).predicted
    warmup = method.warmup_epochs
    record = {
        "schema": SCHEMA,
        **_identity(cell),
        "config": cell.config,
        "counts": _counts(data.split, sets),
        "noise": _noise(cell, data),
        "accuracy": accuracies(history, eval_name, warmup or 0),
        "ensemble_accuracy": accuracies(history, ensemble, warmup or 0)
        if ensemble in history[0]
        else None,
        "end_of_warmup": history[min(warmup, len(history)) - 1][eval_name] if warmup else None,
        "memorisation": evaluation.memorisation_numbers(final.predicted, given, truth),
        "labels": evaluation.label_metrics(corrected, given, truth),
        "selection": evaluation.selection_metrics(probability, given, truth),
        "confusion": evaluation.confusion(predicted, sets.eval_set.labels, data.dataset.classes),
        "final_weights_sha256": weights_sha256(method.network),
        "timing": _timing(history, origin),
        "peak_memory_mb": origin.peak_memory_mb(),
        "provenance": _provenance(data, origin),
    }
    samples = sample_arrays(
        data.split.train, given, final.predicted, final.given_probability, corrected, probability
    )
    return record, samples


def _timing(history: History, origin: Origin) -> dict[str, float]:
    """Seconds of this cell over all attempts."""
    train = sum(entry["train_seconds"] for entry in history)
    epochs = [entry["seconds"] for entry in history]
    return {
        "total_s": round(origin.notes.seconds + time.perf_counter() - origin.began, 3),
        "train_s": round(train, 3),
        "eval_s": round(sum(epochs) - train, 3),
        "epoch_s": round(float(np.median(epochs)), 4),
    }


def _provenance(data: Data, origin: Origin) -> dict[str, Any]:
    commit, dirty = provenance.git_state()
    split, notes = data.split, origin.notes
    parts = (split.train, split.noisy_val, split.clean_subset, split.clean_val, split.dev)
    return {
        "git_sha": commit,
        "dirty": dirty,
        "sources": origin.sources,
        "fingerprint": origin.fingerprint,
        "packages": provenance.package_versions(),
        "python": provenance.python_version(),
        "torch_threads": torch.get_num_threads(),
        "device": ", then ".join(dict.fromkeys(notes.devices)),
        "processor": ", then ".join(dict.fromkeys(notes.processors)),
        "host": socket.gethostname(),
        "data_sha256": data.arrays.sha256,
        "split_sha256": array_sha256(*parts),
        "attempts": notes.attempts,
        "warnings": origin.warnings,
    }


def _identity(cell: Cell) -> dict[str, Any]:
    named = ("dataset", "noise", "noise_slug", "noise_display")
    named += ("method", "label", "display", "seed")
    return {
        "key": cell.key,
        "cell": {name: getattr(cell, name) for name in named},
        "track": cell.track,
        "hparams_source": cell.hparams_source,
        "privileges": cell.privileges,
    }


def _counts(split: Split, sets: evaluation.DeviceData) -> dict[str, int]:
    parts = ("train", "noisy_val", "clean_subset", "clean_val")
    counts = {part: len(getattr(split, part)) for part in parts}
    return {**counts, sets.eval_name: len(sets.eval_set)}


def _noise(cell: Cell, data: Data) -> dict[str, Any]:
    model = datasets.noise.of(cell.noise)
    truth, part = data.noisy.truth, data.split.train
    rate, matrix = realised(truth[part], data.noisy.labels[part], data.dataset.classes)
    classless = int((truth == NO_CLASS).sum())
    return {
        **({"no_true_class": classless} if classless else {}),
        "nominal_rate": model.nominal_rate,
        "realised_rate": data.noisy.rate,
        "matrix": data.noisy.matrix.tolist(),
        "labels_sha256": data.noisy.sha256,
        "train_part": {"realised_rate": rate, "matrix": matrix.tolist()},
    }


def accuracies(history: History, key: str, warmup: int) -> dict[str, dict[str, Any] | None]:
    """Accuracy under every criterion, from one run.

    What chooses an epoch chooses among those after the warm-up, which is plain cross-entropy; if
    none is left, the last one. Of epochs with equal scores it is the mean.

    Args:
        history: one entry an epoch.
        key: what is judged: "test", "dev", or the ensemble's "ensemble_test".
        warmup: epochs of the method's warm-up.

    Returns:
        Criterion -> {"epoch": from 1, or None for a mean, "test" or "dev": accuracy}, with `tied`
        epochs where there are several; None where the criterion cannot be applied.
    """
    name = key.removeprefix("ensemble_")
    values = [entry[key] for entry in history]
    tail = values[-min(len(values), 10, max(2, len(values) // 4)) :]

    def at(position: int) -> dict[str, Any]:
        return {"epoch": history[position]["epoch"], name: values[position]}

    def best(by: str) -> dict[str, Any] | None:
        scores = [entry[by] for entry in history]
        if None in scores:
            return None
        candidates = range(min(warmup, len(history) - 1), len(history))
        top = max(scores[position] for position in candidates)
        chosen = [position for position in candidates if scores[position] == top]
        if len(chosen) == 1:
            return at(chosen[0])
        mean = float(np.mean([values[position] for position in chosen]))
        return {"epoch": None, name: mean, "tied": [history[p]["epoch"] for p in chosen]}

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
