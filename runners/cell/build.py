"""From a cell's description to its data on the device and its method."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import methods
import networks
from datasets.base import Arrays, Dataset, Images
from datasets.check_arrays import checked
from methods.base import Batch, Method, Sampler, Task
from methods.base.sampler import Draws
from methods.declaration import Privileges
from runners.cell import evaluation
from runners.cell.batches import AnySet, EndlessBatches, image_set
from runners.cell.noisy_labels import NoisyLabels, noisy_labels
from runners.cell.schedule import learning_rate
from runners.cell.seeds import stream, torch_seed
from runners.cell.splits import Split, split_training_part
from runners.cell.views import draw_all

if TYPE_CHECKING:
    from runners.study.cell import Cell

MEMORISATION_SAMPLE = 2000
"""Training images on which memorisation is measured after every epoch."""


@dataclass(frozen=True)
class Data:
    """A cell's data: arrays of the whole data set, its noisy labels and how it is split."""

    dataset: Dataset
    arrays: Arrays
    noisy: NoisyLabels
    split: Split

    @property
    def without_images(self) -> str:
        """A sentence on the classes of which no image is left to train on; empty without such."""
        part = self.split.train
        labels = self.noisy.truth if self.dataset.truth == "all" else self.noisy.labels
        left = np.unique(labels[part])
        names = [n for k, n in enumerate(self.dataset.class_names) if k not in left]
        return f"no image to train on is of class {', '.join(names)}" if names else ""


@functools.lru_cache(maxsize=1)
def _arrays(dataset: Dataset, root: Path | None) -> Arrays:
    """The last data set loaded by this process; a worker runs many cells of the same one."""
    return checked(dataset.load(root), dataset)


def load_data(cell: Cell, data_root: Path | None) -> Data:
    """Loads the data set, draws the noisy labels, then splits the training part."""
    dataset = cell.data_set
    arrays = _arrays(dataset, data_root)
    noisy = noisy_labels(
        dataset, cell.data, arrays, cell.noise, cell.seed, cell.noise_places, data_root
    )
    sizes = {key: cell.protocol[key] for key in ("clean_subset", "clean_val", "dev", "noisy_val")}
    rng = stream("split", cell.data, cell.seed)
    own, classes = arrays.clean_labels, dataset.classes
    kept = noisy.kept
    split = split_training_part(noisy.truth[kept], classes=classes, own_clean=own, rng=rng, **sizes)
    return Data(dataset, arrays, noisy, split.within(kept))


def _noisy_set(data: Data, part: np.ndarray, device: torch.device) -> AnySet | None:
    """A part of the training images as the noise has left them, with the given labels."""
    return _image_set(data, part, data.noisy.images, data.noisy.labels, device)


def _clean_set(data: Data, part: str, device: torch.device) -> AnySet | None:
    """A part with its true labels: of the training images, or of the data set's own clean set."""
    arrays, positions = data.arrays, getattr(data.split, part)
    images, labels = arrays.train_images, arrays.train_labels
    if part not in data.split.of_training:
        images, labels = arrays.clean_images, arrays.clean_labels
    return _image_set(data, positions, images, labels, device)


def _image_set(
    data: Data, part: np.ndarray, images: Images, labels: np.ndarray, device: torch.device
) -> AnySet | None:
    if len(part) == 0:
        return None
    told = data.dataset
    return image_set(images[part], labels[part], told.mean, told.std, told.size, device)


def build_sets(cell: Cell, data: Data, device: torch.device) -> evaluation.DeviceData:
    """Uploads what training and evaluation need."""
    truth, split = data.noisy.truth, data.split
    if cell.protocol["dev"]:
        eval_set, name = _clean_set(data, "dev", device), "dev"
    else:
        test = data.arrays
        everything = np.arange(len(test.test_labels))
        eval_set = _image_set(data, everything, test.test_images, test.test_labels, device)
        name = "test"
    chosen = stream("memorisation", cell.data, cell.seed).permutation(len(split.train))
    sample = np.sort(chosen[:MEMORISATION_SAMPLE])
    return evaluation.DeviceData(
        train=_noisy_set(data, split.train, device),
        train_truth=torch.from_numpy(truth[split.train]).to(device),
        sample=torch.from_numpy(sample).to(device),
        eval_set=eval_set,
        eval_name=name,
        noisy_val=_noisy_set(data, split.noisy_val, device),
        clean_val=_clean_set(data, "clean_val", device),
        clean_batches=_clean_batches(cell, data, device),
    )


def _clean_batches(cell: Cell, data: Data, device: torch.device) -> EndlessBatches | None:
    if Privileges.CLEAN_SUBSET not in methods.declaration(cell.method).privileges:
        return None
    subset = _clean_set(data, "clean_subset", device)
    passes = functools.partial(stream, "clean_batches", cell.data, cell.seed)
    size, augment = cell.protocol["batch_size"], cell.protocol["augment"]
    steps = _steps_per_epoch(cell, len(data.split.train))
    return EndlessBatches(subset, size, augment, passes, steps)


