"""One cell: data, noise, split, method, training, record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datasets.noise.statistics import realised
from datasets.splits import Split
from methods.base import Method
from runners import evaluation, provenance, record, trainer
from runners.memory import peak_memory_mb, reset_peak_memory
from runners.place import Place
from runners.seeds import stream, torch_seed
from runners.setup import Data, build_method, build_sets, load_data
from runners.sources import sources
from runners.store import SCHEMA, write_atomically
from runners.warmups import SharedWarmup

if TYPE_CHECKING:
    from runners.grid import Cell


def run_cell(
    cell: Cell,
    place: Place,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Trains and evaluates one cell and writes its record; returns the record.

    Args:
        on_epoch: called with the history's entry after every epoch.

    Raises:
        runners.trainer.Diverged: a loss was not finite.
        datasets.base.DataError: the data set is missing or damaged.
    """
    began = time.perf_counter()
    reset_peak_memory(device)
    _set_arithmetic(cell.protocol, device)
    folder = place.study.cell(cell.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.epochs.unlink(missing_ok=True)

    data = load_data(cell, place.study.noise, place.data_root)
    sets = build_sets(cell, data, device)
    method = build_method(cell, data, sets, device)
    shared = place.share_warmup and SharedWarmup.of(cell, method, place.study.warmups)

    def keep(entry: dict[str, Any]) -> None:
        with folder.epochs.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        on_epoch(entry)

    history = trainer.fit(
        method,
        sets,
        cell.protocol,
        order=lambda epoch: stream("order", cell.dataset, cell.seed, epoch),
        network_seed=lambda epoch: torch_seed("dropout", cell.dataset, cell.seed, epoch),
        on_epoch=keep,
        warmup=shared or None,
    )
    with trainer.autocast(cell.protocol, device):
        result, samples = summarise(cell, data, sets, method, history)
    timing = _timing(history, time.perf_counter() - began)
    memory = {"peak_memory_mb": peak_memory_mb(device)}
    write_atomically(folder.samples, lambda file: np.savez_compressed(file, **samples))
    origin = {"provenance": _provenance(cell, data, device, folder.attempts() + 1)}
    result = {**result, "timing": timing, **memory, **origin}
    folder.write_record(result)
    return result


def _set_arithmetic(protocol: dict[str, Any], device: torch.device) -> None:
    """What the protocol says of a GPU's arithmetic; a process keeps nothing of its last cell."""
    if device.type == "cuda":
        torch.use_deterministic_algorithms(protocol["deterministic"])
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = not protocol["deterministic"]
        torch.backends.cudnn.allow_tf32 = protocol["tf32"]
        torch.backends.cuda.matmul.allow_tf32 = protocol["tf32"]


def summarise(
    cell: Cell, data: Data, sets: evaluation.Sets, method: Method, history: record.History
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The compared part of the record, and the columns of `samples.npz`."""
    final = evaluation.outputs(method, sets.train)
    corrected, probability = method.corrected_labels(), method.clean_probability()
    given, truth = sets.train.labels, sets.train_truth
    judged = sets.judged_name
    ensemble = f"ensemble_{judged}"
    predicted = evaluation.outputs(method, sets.judged).predicted
    warmup = method.warmup_epochs
    summary = {
        "schema": SCHEMA,
        **_identity(cell),
        "config": cell.config,
        "counts": _counts(data.split, sets),
        "noise": _noise(cell, data),
        "accuracy": record.accuracies(history, judged),
        "ensemble_accuracy": (
            record.accuracies(history, ensemble) if ensemble in history[0] else None
        ),
        "end_of_warmup": history[min(warmup, len(history)) - 1][judged] if warmup else None,
        "memorisation": evaluation.memorisation_numbers(final.predicted, given, truth),
        "labels": evaluation.label_metrics(corrected, given, truth),
        "selection": evaluation.selection_metrics(probability, given, truth),
        "confusion": evaluation.confusion(predicted, sets.judged.labels, data.dataset.classes),
        "final_weights_sha256": record.weights_sha256(method.network),
    }
    samples = record.sample_arrays(
        data.split.train, given, final.predicted, final.given_probability, corrected, probability
    )
    return summary, samples


def _identity(cell: Cell) -> dict[str, Any]:
    named = (
        "dataset",
        "noise",
        "noise_slug",
        "noise_display",
        "method",
        "label",
        "display",
        "seed",
    )
    return {
        "key": cell.key,
        "cell": {name: getattr(cell, name) for name in named},
        "track": cell.track,
        "hparams_source": cell.hparams_source,
        "privileges": cell.privileges,
    }


def _counts(split: Split, sets: evaluation.Sets) -> dict[str, int]:
    parts = ("train", "noisy_val", "clean_subset", "clean_val")
    counts = {part: len(getattr(split, part)) for part in parts}
    return {**counts, sets.judged_name: len(sets.judged)}


def _noise(cell: Cell, data: Data) -> dict[str, Any]:
    truth, part = data.arrays.train_labels, data.split.train
    rate, matrix = realised(truth[part], data.noisy.labels[part], data.dataset.classes)
    return {
        "nominal_rate": cell.noise.get("rate", 0.0),
        "realised_rate": data.noisy.rate,
        "matrix": data.noisy.matrix.tolist(),
        "labels_sha256": data.noisy.sha256,
        "train_part": {"realised_rate": rate, "matrix": matrix.tolist()},
    }


def _timing(history: record.History, total: float) -> dict[str, float]:
    train = sum(entry["train_seconds"] for entry in history)
    epochs = sum(entry["seconds"] for entry in history)
    return {
        "total_s": round(total, 3),
        "train_s": round(train, 3),
        "eval_s": round(epochs - train, 3),
        "epoch_s": round(float(np.median([entry["seconds"] for entry in history])), 4),
    }


def _provenance(cell: Cell, data: Data, device: torch.device, attempts: int) -> dict[str, Any]:
    commit, dirty = provenance.git_state()
    split = data.split
    parts = (split.train, split.noisy_val, split.clean_subset, split.clean_val, split.dev)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    files = sources(cell)
    return {
        "git_sha": commit,
        "dirty": dirty,
        "sources": files,
        "fingerprint": provenance.fingerprint(files),
        "packages": provenance.package_versions(),
        "python": provenance.python_version(),
        "torch_threads": torch.get_num_threads(),
        "device": gpu or "cpu",
        "data_sha256": data.arrays.sha256,
        "split_sha256": record.array_sha256(*parts),
        "attempts": attempts,
    }
