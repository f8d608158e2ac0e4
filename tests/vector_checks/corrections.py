"""Methods that correct labels: joint optimisation, MLC and MLNT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from methods import joint_optimization, mlc, mlnt
from methods.base import Batch
from methods.lookahead import ThroughStep
from tests.vector_checks.common import TanhNet, Vectors, loss_only, method_on, part_of, slope

NOT_COMPARED: dict[str, dict[str, str]] = {
    "conv_mlc": {
        "label_net_grad_pytorch_2_14.*": "wrong by a defect of PyTorch from 1.10 on, not of MLC",
    },
}
"""Beginning of a file's name -> quantity that no check computes (a pattern) -> why."""

EPOCHS = 320
"""In which the paper's ring of ten slots and its begin, an epoch, are shares."""


def check_joint_optimization(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    weights = {"alpha": float(v["alpha"]), "beta": float(v["beta"])}
    names = ("classification_loss", "prior_loss", "entropy_loss")
    for case in ("noisy", "soft"):
        own = part_of(v, f"{case}.")
        logits, labels = own["logits"].clone().requires_grad_(), own["soft_labels"]
        hparams = joint_optimization.Hparams(**weights)
        zeros = torch.zeros(len(logits), dtype=torch.int64)
        method = loss_only(joint_optimization.JointOptimization, hparams, logits, zeros)
        found = dict(zip(names, joint_optimization.parts(logits, labels), strict=True))
        found["loss"] = method.joint_loss(logits, labels)
        found["grad"] = slope(found["loss"], logits)
        yield from ((f"{case}.{name}", value) for name, value in found.items())
    given = torch.nn.functional.one_hot(v["labels"], v["noisy.soft_labels"].shape[1])
    yield "noisy.soft_labels", given
    for case in ("update", "early_update"):
        found = _labels_by_epoch(part_of(v, f"{case}."))
        yield from ((f"{case}.{name}", value) for name, value in found.items())


def _labels_by_epoch(own: Vectors) -> Vectors:
    """Labels after each epoch, in which the network gave the stored probabilities."""
    outputs, first, begin = own["outputs"], own["first_labels"], int(own["begin"])
    hparams = joint_optimization.Hparams(begin=begin / EPOCHS, window=10 / EPOCHS)
    task = loss_only(joint_optimization.JointOptimization, hparams, outputs[0], first).task
    task, index = replace(task, epochs=EPOCHS), torch.arange(len(first))
    method = joint_optimization.JointOptimization(task, hparams, None, lambda: nn.Linear(1, 1))
    method.double().network, method.update = nn.Identity(), lambda loss: None
    after = []
    for epoch, probabilities in enumerate(outputs):
        method.begin_epoch(epoch)
        method.step(Batch(probabilities.log(), first, index))
        method.end_epoch(epoch)
        after.append(method.soft_labels.clone())
    soft_labels = torch.stack(after)
    return {"soft_labels": soft_labels, "labels": soft_labels.argmax(2)}


class StackedConvolutions(nn.Module):
    """conv - tanh - conv - tanh - linear, that of `conv_mlc*.npz`."""

    def __init__(self, v: Vectors) -> None:
        super().__init__()
        sizes = [v[f"net.{name}.weight"].shape for name in ("conv1", "conv2")]
        self.conv1, self.conv2 = (
            nn.Conv2d(inputs, outputs, kernel, padding=padding)
            for (outputs, inputs, kernel, _), padding in zip(sizes, (1, 0), strict=True)
        )
        classes, self.feature_width = v["net.fc.weight"].shape
        self.fc = nn.Linear(self.feature_width, classes)

    @property
    def head(self) -> nn.Module:
        return self.fc

    def features(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x).tanh()).tanh().flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.features(x))


def _mlc_on(v: Vectors, network: nn.Module, first: Vectors, **options) -> mlc.MLC:
    """MLC with the label network and the optimiser of the vectors."""
    classes, embedding = v["label_net.cls_emb.weight"].shape
    sizes = {"hidden": len(v["label_net.net.0.bias"]), "embedding": embedding}
    hparams = mlc.Hparams(**sizes, **options)
    method = method_on(mlc.MLC, hparams, v | first, network, classes)
    method.label_net.load_state_dict(part_of(v, "label_net."))
    momentum, decay = float(v["momentum"]), float(v["weight_decay"])
    weights = method.network.parameters()
    method.optimizer = torch.optim.SGD(weights, float(v["rate"]), momentum, weight_decay=decay)
    return method