def _steps_per_epoch(cell: Cell, n_train: int) -> int:
    return n_train // min(cell.protocol["batch_size"], n_train)


def epoch_streams(cell: Cell) -> dict[str, Callable[[int], Any]]:
    """Epoch -> the stream of its order and views, and the seed of numbers drawn in networks."""
    return {
        "order": lambda epoch: stream("order", cell.data, cell.seed, epoch),
        "network_seed": lambda epoch: torch_seed("dropout", cell.data, cell.seed, epoch),
    }


def set_arithmetic(protocol: dict[str, Any], device: torch.device) -> None:
    """What the protocol says of the arithmetic; a process keeps nothing of its last cell."""
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("highest")
    torch.autograd.set_detect_anomaly(False)
    torch.use_deterministic_algorithms(False)
    for kind in ("cpu", device.type):
        torch.set_autocast_enabled(kind, False)
    if device.type == "cuda":
        torch.use_deterministic_algorithms(protocol["deterministic"])
        torch.utils.deterministic.fill_uninitialized_memory = False
        torch.backends.cudnn.benchmark = not protocol["deterministic"]
        torch.backends.cudnn.allow_tf32 = protocol["tf32"]
        torch.backends.cuda.matmul.allow_tf32 = protocol["tf32"]


def build_method(
    cell: Cell,
    data: Data,
    sets: evaluation.DeviceData,
    device: torch.device,
    told_rate: float | None = None,
) -> Method:
    """The method with its networks on the device, told what its privileges name and no more.

    Args:
        told_rate: what stands for the noise rate where the realised one is not known.
    """
    declared = methods.declaration(cell.method)
    protocol, dataset = cell.protocol, data.dataset
    numbers = iter(range(1_000_000))

    def new_network() -> torch.nn.Module:
        seed = torch_seed("init", protocol["network"], cell.seed, next(numbers))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = networks.build(
                protocol["network"], dataset.channels, dataset.size, dataset.classes
            )
        # NHWC kernels: 1.1 times faster on a CPU thread (results/speed/cpu-settings.json).
        network.to(device, memory_format=torch.channels_last)
        return network

    torch.manual_seed(torch_seed("method", cell.method, cell.seed))
    rate = data.noisy.rate if told_rate is None else told_rate
    task = _task(cell, data, sets, declared.privileges, device, rate)
    rng = stream("method", cell.method, cell.seed)
    method_class = methods.load(cell.method)
    return method_class(task, declared.hparams(**cell.hparams), rng, new_network)


def _task(
    cell: Cell,
    data: Data,
    sets: evaluation.DeviceData,
    granted: Privileges,
    device: torch.device,
    rate: float | None,
) -> Task:
    protocol = cell.protocol
    clean = sets.clean_batches
    matrix = None
    if Privileges.TRANSITION_MATRIX in granted:
        matrix = torch.from_numpy(data.noisy.transition).float().to(device)
    return Task(
        classes=data.dataset.classes,
        n_train=len(sets.train),
        epochs=protocol["epochs"],
        steps_per_epoch=_steps_per_epoch(cell, len(sets.train)),
        augmented=protocol["augment"] != "none",
        noisy_labels=sets.train.labels,
        make_optimizer=functools.partial(_optimizer, protocol),
        learning_rate=functools.partial(learning_rate, protocol),
        train_in_order=lambda: (Batch(*p) for p in sets.train.in_order(evaluation.BATCH)),
        granted=granted,
        clean_source=None if clean is None else lambda augment: Batch(*clean.next(augment)),
        realised_rate=rate if Privileges.NOISE_RATE in granted else None,
        matrix=matrix,
        truth=sets.train_truth if Privileges.TRUE_LABELS in granted else None,
        sampler=functools.partial(_sampler, cell, sets),
    )


def _sampler(cell: Cell, sets: evaluation.DeviceData, name: str) -> Sampler:
    protocol, train = cell.protocol, sets.train
    strengths = methods.declaration(cell.method).views

    def take(index: np.ndarray, draws: Draws) -> Batch:
        drawn = [None if view is None else train.upload(view) for view in draws]
        return Batch(*train.begin(train.upload(index), strengths, drawn)())

    return Sampler(
        name,
        len(train),
        min(protocol["batch_size"], len(train)),
        stream_of_pass=functools.partial(stream, "sampler", cell.data, cell.seed, name),
        draw=functools.partial(
            draw_all, augment=protocol["augment"], strengths=strengths, draw=train.draw
        ),
        take=take,
    )


def _optimizer(
    protocol: dict[str, Any], parameters: Iterable[torch.nn.Parameter]
) -> torch.optim.Optimizer:
    if protocol["optimizer"] == "adam":
        betas, decay = (protocol["momentum"], 0.999), protocol["weight_decay"]
        return torch.optim.Adam(parameters, protocol["lr"], betas, weight_decay=decay)
    return torch.optim.SGD(
        parameters, protocol["lr"], protocol["momentum"], weight_decay=protocol["weight_decay"]
    )
