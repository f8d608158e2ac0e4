"""Which files a cell's numbers depend on."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import datasets.noise
import methods
import networks
from datasets.base import DataError, Dataset
from datasets.noise.base import NoiseModel
from runners.results.provenance import ROOT
from runners.system.canonical import sha256_of

if TYPE_CHECKING:
    from runners.study.cell import Cell

TRAINING = ("runners/cell/build.py", "runners/cell/record.py", "runners/cell/trainer.py")


def sources(cell: Cell) -> list[str]:
    """The files that a cell starts from; `provenance.fingerprint` adds all that they import.

    Paths are relative to the repository's root; those of plug-ins from outside are absolute.
    """
    return [*TRAINING, _relative(methods.source(cell.method)), *_setting(cell)]


def label_sources(cell: Cell) -> list[str]:
    """The files that draw a cell's noisy labels."""
    own = (datasets.source(cell.dataset_name), *_of_noise(cell.noise))
    return ["runners/cell/noisy_labels.py", *(_relative(path) for path in own)]


def data_stamp(cell: Cell, root: Path | None) -> str | None:
    """What stands for the content of the cell's data and label files; empty where code fixes it.

    None where a file is not there, so that nobody can tell whether it has changed.
    """
    try:
        return stamp_of(cell.data_set, cell.noise_model, cell.protocol["network"], root)
    except DataError:
        return None


def stamp_of(dataset: Dataset, noise: NoiseModel, network: str, root: Path | None) -> str:
    """As `data_stamp`, of a data set, a noise model and the name of a network.

    Raises:
        DataError: a file is not there.
    """
    own = networks.stamp(network)
    stamps = [dataset.stamp(root), noise.stamp(root), *([own] if own else [])]
    return sha256_of(stamps) if any(stamps) else ""


def _setting(cell: Cell) -> list[str]:
    own = [
        networks.source(cell.protocol["network"]),
        datasets.source(cell.dataset_name),
        *_of_noise(cell.noise),
    ]
    return [_relative(path) for path in own]


def _of_noise(config: dict[str, Any]) -> list[Path]:
    """The files of a noise entry, of a noise inside it, and of a data set it takes images from."""
    files = [datasets.noise.source(config["name"])]
    inner, other = config.get("noise"), config.get("from")
    if isinstance(inner, dict) and inner.get("name") in datasets.noise.names():
        files += _of_noise(inner)
    if other in datasets.names():
        files.append(datasets.source(other))
    return files


@functools.cache
def _relative(path: Path) -> str:
    path = path.resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
