"""One cell: data, noise, split, method, training, record."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from runners import provenance, record, trainer
from runners.checkpoint import Checkpoint, Misfit, Notes
from runners.files import naming, sweep, write_atomically
from runners.hardware import device_name, processor_name
from runners.label_files import store_labels
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
from runners.summary import summarise
from runners.warmups import SharedWarmup

if TYPE_CHECKING:
    from methods.base import Method
    from runners.evaluation import Sets
    from runners.grid import Cell


def run_cell(
    cell: Cell,
    place: Place,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None],
    owned: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Trains and evaluates one cell and writes its record; returns the record.

    An earlier attempt that was cut off is gone on with from its checkpoint.

    Args:
        on_epoch: called with the history's entry after every epoch.
        owned: raises `runners.leases.LeaseLost` where this process may not write for the cell;
            asked before everything that is written or removed, as this process may have been
            suspended for long and the cell been finished by another one.

    Raises:
        runners.trainer.Diverged: a loss was not finite.
        datasets.base.DataError: the data set is missing or damaged.
    """
    began = time.perf_counter()
    reset_peak_memory(device)
    set_arithmetic(cell.protocol, device)
    folder = place.study.cell(cell.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    owned()
    sweep(folder.path, owned=True)

    data = load_data(cell, place.data_root)
    store_labels(place.study.noise, cell, data.noisy)
    checkpoint = _checkpoint(cell, place, device, owned)
    try:
        method, sets, history = _train(cell, place, data, device, checkpoint, on_epoch)
    except Misfit as reason:
        owned()
        checkpoint.set_aside(reason)
        method, sets, history = _train(cell, place, data, device, checkpoint, on_epoch)
    with trainer.autocast(cell.protocol, device):
        result, samples = summarise(cell, data, sets, method, history)
    notes = checkpoint.notes
    timing = _timing(history, notes, time.perf_counter() - began)
    memory = {"peak_memory_mb": peak_memory_mb(device)}
    warnings = [place.warning] if place.warning else []
    origin = {"provenance": {**_provenance(cell, data, notes), "warnings": warnings}}
    owned()
    write_atomically(folder.samples, lambda file: np.savez_compressed(file, **samples))
    lines = "".join(json.dumps(entry) + "\n" for entry in history)
    write_atomically(folder.epochs, lambda file: file.write(lines.encode()))
    result = {**result, "timing": timing, **memory, **origin}
    folder.write_record(result)
    checkpoint.remove()
    return result


def _checkpoint(
    cell: Cell, place: Place, device: torch.device, owned: Callable[[], None]
) -> Checkpoint:
    identity = {
        "key": cell.key,
        "fingerprint": provenance.fingerprint(sources(cell)),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    path = place.study.cell(cell.name).checkpoint
    seconds = 60 * place.checkpoint_minutes
    made = Checkpoint(path, identity, place.checkpoint_every, seconds, owned)
    failed = place.study.cell(cell.name).attempts()
    hardware = {"devices": [device_name(device)], "processors": [processor_name()]}
    made.notes = Notes(attempts=failed + 1, **hardware)
    return made


def _train(
    cell: Cell,
    place: Place,
    data: Data,
    device: torch.device,
    checkpoint: Checkpoint,
    on_epoch: Callable[[dict[str, Any]], None],
) -> tuple[Method, Sets, record.History]:
    folder = place.study.cell(cell.name)
    sets = build_sets(cell, data, device)
    method = build_method(cell, data, sets, device)
    shared = None
    if place.share_warmup:
        shared = SharedWarmup.of(cell, method, place.study.warmups)
    if shared:
        shared.withheld = lambda: checkpoint.notes.mixed
    checkpoint.owned()
    folder.epochs.unlink(missing_ok=True)  # its lines come again, those after the checkpoint do not

    def keep(entry: dict[str, Any]) -> None:
        checkpoint.owned()
        if shared and shared.restored:
            checkpoint.notes.shared_epochs = shared.restored
        with naming(folder.epochs), folder.epochs.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        on_epoch(entry)

    history = trainer.fit(
        method,
        sets,
        cell.protocol,
        **epoch_streams(cell),
        on_epoch=keep,
        warmup=shared,
        keeper=checkpoint,
    )
    return method, sets, history


def _timing(history: record.History, notes: Notes, total: float) -> dict[str, float]:
    """Seconds of this cell over all attempts, without epochs that another cell has trained."""
    own = history[notes.shared_epochs :]
    train = sum(entry["train_seconds"] for entry in own)
    epochs = [entry["seconds"] for entry in own]
    return {
        "total_s": round(notes.seconds + total, 3),
        "train_s": round(train, 3),
        "eval_s": round(sum(epochs) - train, 3),
        "epoch_s": round(float(np.median(epochs)), 4) if epochs else 0.0,
        "shared_warmup_epochs": notes.shared_epochs,
    }


def _provenance(cell: Cell, data: Data, notes: Notes) -> dict[str, Any]:
    commit, dirty = provenance.git_state()
    split = data.split
    parts = (split.train, split.noisy_val, split.clean_subset, split.clean_val, split.dev)
    files = sources(cell)
    return {
        "git_sha": commit,
        "dirty": dirty,
        "sources": files,
        "fingerprint": provenance.fingerprint(files),
        "packages": provenance.package_versions(),
        "python": provenance.python_version(),
        "torch_threads": torch.get_num_threads(),
        "device": ", then ".join(dict.fromkeys(notes.devices)),
        "processor": ", then ".join(dict.fromkeys(notes.processors)),
        "host": socket.gethostname(),
        "data_sha256": data.arrays.sha256,
        "split_sha256": record.array_sha256(*parts),
        "attempts": notes.attempts,
    }
