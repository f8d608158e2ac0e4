"""Compares the suite's losses and steps with vectors: `python tests/check_reference.py FOLDER`.

Loads every file of the folder whose name begins with that of a check (`CHECKS`), computes the same
quantities in float64 with the methods of the suite, and prints the largest absolute difference per
quantity; a file without a check is named. Exit code 1 if a difference is above 1e-8, 2 if there is
nothing to check.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import (
    bootstrap,
    co_teaching,
    elr,
    forward,
    gce,
    jocor,
    l2rw,
    metalabelnet,
    mslg,
    mw_net,
    nce_rce,
    pencil,
    sce,
)
from methods.base import Batch, LossMethod, Method, Task
from methods.declaration import Privileges
from methods.lookahead import LookAhead

TOLERANCE = 1e-8
Vectors = dict[str, Tensor]


class TanhNet(nn.Module):
    """linear - tanh - linear, the network of `mw_net*.npz`."""

    def __init__(self, v: Vectors) -> None:
        super().__init__()
        self.l1, self.l2 = _linear(v["net.l1.weight"]), _linear(v["net.l2.weight"])

    def forward(self, x: Tensor) -> Tensor:
        return self.l2(self.l1(x).tanh())


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


def _part(v: Vectors, prefix: str) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): t for k, t in v.items() if k.startswith(prefix)}


def _method(
    kind: type[Method], hparams: Any, v: Vectors, network: nn.Module, classes: int
) -> Method:
    """The suite's method in float64, its clean batches being the vectors' own."""
    clean = Batch(v["x_meta"], v["y_meta"], torch.arange(len(v["y_meta"])))
    network.double().load_state_dict(_part(v, "net."))
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


def check_gce(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    q, k = float(v["q"]), float(v["k"])
    n_classes = v["logits"].shape[1]
    plain = gce.lq_loss(v["logits"], v["labels"], q)
    yield "plain_lq_per_sample", plain
    vectors = {**v, "x": v["logits"], "x_meta": v["logits"], "y_meta": v["labels"]}
    vectors |= {"y": v["labels"], "inner_lr": torch.tensor(0.1)}
    vectors["net.weight"], vectors["net.bias"] = torch.eye(n_classes), torch.zeros(n_classes)
    hparams = gce.Hparams(q=q, truncated=True, k=k)
    method = _method(gce.GCE, hparams, vectors, nn.Linear(n_classes, n_classes), n_classes)
    index = torch.arange(len(plain))
    for name in ("all_weights_one", "after_pruning"):
        logits = v["logits"].clone().requires_grad_()
        loss = method.loss(logits, v["labels"], index)
        yield f"truncated_mean_{name}", loss
        yield f"truncated_grad_{name}", torch.autograd.grad(loss, logits)[0]
        if name == "all_weights_one":
            method.prune(v["logits"])
            yield "kept_after_pruning", method.weights


def check_co_teaching(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    keep = co_teaching.kept_count(float(v["forget_rate"]), len(v["labels"]))
    yield "num_remember", torch.tensor(keep)
    logits = [v[f"logits_{i}"].clone().requires_grad_() for i in (1, 2)]
    *losses, _ = co_teaching.exchange(*logits, v["labels"], keep)
    for i, (loss, own) in enumerate(zip(losses, logits, strict=True), 1):
        yield f"mean_loss_{i}", loss
        yield f"official_loss_{i}", loss / keep  # the quirk that the suite leaves out
        yield f"mean_grad_{i}", torch.autograd.grad(loss, own)[0]
        ranked = F.cross_entropy(own.detach(), v["labels"], reduction="none")
        chosen = co_teaching.small_loss(ranked, keep)
        yield f"pure_ratio_{i}", v["is_clean"][chosen].double().mean()


def check_mw_net(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = mw_net.Hparams(hidden=len(v["vnet.linear1.bias"]))
    method = _method(mw_net.MetaWeightNet, hparams, v, TanhNet(v), len(v["net.l2.bias"]))
    method.weight_net.load_state_dict(_part(v, "vnet."))
    look = LookAhead(method.network, v["x"])
    losses = F.cross_entropy(look.logits, v["y"], reduction="none")
    weights = method.weight_net(losses.detach())
    yield "losses", losses
    yield "weights", weights
    yield "inner_loss", (weights * losses).mean()
    method.meta_step(look, losses, weights, v["y"], float(v["inner_lr"]))
    yield "meta_loss", look.clean_loss
    for name, parameter in look.parameters.items():
        yield f"lookahead.{name}", parameter
    for name, parameter in method.weight_net.named_parameters():
        yield f"vnet_grad.{name}", parameter.grad


def check_metalabelnet(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = metalabelnet.Hparams(alpha=float(v["inner_lr"]))
    method = _method(metalabelnet.MetaLabelNet, hparams, v, ConvNet(v), len(v["slp.bias"]))
    method.encoder.load_state_dict(_part(v, "encoder."))
    method.label_layer.load_state_dict(_part(v, "slp."))
    batch = Batch(v["x"], method.task.noisy_labels, torch.arange(len(v["x"])))
    features = method.features(batch)
    look = LookAhead(method.network, batch.images, hparams.official_batchnorm)
    soft_labels = method.soft_labels(features).detach()
    yield "features", features
    yield "soft_labels", soft_labels
    yield "logits", look.logits
    yield "inner_loss", metalabelnet.classification_loss(look.logits, soft_labels)
    yield "entropy_loss", metalabelnet.entropy(look.logits)
    method.meta_step(look, features, method.task.clean_batch(augment=False))
    yield "meta_loss", look.clean_loss
    for name, parameter in method.label_layer.named_parameters():
        yield f"slp_grad.{name}", parameter.grad
    metalabelnet.stage2_loss(look.logits, soft_labels).backward()
    for name, parameter in method.network.named_parameters():
        yield f"net_grad.{name}", parameter.grad


def _slope(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits, retain_graph=True)[0]


def _loss_only(kind: type[Method], hparams: Any, logits: Tensor, labels: Tensor) -> LossMethod:
    """A method that is a loss, its network of no concern."""
    classes = logits.shape[1]
    vectors = {"x": logits, "y": labels, "x_meta": logits, "y_meta": labels}
    vectors |= {"inner_lr": torch.tensor(0.1)}
    vectors |= {"net.weight": torch.eye(classes), "net.bias": torch.zeros(classes)}
    return _method(kind, hparams, vectors, nn.Linear(classes, classes), classes)


def check_sce(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = sce.Hparams(alpha=float(v["alpha"]), beta=float(v["beta"]))
    for prefix, suffix in (("", ""), ("extreme_", "_pytorch_reproduction")):
        logits, labels = v[f"{prefix}logits"].clone().requires_grad_(), v[f"{prefix}labels"]
        loss = _loss_only(sce.SCE, hparams, logits, labels).loss(logits, labels, labels)
        yield f"{prefix}loss{suffix}", loss
        yield f"{prefix}grad{suffix}", _slope(loss, logits)
    yield "cross_entropy", F.cross_entropy(v["logits"], v["labels"])
    yield "reverse_cross_entropy", sce.reverse_cross_entropy(v["logits"], v["labels"]).mean()


def check_robust_losses(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    logits, labels = v["logits"].clone().requires_grad_(), v["labels"]
    found = {
        "rce": sce.reverse_cross_entropy(logits, labels).mean(),
        "nce": nce_rce.normalised_cross_entropy(logits, labels).mean(),
        "gce07": gce.lq_loss(logits, labels, 0.7).mean(),
    }
    for name, kind, alpha, beta in (
        ("sce_a0p1_b1", sce, 0.1, 1.0),
        ("sce_a6_b0p1", sce, 6.0, 0.1),
        ("nce1_rce1", nce_rce, 1.0, 1.0),
        ("nce10_rce0p1", nce_rce, 10.0, 0.1),
    ):
        method = sce.SCE if kind is sce else nce_rce.NceRce
        own = _loss_only(method, kind.Hparams(alpha=alpha, beta=beta), logits.detach(), labels)
        found[name] = own.loss(logits, labels, labels)
    for name, loss in found.items():
        yield name, loss
        yield f"{name}.grad", _slope(loss, logits)


def check_bootstrap(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    for name, hard in (("soft", False), ("hard", True)):
        logits = v["logits"].clone().requires_grad_()
        losses = bootstrap.bootstrap_losses(logits, v["labels"], float(v[f"{name}_beta"]), hard)
        yield f"{name}_losses", losses
        yield f"{name}_loss", losses.mean()
        yield f"{name}_grad", _slope(losses.mean(), logits)


def check_elr(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = elr.Hparams(beta=float(v["beta"]), lam=float(v["lam"]))
    count, classes = v["t0.target_after"].shape
    store = torch.zeros(count, classes), torch.zeros(count, dtype=torch.int64)
    method = _loss_only(elr.ELR, hparams, *store)
    step = 0
    while f"t{step}.logits" in v:
        own = _part(v, f"t{step}.")
        logits = own["logits"].clone().requires_grad_()
        loss = method.loss(logits, own["labels"], own["index"])
        yield f"t{step}.loss", loss
        yield f"t{step}.grad", _slope(loss, logits)
        yield f"t{step}.target_after", method.targets.clone()
        cross_entropy = F.cross_entropy(logits, own["labels"])
        yield f"t{step}.cross_entropy", cross_entropy
        yield f"t{step}.regularizer", (loss - cross_entropy) / hparams.lam
        step += 1


def check_mslg(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    rate, classes = float(v["label_rate"]), len(v["net.l2.bias"])
    named = {"alpha": "inner_lr", "beta": "label_rate", "gamma": "entropy_weight", "k": "K"}
    hparams = mslg.Hparams(**{ours: float(v[theirs]) for ours, theirs in named.items()})
    first = {"x_meta": v["t0.x_meta"], "y_meta": v["t0.y_meta"]}
    method = _method(mslg.MSLG, hparams, v | first, TanhNet(v), classes)
    method.label_rate = rate  # as if each image was visited as often as in the paper
    weights, lr = method.network.parameters(), float(v["network_rate"])
    method.optimizer = torch.optim.SGD(weights, lr, momentum=0.9, weight_decay=1e-4)
    index, step = torch.arange(len(v["x"])), 0
    while f"t{step}.x_meta" in v:
        own = _part(v, f"t{step}.")
        clean = Batch(own["x_meta"], own["y_meta"], torch.arange(len(own["y_meta"])))
        method.task = replace(method.task, clean_source=lambda augment, clean=clean: clean)
        before = method.label_logits.clone()
        look = LookAhead(method.network, v["x"])
        found = {"label_logits_before": before, "logits": look.logits.detach().clone()}
        found["inner_loss"] = metalabelnet.classification_loss(look.logits, before.softmax(1))
        found["label_logits_grad"] = method.label_slope(look, before, clean)
        found["meta_loss"] = look.clean_loss
        found |= {f"lookahead.{name}": part.clone() for name, part in look.parameters.items()}
        logged = method.stage2_step(Batch(v["x"], v["y"], index))
        labels = method.label_logits.softmax(1)
        found["label_logits_after"] = method.label_logits.clone()
        found["classification_loss"] = metalabelnet.classification_loss(look.logits, labels)
        found["entropy_loss"] = metalabelnet.entropy(look.logits)
        found["loss"] = logged["loss"]
        for name, parameter in method.network.named_parameters():
            found[f"net_grad.{name}"] = parameter.grad.clone()
            found[f"net_after.{name}"] = parameter.detach().clone()
        yield from ((f"t{step}.{name}", value) for name, value in found.items())
        step += 1


def check_pencil(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = pencil.Hparams(alpha=float(v["alpha"]), beta=float(v["beta"]))
    initial = v["label_logits_initial"]
    method = _loss_only(pencil.PENCIL, hparams, torch.zeros_like(initial), v["labels"])
    yield "label_logits_initial", method.label_logits.clone()
    method.label_rate = float(v["label_rate"])  # as if each image was visited as in the paper
    for epoch, stage in enumerate((1, 2, 2, 3)):
        own, method.stage = _part(v, f"epoch{epoch}."), stage
        index, logits = own["index"], own["logits"].clone().requires_grad_()
        # A network that gives these logits: their slope is that of its input.
        method.network, method.update = nn.Identity(), lambda loss: loss.backward()
        found = {"label_logits_before": method.label_logits[index]}
        names = ("classification_loss_official", "compatibility_loss_official", "entropy_loss")
        labels, before = v["labels"][index], method.label_logits[index].requires_grad_()
        found |= dict(zip(names, pencil.parts(logits, before, labels), strict=True))
        if stage == 2:
            found["grad_label_logits"] = _slope(method.joint_loss(logits, before, labels), before)
        found["loss"] = method.step(Batch(logits, labels, index))["loss"]
        found["grad_logits"] = logits.grad
        found["label_logits_after"] = method.label_logits[index]
        yield from ((f"epoch{epoch}.{name}", value) for name, value in found.items())


def check_forward(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    transition, labels = v["transition"], v["labels"]
    for prefix, losses, matrix in (
        ("", forward.forward_losses, transition),
        ("backward_", forward.backward_losses, torch.linalg.inv(transition)),
    ):
        logits = v["logits"].clone().requires_grad_()
        each = losses(logits, labels, matrix)
        yield f"{prefix}losses", each
        yield f"{prefix}loss", each.mean()
        yield f"{prefix}grad", _slope(each.mean(), logits)


def check_jocor(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    keep = co_teaching.kept_count(float(v["forget_rate"]), len(v["labels"]))
    yield "num_remember", torch.tensor(keep)
    logits = [v[f"logits_{i}"].clone().requires_grad_() for i in (1, 2)]
    losses = jocor.joint_losses(*logits, v["labels"], float(v["co_lambda"]))
    chosen = co_teaching.small_loss(losses.detach(), keep)
    yield "joint_losses", losses
    yield "chosen", chosen
    loss = losses[chosen].mean()
    yield "loss", loss
    for i, own in enumerate(logits, 1):
        yield f"grad_{i}", _slope(loss, own)
    yield "pure_ratio", v["is_clean"][v["index"][chosen]].double().mean()


def check_l2rw(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    method = _method(l2rw.L2RW, l2rw.DECLARATION.hparams(), v, TanhNet(v), len(v["net.l2.bias"]))
    method.optimizer = torch.optim.SGD(method.network.parameters(), float(v["inner_lr"]))
    look = LookAhead(method.network, v["x"])
    losses = F.cross_entropy(look.logits, v["y"], reduction="none")
    agreement = method.agreement(look, losses, v["y"]).detach()
    yield "losses", losses
    yield "meta_loss", look.clean_loss
    # The official slope is that of L_m after a step with this rate, in the weights of its loss.
    yield "grad_example_weights", -float(v["inner_lr"]) * agreement
    yield "weights", method.weights(agreement)
    yield "loss", method.step(Batch(v["x"], v["y"], torch.arange(len(v["y"]))))["loss"]
    for name, parameter in method.network.named_parameters():
        yield f"net_grad.{name}", parameter.grad
        yield f"net_after.{name}", parameter


CHECKS: dict[str, Callable[[Vectors], Iterator[tuple[str, Tensor]]]] = {
    "gce": check_gce,
    "co_teaching": check_co_teaching,
    "mw_net": check_mw_net,
    "metalabelnet": check_metalabelnet,
    "sce": check_sce,
    "robust_losses": check_robust_losses,
    "bootstrap": check_bootstrap,
    "elr": check_elr,
    "mslg": check_mslg,
    "l2rw": check_l2rw,
    "pencil": check_pencil,
    "jocor": check_jocor,
    "forward_correction": check_forward,
}


def differences(path: Path) -> dict[str, float]:
    """Largest absolute difference per quantity that a file holds; inf where shapes differ."""
    method = next(name for name in CHECKS if path.name.startswith(name))
    with np.load(path, allow_pickle=False) as file:
        vectors = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    found = {}
    for name, value in CHECKS[method](vectors):
        if name not in vectors:
            continue
        ours, expected = value.detach().double(), vectors[name].double()
        same = ours.shape == expected.shape
        found[name] = float((ours - expected).abs().max()) if same else float("inf")
    return found or {"nothing to compare": float("inf")}


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("usage: python tests/check_reference.py FOLDER (a folder of .npz files)")
        return 2
    everything = sorted(Path(sys.argv[1]).glob("*.npz"))
    files = [path for path in everything if path.name.startswith(tuple(CHECKS))]
    for path in everything:
        if path not in files:
            print(f"no check for file {path.name}")
    if not files:
        print(f"{sys.argv[1]} holds no file to check: must hold one of {', '.join(CHECKS)} *.npz")
        return 2
    worst = 0.0
    for path in files:
        for name, difference in differences(path).items():
            print(f"{path.name:<24} {name:<32} {difference:.2e}")
            worst = max(worst, difference) if difference == difference else float("inf")
    print(f"{len(files)} files, largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
