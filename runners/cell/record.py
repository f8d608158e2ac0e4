"""A cell's record: all that protocol, data, training and machine amount to, put together here."""

from __future__ import annotations

import hashlib
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from datasets.base import NO_CLASS, UNKNOWN
from methods.base import Method
from runners.cell import evaluation
from runners.cell.build import Data
from runners.cell.criteria import History, accuracies
from runners.cell.noisy_labels import measured
from runners.cell.splits import Split
from runners.cell.tracking import Tracker
from runners.results import provenance
from runners.results.samples import array_sha256, samples_sha256
from runners.system.canonical import RESULTS_VERSION, SCHEMA, sha256_of

if TYPE_CHECKING:
    from runners.cell.checkpoint import Notes
    from runners.cell.noise_rate import ToldRate
    from runners.study.cell import Cell


@dataclass(frozen=True)
class Origin:
    """Where and by what a cell is run.

    Attributes:
        sources: the files that its numbers depend on, and `fingerprint` of them as they are now.
        data_stamp: what stands for the content of data and label files.
        began: `time.perf_counter()` at its start.
        notes: of this and of earlier attempts.
        peak_memory_mb: gives the peak since the start.
        warnings: what a reader of the record must know.
        told: the noise rate that the method was told where the realised one is not known.
    """

    sources: list[str]
    fingerprint: str
    data_stamp: str
    began: float
    notes: Notes
    peak_memory_mb: Callable[[], float]
    warnings: list[str]
    told: ToldRate | None = None


def build_record(
    cell: Cell,
    data: Data,
    tracker: Tracker,
    method: Method,
    history: History,
    origin: Origin,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The record of a trained cell, and the columns of its `samples.npz`.

    What `origin` adds (timing, memory, provenance) may differ between two runs of a cell, all else
    may not.
    """
    sets = tracker.sets
    final = evaluation.outputs(method, sets.train)
    corrected, probability = method.corrected_labels(), method.clean_probability()
    given, truth = sets.train.labels, sets.train_truth
    eval_name = sets.eval_name
    ensemble = f"ensemble_{eval_name}"
    warmup = method.warmup_epochs
    samples = sample_arrays(data.split, final, tracker, corrected, probability)
    record = {
        "schema": SCHEMA,
        "results_version": RESULTS_VERSION,
        **_identity(cell),
        "config": cell.config,
        "counts": _counts(data.split, sets),
        **({"judged_by": "given labels"} if data.dataset.judged_by_given else {}),
        "noise": _noise(cell, data, origin.told),
        "accuracy": accuracies(history, eval_name, warmup or 0),
        "ensemble_accuracy": accuracies(history, ensemble, warmup or 0)
        if ensemble in history[0]
        else None,
        "end_of_warmup": history[min(warmup, len(history)) - 1][eval_name] if warmup else None,
        "memorisation": evaluation.memorisation_numbers(final.predicted, given, truth),
        "labels": evaluation.label_metrics(corrected, given, truth),
        "selection": evaluation.selection_metrics(probability, given, truth),
        **tracker.by_criterion(history, eval_name, warmup or 0),
        "final_weights_sha256": weights_sha256(method.network),
        "timing": _timing(history, origin),
        "peak_memory_mb": origin.peak_memory_mb(),
        "provenance": _provenance(data, origin),
        "epochs_sha256": sha256_of(list(history)),
        "samples_sha256": samples_sha256(samples),
    }
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
        **({"noise_rate_s": origin.told.seconds} if origin.told and origin.told.seconds else {}),
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
        "data_stamp": origin.data_stamp,
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
        "tuned_under": cell.tuned_under,
        "tuned_at": cell.tuned_at,
        "privileges": cell.privileges,
    }


def _counts(split: Split, sets: evaluation.DeviceData) -> dict[str, int]:
    parts = ("train", "noisy_val", "clean_subset", "clean_val")
    counts = {part: len(getattr(split, part)) for part in parts}
    return {**counts, sets.eval_name: len(sets.eval_set)}


def _noise(cell: Cell, data: Data, told: ToldRate | None) -> dict[str, Any]:
    noisy, part = data.noisy, data.split.train
    rate, matrix = measured(noisy.truth[part], noisy.labels[part], data.dataset.classes)
    counts = {"no_true_class": NO_CLASS, "unknown_truth": UNKNOWN}
    missing = {name: int((noisy.truth == label).sum()) for name, label in counts.items()}
    missing["left_out"] = len(noisy.labels) - len(noisy.kept)
    return {
        **{name: count for name, count in missing.items() if count},
        **({"told_rate": told.value, "told_source": told.source} if told else {}),
        **({"facts": dict(noisy.facts)} if noisy.facts else {}),
        "nominal_rate": cell.noise_model.nominal_rate,
        "realised_rate": noisy.rate,
        "matrix": _listed(noisy.matrix),
        "labels_sha256": noisy.sha256,
        "train_part": {"realised_rate": rate, "matrix": _listed(matrix)},
    }


def _listed(matrix: np.ndarray | None) -> list[list[float]] | None:
    return None if matrix is None else matrix.tolist()


def weights_sha256(network: nn.Module) -> str:
    """SHA-256 over names, types, shapes and bytes of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def sample_arrays(
    split: Split,
    final: evaluation.Outputs,
    tracker: Tracker,
    corrected: Tensor | None,
    probability: Tensor | None,
) -> dict[str, np.ndarray]:
    """Columns of `samples.npz`: one row a training image; those of other parts carry its name.

    `index` is the official one; `corrected` (n_train, C) and `probability` (n_train,) are what a
    method says of labels. Means are over the training passes that saw an image (`passes`; NaN
    where none did), of the other parts over the epochs' evaluations; `mean_prediction` is the class
    with the highest mean (-1 where none). Margin: probability of the given label less the highest
    of another class.
    """
    sets = tracker.sets
    arrays = {
        "index": split.train,
        "given_label": _numbers(sets.train.labels, np.int16),
        "prediction": _numbers(final.predicted, np.int16),
        "given_probability": _numbers(final.given_probability),
        "passes": _numbers(tracker.values["train_count"], np.int32),
        **_columns("", tracker.means("train")),
    }
    if corrected is not None:
        arrays["corrected_label"] = _numbers(corrected.argmax(1), np.int16)
    if probability is not None:
        arrays["clean_probability"] = _numbers(probability)
    if sets.noisy_val is not None:
        labels = _numbers(sets.noisy_val.labels, np.int16)
        arrays |= {"noisy_val_index": split.noisy_val, "noisy_val_given_label": labels}
        arrays |= _columns("noisy_val_", tracker.means("noisy_val"))
    if sets.eval_name == "dev":
        arrays["dev_index"] = split.dev
    return arrays | _columns(f"{sets.eval_name}_", tracker.means("eval"))


def _columns(prefix: str, means: dict[str, Tensor]) -> dict[str, np.ndarray]:
    return {
        f"{prefix}{name}": _numbers(value, np.float32 if value.is_floating_point() else np.int16)
        for name, value in means.items()
    }


def _numbers(values: Tensor, dtype: type = np.float32) -> np.ndarray:
    return values.float().cpu().numpy().astype(dtype)