def check_mlc(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    first = {"x_meta": v["t0.x_meta"], "y_meta": v["t0.y_meta"], "x": v["t0.x"]}
    first["inner_lr"] = v["rate"]
    mixed = bool(v["clean_half_is_trained_on"])
    options = {"skip": bool(v["skip"]), "steps": int(v["steps_per_meta_update"])}
    options |= {"lr": float(v["label_network_rate"]), "train_on_clean": mixed}
    method, step = _mlc_on(v, TanhNet(v), first, **options), 0
    while f"t{step}.x" in v:
        own = part_of(v, f"t{step}.")
        ahead, mine = (own[f"{name}_meta"] for name in "xy"), None
        ahead = Batch(*ahead, torch.arange(len(own["y_meta"])))
        if mixed:
            mine = Batch(own["x_clean"], own["y_clean"], torch.arange(len(own["y_clean"])))
        method.parts = lambda clean, parts=(ahead, mine): parts
        yield from ((f"t{step}.{k}", t) for k, t in _mlc_step(method, own).items())
        step += 1


def _mlc_step(method: mlc.MLC, own: Vectors) -> Vectors:
    """One step of MLC, with what it computed on the way."""
    found: Vectors = {}
    label_net, slopes_of = method.label_net, method.label_slopes
    names = [name for name, _ in label_net.named_parameters()]

    def slopes(look, loss, share, soft_labels, ahead):
        found["soft_labels"] = soft_labels.detach()
        slopes = slopes_of(look, loss, share, soft_labels, ahead)
        found["gamma"] = method.discount(look, ahead)
        found.update({f"hypergradient.{n}": s for n, s in zip(names, slopes, strict=True)})
        return slopes

    method.label_slopes = slopes
    logged = method.step(Batch(own["x"], own["y"], torch.arange(len(own["y"]))))
    method.label_slopes = slopes_of
    found |= {"loss": logged["loss"], "meta_loss": logged["clean_loss"]}
    for kind, network in (("label_net", label_net), ("net", method.network)):
        for name, parameter in network.named_parameters():
            found[f"{kind}_grad.{name}"] = parameter.grad.clone()
            found[f"{kind}_after.{name}"] = parameter.detach().clone()
    return found


def check_conv_mlc(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    method = _mlc_on(v, StackedConvolutions(v), {"inner_lr": v["rate"]})
    found = _mlc_step(method, v)
    for name in ("soft_labels", "loss", "meta_loss"):
        yield name, found[name]
    for name, slope_ in found.items():
        if name.startswith("hypergradient."):  # the label network's gradient of one step
            yield name.replace("hypergradient", "label_net_grad"), slope_


def check_mlnt(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    first = {"x": v["t0.x"], "y": v["t0.y"], "x_meta": v["t0.x"], "y_meta": v["t0.y"]}
    named = {"eta": "inner_lr", "rho": "perturb_ratio", "decay_rising": "teacher_decay"}
    given = {ours: float(v[theirs]) for ours, theirs in named.items()}
    hparams = mlnt.Hparams(perturbations=int(v["perturbations"]), **given)
    method = method_on(mlnt.MLNT, hparams, v | first, TanhNet(v), len(v["net.l2.bias"]))
    method.teacher.load_state_dict(method.network.state_dict())
    method.encoder.load_state_dict(part_of(v, "feature_net."))
    start, middle = int(v["start_iteration"]), int(v["middle_iteration"])
    method.power, method.rise, method.updates = 1.0, middle - start, -start - 1
    weights, rate = method.network.parameters(), float(v["network_rate"])
    method.optimizer = torch.optim.SGD(weights, rate, 0.9, weight_decay=1e-3)
    step = 0
    while f"t{step}.x" in v:
        own = part_of(v, f"t{step}.")
        yield from ((f"t{step}.{k}", t) for k, t in _mlnt_step(method, own).items())
        step += 1


def _mlnt_step(method: mlnt.MLNT, own: Vectors) -> Vectors:
    """One step of MLNT on the stored synthetic labels, with what it computed on the way."""
    found: Vectors = {}
    labels, network, slopes_of = own["y"], method.network, method.meta_slopes

    def stored(labels: Tensor, near: Tensor) -> Tensor:
        allowed = torch.cat([labels[:, None], labels[near]], 1)  # its own, or a neighbour's
        drawn = own["synthetic_labels"]
        found["synthetic_labels"] = torch.where((drawn[..., None] == allowed).any(2), drawn, -1)
        return drawn

    def slopes(ahead: ThroughStep, synthetic: Tensor, target: Tensor):
        found["teacher_probabilities"] = target
        loss = torch.nn.functional.cross_entropy(ahead.logits, labels)
        found["classification_loss"] = loss.detach()
        parameters = dict(network.named_parameters())
        classification = torch.autograd.grad(loss, tuple(parameters.values()), retain_graph=True)
        pairs = zip(parameters, classification, strict=True)
        found.update({f"classification_grad.{name}": slope for name, slope in pairs})
        for second_order, key in ((False, "meta_grad_first_order"), (True, "meta_grad")):
            method.hparams = method.hparams.model_copy(update={"second_order": second_order})
            losses, slopes = slopes_of(ahead, synthetic, target)
            found.update({f"{key}.{name}": slope.clone() for name, slope in slopes.items()})
        found["consistency_losses"] = losses
        found["meta_loss"] = method.consistency_share() * losses.sum()
        return losses, slopes

    method.draw_labels, method.meta_slopes = stored, slopes
    for name, parameter in network.named_parameters():
        found[f"net_before.{name}"] = parameter.detach().clone()
    found["features"] = method.encoder.features(own["x"])
    method.stage2_step(Batch(own["x"], labels, torch.arange(len(labels))))
    method.meta_slopes = slopes_of
    share = method.consistency_share() * method.hparams.perturbations
    found["consistency_weight"] = torch.tensor(share, dtype=torch.float64)
    for name, parameter in method.teacher.named_parameters():
        found[f"teacher.{name}"] = parameter.clone()
    for name, parameter in network.named_parameters():
        found[f"net_grad.{name}"] = parameter.grad.clone()
        found[f"net_after.{name}"] = parameter.detach().clone()
    return found
