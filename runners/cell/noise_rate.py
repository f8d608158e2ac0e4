"""The noise rate that a method is told where nobody knows the true labels.

It is the rate that the study states, else estimated by the confident joint inside the cell, before
its method starts: on out-of-sample predictions of cross-entropy in two folds of the training
images, with the cell's network for a third of its epochs, a cosine schedule and random streams of
its own.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import methods
from methods.declaration import Privileges
from runners.cell import trainer
from runners.cell.batches import AnySet
from runners.cell.build import Data, build_method
from runners.cell.confident_joint import noise_rate
from runners.cell.evaluation import BATCH, DeviceData
from runners.cell.seeds import stream, torch_seed
from runners.results.store import CellFolder
from runners.system.files import read_json, write_json

if TYPE_CHECKING:
    from runners.study.cell import Cell

SHARE_OF_EPOCHS = 1 / 3


@dataclass(frozen=True)
class ToldRate:
    """A noise rate in [0, 1): `source` is "stated" or "estimated", `seconds` what that took."""

    value: float
    source: str
    seconds: float = 0.0


def told_rate(
    cell: Cell,
    data: Data,
    sets: DeviceData,
    device: torch.device,
    folder: CellFolder,
    identity: dict[str, Any],
) -> ToldRate | None:
    """What the cell's method is told as noise rate in place of the realised one.

    None where the realised one is known, or the method is not told any or has been given its own
    (`forget_rate`). An estimate is kept in the cell's folder, for attempts after this one.

    Args:
        identity: plain values that must be equal for a kept estimate to be taken.
    """
    granted = methods.declaration(cell.method).privileges
    needed = Privileges.NOISE_RATE in granted and cell.hparams.get("forget_rate") is None
    if not needed or data.noisy.rate is not None:
        return None
    if (stated := cell.noise_model.nominal_rate) is not None:
        return ToldRate(stated, "stated")
    kept = read_json(folder.noise_rate)
    if isinstance(kept, dict) and kept.get("identity") == identity:
        return ToldRate(kept["value"], "estimated", kept["seconds"])
    began = time.perf_counter()
    epochs = max(1, round(SHARE_OF_EPOCHS * cell.protocol["epochs"]))
    batch = max(2, cell.protocol["batch_size"] // 2)  # as many updates an epoch as the cell
    with trainer.autocast(cell.protocol, device):
        probabilities = out_of_sample(cell, data, sets, device, 2, epochs, batch)
    value = noise_rate(sets.train.labels.cpu().numpy(), probabilities)
    told = ToldRate(value, "estimated", round(time.perf_counter() - began, 3))
    kept = {"identity": identity, "value": told.value, "seconds": told.seconds}
    write_json(folder.noise_rate, kept)
    return told


def out_of_sample(
    cell: Cell,
    data: Data,
    sets: DeviceData,
    device: torch.device,
    folds: int,
    epochs: int,
    batch: int,
) -> np.ndarray:
    """Class probabilities float32 (n_train, C) by networks that did not train on the image.

    Each is cross-entropy on all folds but one, with a cosine schedule.
    """
    own = {"epochs": epochs, "batch_size": batch, "schedule": "cosine", "milestones": []}
    plain = replace(cell, method="cross_entropy", hparams={}, protocol={**cell.protocol, **own})
    count = len(sets.train)
    order = stream("noise_rate", cell.data, cell.seed).permutation(count)
    found = np.zeros((count, data.dataset.classes), np.float32)
    for fold in range(folds):
        held_out = np.sort(order[fold::folds])
        rest = np.setdiff1d(order, held_out)
        part = _only(sets, _part(sets.train, rest), _part(sets.train, held_out))
        method = build_method(plain, data, part, device)
        trainer.fit(
            method,
            part,
            plain.protocol,
            order=functools.partial(stream, "noise_rate", cell.data, cell.seed, fold),
            network_seed=functools.partial(torch_seed, "noise_rate", cell.data, cell.seed, fold),
            on_epoch=lambda entry: None,
        )
        found[held_out] = _probabilities(method, part.eval_set)
    return found


def _part(data: AnySet, positions: np.ndarray) -> AnySet:
    return data.subset(torch.from_numpy(positions).to(data.labels.device))


def _only(sets: DeviceData, train: AnySet, held_out: AnySet) -> DeviceData:
    """Sets of one fold; given labels stand for true ones, which are not looked at."""
    return replace(
        sets,
        train=train,
        train_truth=train.labels,
        sample=sets.sample[:1] * 0,
        eval_set=held_out,
        noisy_val=None,
        clean_val=None,
        clean_batches=None,
    )


@torch.inference_mode()
def _probabilities(method: methods.base.Method, data: AnySet) -> np.ndarray:
    method.eval()
    found = [method.predict_members(images)[0] for images, _, _ in data.in_order(BATCH)]
    return torch.cat(found).float().cpu().numpy()
