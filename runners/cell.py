"""One cell: data, noise, split, method, training, record."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from runners import provenance, record, trainer
from runners.memory import peak_memory_mb, reset_peak_memory
from runners.place import Place
from runners.setup import (
    Data,
    build_method,
    build_sets,
    epoch_streams,
    load_data,
    set_arithmetic,
)
from runners.sources import sources
from runners.store import write_atomically
from runners.summary import summarise
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
    set_arithmetic(cell.protocol, device)
    folder = place.study.cell(cell.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.epochs.unlink(missing_ok=True)

    data = load_data(cell, place.study.noise, place.data_root)
    sets = build_sets(cell, data, device)
    method = build_method(cell, data, sets, device)
    shared = None
    if place.share_warmup:
        shared = SharedWarmup.of(cell, method, place.study.warmups)

    def keep(entry: dict[str, Any]) -> None:
        with folder.epochs.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        on_epoch(entry)

    history = trainer.fit(
        method,
        sets,
        cell.protocol,
        **epoch_streams(cell),
        on_epoch=keep,
        warmup=shared,
    )
    with trainer.autocast(cell.protocol, device):
        result, samples = summarise(cell, data, sets, method, history)
    taken = shared.restored if shared else 0
    timing = _timing(history, taken, time.perf_counter() - began)
    memory = {"peak_memory_mb": peak_memory_mb(device)}
    write_atomically(folder.samples, lambda file: np.savez_compressed(file, **samples))
    origin = {"provenance": _provenance(cell, data, device, folder.attempts() + 1)}
    result = {**result, "timing": timing, **memory, **origin}
    folder.write_record(result)
    return result


def _timing(history: record.History, taken: int, total: float) -> dict[str, float]:
    """Seconds of this cell; the first `taken` epochs were trained by another one."""
    own = history[taken:]
    train = sum(entry["train_seconds"] for entry in own)
    epochs = [entry["seconds"] for entry in own]
    return {
        "total_s": round(total, 3),
        "train_s": round(train, 3),
        "eval_s": round(sum(epochs) - train, 3),
        "epoch_s": round(float(np.median(epochs)), 4) if epochs else 0.0,
        "shared_warmup_epochs": taken,
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
