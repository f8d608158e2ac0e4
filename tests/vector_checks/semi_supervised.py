"""DivideMix: its division of the training set, its targets and its loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from methods.base import Batch
from methods.dividemix import DivideMix
from methods.mixup import mixed
from methods.semi_supervised import (
    class_balance,
    fit_mixture,
    lower_component,
    negative_entropy,
    squared_error,
)
from tests.helpers.cells import tiny_method, tiny_task
from tests.vector_checks.common import INPUT, Vectors, part_of, slope

NOT_COMPARED: dict[str, dict[str, str]] = {
    "dividemix_semiloss": {
        name: INPUT for name in ("logits_?", "targets_?", "lambda_u", "warm_up", "ramp_epochs")
    },
    "dividemix_targets": {
        name: INPUT
        for name in (
            *("net?.*", "?_weak_?", "labels", "clean_probability", "temperature", "lambda_u"),
            *("mix_weight", "mix_index", "warm_up", "epoch"),
        )
    }
    | {"mix_alpha": "mix_weight, drawn with it, is an input"},
    "dividemix_gmm": {
        "labels": INPUT,
        "noise_rate": INPUT,
        "numpy_seeds": INPUT,
        "epoch*.logits": INPUT,
        "epoch*.kmeans_labels": "an input: which split k-means finds depends on its version",
    },
}
RAMP = 16
"""Epochs of the official ramp of lambda_u."""


class Fixed:
    """A sampler of one batch that takes what it is told to choose."""

    size = 1

    def __init__(self, batch: Batch | None = None) -> None:
        self.batch = batch

    def choose(self, weights: Tensor) -> None:
        pass

    def next(self) -> Batch:
        return self.batch


def _dividemix(
    v: Vectors, weights: list[Tensor], task: dict[str, Any], **hparams: Any
) -> DivideMix:
    """The method with linear networks of these weights, its warm-up and ramp the vectors' own."""
    classes, inputs = weights[0].shape
    networks = iter([nn.Linear(inputs, classes) for _ in range(2)])
    told = {"classes": classes, "sampler": lambda name: Fixed(), **task}
    method = tiny_method("dividemix", lambda: next(networks), task=tiny_task(**told), **hparams)
    for network, weight in zip(method.both, weights, strict=True):
        network.weight.data, network.bias.data = weight.clone(), torch.zeros(classes).double()
    method.warmup_epochs = int(v.get("warm_up", torch.tensor(0)))
    method.ramp_epochs = RAMP
    return method


