"""One cell: data, noise, split, method, training, record."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from runners.cell import record, trainer
from runners.cell.build import (
    Data,
    build_method,
    build_sets,
    epoch_streams,
    load_data,
    set_arithmetic,
)
from runners.cell.checkpoint import Checkpointer, CheckpointMismatch, Notes
from runners.cell.hardware import device_name, processor_name
from runners.cell.label_files import store_labels
from runners.cell.memory import peak_memory_mb, reset_peak_memory
from runners.cell.run_context import RunContext
from runners.cell.summary import summarise
from runners.results import provenance
from runners.results.sources import sources
from runners.system.files import naming, sweep, write_atomically

if TYPE_CHECKING:
    from methods.base import Method
    from runners.cell.evaluation import DeviceData
    from runners.study.cell import Cell


def run_cell(
    cell: Cell,
    context: RunContext,
    device: torch.device,
    on_epoch: Callable[[dict[str, Any]], None],
    check_lease: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Trains and evaluates one cell and writes its record; returns the record.

    An earlier attempt that was cut off is resumed from its checkpoint.

    Args:
        on_epoch: called with the history's entry after every epoch.
        check_lease: raises `runners.results.leases.LeaseLost` where this process may not write for
            the cell; asked before everything that is written or removed, as this process may
            have been suspended for long and the cell been finished by another one.

    Raises:
        runners.cell.trainer.Diverged: a loss was not finite.
        datasets.base.DataError: the data set is missing or damaged.
    """
    began = time.perf_counter()
    reset_peak_memory(device)
    set_arithmetic(cell.protocol, device)
    folder = context.study.cell(cell.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    check_lease()
    sweep(folder.path, exclusive=True)

    data = load_data(cell, context.data_root)
    store_labels(context.study.noise, cell, data.noisy)
    checkpoint = _checkpoint(cell, context, device, check_lease)
    try:
        method, sets, history = _train(cell, context, data, device, checkpoint, on_epoch)
    except CheckpointMismatch as reason:
        check_lease()
        checkpoint.set_aside(reason)
        method, sets, history = _train(cell, context, data, device, checkpoint, on_epoch)
    with trainer.autocast(cell.protocol, device):
        result, samples = summarise(cell, data, sets, method, history)
    notes = checkpoint.notes
    timing = _timing(history, notes, time.perf_counter() - began)
    memory = {"peak_memory_mb": peak_memory_mb(device)}
    warnings = [context.warning] if context.warning else []
    origin = {"provenance": {**_provenance(cell, data, notes), "warnings": warnings}}
    check_lease()
    write_atomically(folder.samples, lambda file: np.savez_compressed(file, **samples))
    lines = "".join(json.dumps(entry) + "\n" for entry in history)
    write_atomically(folder.epochs, lambda file: file.write(lines.encode()))
    result = {**result, "timing": timing, **memory, **origin}
    folder.write_record(result)
    checkpoint.remove()
    return result


def _checkpoint(
    cell: Cell, context: RunContext, device: torch.device, check_lease: Callable[[], None]
) -> Checkpointer:
    identity = {
        "key": cell.key,
        "fingerprint": provenance.fingerprint(sources(cell)),
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    path = context.study.cell(cell.name).checkpoint
    seconds = 60 * context.checkpoint_minutes
    made = Checkpointer(path, identity, context.checkpoint_every, seconds, check_lease)
    failed = context.study.cell(cell.name).attempts()
    hardware = {"devices": [device_name(device)], "processors": [processor_name()]}
    made.notes = Notes(attempts=failed + 1, **hardware)
    return made


def _train(
    cell: Cell,
    context: RunContext,
    data: Data,
    device: torch.device,
    checkpoint: Checkpointer,
    on_epoch: Callable[[dict[str, Any]], None],
) -> tuple[Method, DeviceData, record.History]:
    folder = context.study.cell(cell.name)
    sets = build_sets(cell, data, device)
    method = build_method(cell, data, sets, device)
    checkpoint.check_lease()
    folder.epochs.unlink(missing_ok=True)  # its lines come again, those after the checkpoint do not

    def keep(entry: dict[str, Any]) -> None:
        checkpoint.check_lease()
        with naming(folder.epochs), folder.epochs.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        on_epoch(entry)

    history = trainer.fit(
        method,
        sets,
        cell.protocol,
        **epoch_streams(cell),
        on_epoch=keep,
        checkpointer=checkpoint,
    )
    return method, sets, history


def _timing(history: record.History, notes: Notes, total: float) -> dict[str, float]:
    """Seconds of this cell over all attempts."""
    train = sum(entry["train_seconds"] for entry in history)
    epochs = [entry["seconds"] for entry in history]
    return {
        "total_s": round(notes.seconds + total, 3),
        "train_s": round(train, 3),
        "eval_s": round(sum(epochs) - train, 3),
        "epoch_s": round(float(np.median(epochs)), 4),
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
