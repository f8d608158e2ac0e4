"""What the checks share: the tiny networks of the vectors, and the suite's methods on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.base import Batch, LossMethod, Method, Task
from methods.declaration import Privileges

Vectors = dict[str, Tensor]
INPUT = "an input"
"""Why a stored quantity is not compared."""
INPUTS = dict.fromkeys(
    (
        *("net.*", "vnet.*", "slp.*", "encoder.*", "label_net.*", "feature_net.*"),
        *("x", "y", "x_meta", "y_meta", "t*.x", "t*.y", "t*.?_meta", "t*.?_clean"),
        *("logits", "logits_?", "labels", "index", "is_clean", "probabilities", "transition"),
        *("extreme_logits", "extreme_labels", "noisy.logits", "soft.logits", "soft.soft_labels"),
        *("t*.logits", "t*.labels", "t*.index", "epoch*.logits", "epoch*.index"),
        *("*update.begin", "*update.first_labels", "*update.outputs"),
        *("q", "k", "K", "alpha", "beta", "lam", "soft_beta", "hard_beta", "forget_rate"),
        *("co_lambda", "inner_lr", "rate", "*_rate", "momentum", "weight_decay", "entropy_weight"),
        *("steps_per_meta_update", "clean_half_is_trained_on", "skip", "perturbations"),
        *("perturb_ratio", "teacher_decay", "start_iteration", "middle_iteration"),
    ),
    INPUT,
)
"""Names and patterns of what every file may hold beside what is to be compared."""


class TanhNet(nn.Module):
    """linear - tanh - linear, the network of `mw_net*.npz`."""

    def __init__(self, v: Vectors) -> None:
        super().__init__()
        self.l1, self.l2 = _linear(v["net.l1.weight"]), _linear(v["net.l2.weight"])
        self.feature_width = self.l2.in_features

    @property
    def head(self) -> nn.Module:
        return self.l2

    def features(self, x: Tensor) -> Tensor:
        return self.l1(x).tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.l2(self.features(x))


class ConvNet(nn.Module):
    """conv - BN - ReLU - max-pool - linear - BN - ReLU - linear, that of `metalabelnet*.npz`."""

    def __init__(self, v: Vectors) -> None:
        super().__init__()
        width, channels, kernel, _ = v["net.conv.weight"].shape
        self.conv = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        self.bn = nn.BatchNorm2d(width)
        self.fc1, self.fc2 = _linear(v["net.fc1.weight"]), _linear(v["net.fc2.weight"])
        self.feature_width = self.fc1.out_features
        self.bn1 = nn.BatchNorm1d(self.feature_width)

    def features(self, x: Tensor) -> Tensor:
        pooled = F.max_pool2d(F.relu(self.bn(self.conv(x))), 2)
        return F.relu(self.bn1(self.fc1(pooled.flatten(1))))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.features(x))


def _linear(weight: Tensor) -> nn.Linear:
    return nn.Linear(weight.shape[1], weight.shape[0])


def part_of(v: Vectors, prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in v.items() if k.startswith(prefix)}


def method_on(
    kind: type[Method], hparams: Any, v: Vectors, network: nn.Module, classes: int
) -> Method:
    """The suite's method in float64, its clean batches being the vectors' own."""
    clean = Batch(v["x_meta"], v["y_meta"], torch.arange(len(v["y_meta"])))
    network.double().load_state_dict(part_of(v, "net."))
    task = Task(
        classes=classes,
        n_train=len(v["x"]),
        epochs=3,
        steps_per_epoch=1,
        augmented=True,
        noisy_labels=v.get("y", torch.zeros(len(v["x"]), dtype=torch.int64)),
        make_optimizer=lambda parameters: torch.optim.SGD(parameters, 0.1),
        learning_rate=lambda epoch: float(v["inner_lr"]),
        train_in_order=lambda: iter(()),
        granted=Privileges.CLEAN_SUBSET,
        clean_source=lambda augment: clean,
    )
    return kind(task, hparams, np.random.default_rng(0), lambda: network).double().train()


def slope(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits, retain_graph=True)[0]


def loss_only(kind: type[Method], hparams: Any, logits: Tensor, labels: Tensor) -> LossMethod:
    """A method that is a loss, its network of no concern."""
    classes = logits.shape[1]
    vectors = {"x": logits, "y": labels, "x_meta": logits, "y_meta": labels}
    vectors |= {"inner_lr": torch.tensor(0.1)}
    vectors |= {"net.weight": torch.eye(classes), "net.bias": torch.zeros(classes)}
    return method_on(kind, hparams, vectors, nn.Linear(classes, classes), classes)