def check_semiloss(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    parts = [v[f"logits_{kind}"].clone().requires_grad_() for kind in "xu"]
    logits, targets = torch.cat(parts), torch.cat([v["targets_x"], v["targets_u"]])
    weights = [torch.eye(logits.shape[1]).double()] * 2
    method = _dividemix(v, weights, {}, lambda_u=float(v["lambda_u"]))
    alone = method.semi_loss(logits, targets, len(parts[0]), 0.0) - class_balance(logits)
    unlabelled = method.semi_loss(logits, targets, len(parts[0]), 1.0)
    unlabelled = unlabelled - alone - class_balance(logits)
    for name, loss, own in (("Lx", alone, parts[0]), ("Lu", unlabelled, parts[1])):
        yield name, loss
        yield f"{name}_grad", slope(loss, own)
    found = []
    for epoch in v["ramp_epochs"].tolist():
        method.epoch = epoch
        found.append(method.weight())
    yield "ramp_weights", torch.tensor(found, dtype=torch.float64)
    entropy = negative_entropy(parts[0])
    yield "negative_entropy", entropy
    yield "negative_entropy_grad", slope(entropy, parts[0])


def check_targets(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    index, count = torch.arange(len(v["labels"])), len(v["labels"])
    labelled = Batch(v["x_weak_1"], v["labels"], index, (v["x_weak_2"],))
    unlabelled = Batch(v["u_weak_1"], v["labels"], index, (v["u_weak_2"],))
    weights = [v[f"net{k}.weight"] for k in (1, 2)]
    told = {name: float(v[name]) for name in ("temperature", "lambda_u")}
    method = _dividemix(v, weights, {"n_train": count}, **told)
    for k, network in enumerate(method.both, 1):
        network.load_state_dict(part_of(v, f"net{k}."))
    method.labelled, method.unlabelled = [Fixed(labelled)], [Fixed(unlabelled)]
    method.clean[1] = v["clean_probability"]
    method.epoch = int(v["epoch"])
    order, share = v["mix_index"], float(v["mix_weight"])
    method.shares, method.keys = [[share]], order.argsort().reshape(1, 1, -1)
    for k, network in enumerate(method.both, 1):
        for j, view in enumerate(unlabelled.views, 1):
            yield f"outputs_u{k}{j}", network(view)
    for j, view in enumerate(labelled.views):
        yield f"outputs_x{['', '2'][j]}", method.network(view)
    targets = method.targets(0, labelled, unlabelled, v["clean_probability"])
    yield "co_refined", targets[:count]
    yield "co_guessed", targets[-len(v["u_weak_1"]) :]
    images = mixed(torch.cat([*labelled.views, *unlabelled.views]), share, order)
    targets = mixed(targets, share, order)
    yield "mixed_input", images
    yield "mixed_target", targets
    logits = method.network(images)
    loss = method.semi_loss(logits, targets, 2 * count, method.weight())
    found = squared_error(logits[2 * count :], targets[2 * count :])
    yield "logits", logits
    yield "Lx", loss - method.weight() * found - class_balance(logits)
    yield "Lu", found
    yield "ramp_weight", torch.tensor(method.weight(), dtype=torch.float64)
    yield "penalty", class_balance(logits)
    yield "loss", method.mixmatch_loss(0)
    yield "grad", slope(loss, logits)


def check_gmm(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    count, classes = v["epoch0.logits"].shape
    task = {"n_train": count, "noisy_labels": v["labels"]}
    averaged = 5 if float(v["noise_rate"]) == 0.9 else 1
    eye = torch.eye(classes).double()
    method = _dividemix(v, [eye, eye], task, average_epochs=averaged)
    epoch = 0
    while f"epoch{epoch}.logits" in v:
        own = part_of(v, f"epoch{epoch}.")
        batch = Batch(own["logits"], v["labels"], torch.arange(count))
        object.__setattr__(method.task, "train_in_order", lambda batch=batch: iter([batch]))
        method.epoch = method.warmup_epochs + epoch
        method.divide()
        values = method.mean_losses()[0]
        found = {"normalized_losses": method.losses[0, -1], "gmm_input": values}
        found["losses"] = torch.nn.functional.cross_entropy(
            own["logits"], v["labels"], reduction="none"
        )
        found |= _fits(values.numpy(), own["kmeans_labels"].numpy())
        # The method's own fit, from a start of its own, must be one of the rows.
        rows = found["clean_probability"]
        nearest = (own["clean_probability"] - method.clean[0]).abs().amax(1).argmin()
        rows[nearest] = method.clean[0]
        yield from ((f"epoch{epoch}.{name}", value.clone()) for name, value in found.items())
        epoch += 1


def _fits(values: np.ndarray, splits: np.ndarray) -> dict[str, Tensor]:
    """What EM makes of each of the splits, the component with the smaller mean first."""
    fits = [fit_mixture(values, 0, split) for split in splits]
    first = [fit.means_.ravel().argsort() for fit in fits]
    pairs = list(zip(fits, first, strict=True))
    rows = {
        "clean_probability": [lower_component(fit, values) for fit in fits],
        "means": [fit.means_.ravel()[order] for fit, order in pairs],
        "variances": [fit.covariances_.ravel()[order] for fit, order in pairs],
        "mixture_weights": [fit.weights_[order] for fit, order in pairs],
        "iterations": [fit.n_iter_ for fit in fits],
    }
    return {name: torch.from_numpy(np.array(row)) for name, row in rows.items()}
