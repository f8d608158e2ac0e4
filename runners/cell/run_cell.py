"""One cell: data, noise, split, method, training, record."""

from __future__ import annotations

import json
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
from runners.cell.noise_rate import ToldRate, told_rate
from runners.cell.run_context import RunContext
from runners.cell.tracking import Tracker
from runners.results import provenance
from runners.results.sources import data_stamp, sources
from runners.results.store import CellFolder, with_stamp
from runners.system.files import naming, sweep, write_atomically

if TYPE_CHECKING:
    from methods.base import Method
    from runners.cell.criteria import History
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
    provenance.git_state()  # as the code is that runs, and not at the end
    reset_peak_memory(device)
    set_arithmetic(cell.protocol, device)
    folder = context.study.cell(cell.name)
    folder.path.mkdir(parents=True, exist_ok=True)
    check_lease()
    sweep(folder.path, exclusive=True)

    stamp = data_stamp(cell, context.data_root) or ""
    data = load_data(cell, context.data_root)
    store_labels(context.study.noise, cell, data.noisy)
    files = sources(cell)
    code = provenance.fingerprint(files)  # of the code that runs now, whatever was planned
    checkpoint = _checkpointer(cell, context, device, with_stamp(code, stamp), check_lease)
    sets = build_sets(cell, data, device)
    told = told_rate(cell, data, sets, device, folder, checkpoint.identity)
    try:
        trained = _train(cell, context, data, sets, told, device, checkpoint, on_epoch)
    except CheckpointMismatch as reason:
        check_lease()
        checkpoint.set_aside(reason)
        sets = build_sets(cell, data, device)
        trained = _train(cell, context, data, sets, told, device, checkpoint, on_epoch)
    method, tracker, history = trained
    warnings = [warning for warning in (context.warning, data.without_images) if warning]
    origin = record.Origin(
        *(files, code, stamp, began, checkpoint.notes),
        *(lambda: peak_memory_mb(device), warnings, told),
    )
    with trainer.autocast(cell.protocol, device):
        result, samples = record.build_record(cell, data, tracker, method, history, origin)
    check_lease()
    if context.keep_weights:
        weights = method.network.state_dict()
        write_atomically(folder.network, lambda file: torch.save(weights, file))
    _write(folder, result, samples, history)
    checkpoint.remove()
    folder.noise_rate.unlink(missing_ok=True)
    return result


def _write(
    folder: CellFolder,
    result: dict[str, Any],
    samples: dict[str, np.ndarray],
    history: History,
) -> None:
    """Writes what a cell has come to; the record is last, and makes it done."""
    write_atomically(folder.samples, lambda file: np.savez_compressed(file, **samples))
    lines = "".join(json.dumps(entry) + "\n" for entry in history)
    write_atomically(folder.epochs, lambda file: file.write(lines.encode()))
    folder.write_record(result)
    folder.running_epochs.unlink(missing_ok=True)


def _checkpointer(
    cell: Cell,
    context: RunContext,
    device: torch.device,
    fingerprint: str,
    check_lease: Callable[[], None],
) -> Checkpointer:
    identity = {
        "key": cell.key,
        "fingerprint": fingerprint,
        "torch": str(torch.__version__),
        "threads": torch.get_num_threads(),
    }
    path = context.study.cell(cell.name).checkpoint
    seconds = 60 * context.checkpoint_minutes
    checkpointer = Checkpointer(path, identity, context.checkpoint_every, seconds, check_lease)
    failed = context.study.cell(cell.name).attempts()
    hardware = {"devices": [device_name(device)], "processors": [processor_name()]}
    checkpointer.notes = Notes(attempts=failed + 1, **hardware)
    return checkpointer


def _train(
    cell: Cell,
    context: RunContext,
    data: Data,
    sets: DeviceData,
    told: ToldRate | None,
    device: torch.device,
    checkpoint: Checkpointer,
    on_epoch: Callable[[dict[str, Any]], None],
) -> tuple[Method, Tracker, History]:
    folder = context.study.cell(cell.name)
    tracker = Tracker(sets, data.dataset.classes)
    method = build_method(cell, data, sets, device, told and told.value)
    checkpoint.check_lease()
    lines = folder.running_epochs
    lines.unlink(missing_ok=True)  # they come again, those after the checkpoint do not

    def keep(entry: dict[str, Any]) -> None:
        checkpoint.check_lease()
        with naming(lines), lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")
        on_epoch(entry)

    history = trainer.fit(
        method,
        sets,
        cell.protocol,
        **epoch_streams(cell),
        on_epoch=keep,
        checkpointer=checkpoint,
        tracker=tracker,
    )
    return method, tracker, history
