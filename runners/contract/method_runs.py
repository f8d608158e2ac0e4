"""Cells of a method under test, run in this process on the simulated data set."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from methods.base import Batch, Method
from runners.cell import trainer
from runners.cell.build import Data, build_method, build_sets, epoch_streams, load_data
from runners.cell.checkpoint import Checkpointer
from runners.cell.evaluation import DeviceData
from runners.cell.record import weights_sha256
from runners.study.cell import Cell
from runners.study.config import load_study
from runners.study.grid import cells

CPU = torch.device("cpu")
PROTOCOL = {"epochs": 2, "batch_size": 64, "clean_subset": 16, "hparams": "default"}


class CutOff(BaseException):
    """Stands for a kill: no code of the suite catches it."""


class Cutting(Checkpointer):
    """Cuts the training off after so many checkpoints."""

    left = 1

    def save(self, *state: Any) -> None:
        super().save(*state)
        self.left -= 1
        if self.left == 0:
            raise CutOff


@dataclass
class Run:
    """A cell with its data and its method, ready to be trained."""

    cell: Cell
    data: Data
    sets: DeviceData
    method: Method
    batches: list[Batch] = field(default_factory=list)

    def train(self, checkpointer: Checkpointer | None = None) -> list[dict[str, Any]]:
        """Trains for all epochs and notes the batches; returns the history without times."""
        step = self.method.step

        def noted(batch: Batch) -> dict[str, Tensor]:
            self.batches.append(batch)
            return step(batch)

        object.__setattr__(self.method, "step", noted)
        try:
            history = trainer.fit(
                self.method,
                self.sets,
                self.cell.protocol,
                **epoch_streams(self.cell),
                on_epoch=lambda entry: None,
                checkpointer=checkpointer,
            )
        finally:
            object.__delattr__(self.method, "step")
        return [{k: v for k, v in entry.items() if "seconds" not in k} for entry in history]


@dataclass(frozen=True)
class Subject:
    """A method by name, its cell, and that of cross-entropy in the same setting."""

    name: str
    cell: Cell
    baseline: Cell

    @classmethod
    def of(cls, name: str) -> Subject:
        """Raises ConfigError where the method cannot be used in a study."""
        axes = {"dataset": "simulated", "noise": {"name": "symmetric", "rate": 0.4}}
        study = {
            "study": "contract",
            "axes": {**axes, "method": ["cross_entropy", {"name": name, "label": "it"}], "seed": 1},
            "protocol": PROTOCOL,
        }
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "contract.yaml")
            path.write_text(json.dumps(study), encoding="utf-8")  # JSON is YAML
            baseline, cell = cells(load_study(path))
        return cls(name, cell, baseline)


def start(cell: Cell, data: Data | None = None) -> Run:
    """Sets a cell up as a run does; `data` replaces its own."""
    data = data or load_data(cell, None)
    sets = build_sets(cell, data, CPU)
    return Run(cell, data, sets, build_method(cell, data, sets, CPU))


def state(run: Run) -> dict[str, Any]:
    """All that a trained method amounts to, comparable by `==`."""
    method = run.method.eval()
    return {
        "weights": weights_sha256(method),
        "corrected": _bytes(method.corrected_labels()),
        "clean": _bytes(method.clean_probability()),
    }


def _bytes(values: Tensor | None) -> bytes | None:
    return None if values is None else values.detach().cpu().float().numpy().tobytes()
