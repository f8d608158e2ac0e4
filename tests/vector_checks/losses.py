"""Losses, and what methods without a look-ahead keep of their samples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import (
    bootstrap,
    co_teaching,
    elr,
    forward,
    forward_estimated,
    gce,
    jocor,
    nce_rce,
    pencil,
    sce,
)
from methods.base import Batch
from tests.vector_checks.common import Vectors, loss_only, method_on, part_of, slope

NOT_COMPARED: dict[str, dict[str, str]] = {
    "robust_losses": dict.fromkeys(
        ("mae", "mae.grad", "mae_paper*", "nce1_mae1*"), "no method here trains on this loss"
    ),
    "sce": {"extreme_*_keras_original": "the suite clips as the authors' PyTorch reproduction"},
    "forward_correction": {
        "estimated_transition_filtered_official": "its filter also changes later rows"
    },
    "pencil": {
        "*_paper": "the suite has the official code's losses",
        "schedule_official": "whole division makes its last rates 0",
        "schedule_intended": "the third stage falls along a cosine here",
    },
}


def check_gce(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    q, k = float(v["q"]), float(v["k"])
    n_classes = v["logits"].shape[1]
    plain = gce.lq_loss(v["logits"], v["labels"], q)
    yield "plain_lq_per_sample", plain
    vectors = {**v, "x": v["logits"], "x_meta": v["logits"], "y_meta": v["labels"]}
    vectors |= {"y": v["labels"], "inner_lr": torch.tensor(0.1)}
    vectors["net.weight"], vectors["net.bias"] = torch.eye(n_classes), torch.zeros(n_classes)
    hparams = gce.Hparams(q=q, truncated=True, k=k)
    method = method_on(gce.GCE, hparams, vectors, nn.Linear(n_classes, n_classes), n_classes)
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


def check_sce(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = sce.Hparams(alpha=float(v["alpha"]), beta=float(v["beta"]))
    for prefix, suffix in (("", ""), ("extreme_", "_pytorch_reproduction")):
        logits, labels = v[f"{prefix}logits"].clone().requires_grad_(), v[f"{prefix}labels"]
        loss = loss_only(sce.SCE, hparams, logits, labels).loss(logits, labels, labels)
        yield f"{prefix}loss{suffix}", loss
        yield f"{prefix}grad{suffix}", slope(loss, logits)
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
        own = loss_only(method, kind.Hparams(alpha=alpha, beta=beta), logits.detach(), labels)
        found[name] = own.loss(logits, labels, labels)
    for name, loss in found.items():
        yield name, loss
        yield f"{name}.grad", slope(loss, logits)


def check_bootstrap(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    for name, hard in (("soft", False), ("hard", True)):
        logits = v["logits"].clone().requires_grad_()
        losses = bootstrap.bootstrap_losses(logits, v["labels"], float(v[f"{name}_beta"]), hard)
        yield f"{name}_losses", losses
        yield f"{name}_loss", losses.mean()
        yield f"{name}_grad", slope(losses.mean(), logits)


def check_elr(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = elr.Hparams(beta=float(v["beta"]), lam=float(v["lam"]))
    count, classes = v["t0.target_after"].shape
    store = torch.zeros(count, classes), torch.zeros(count, dtype=torch.int64)
    method = loss_only(elr.ELR, hparams, *store)
    step = 0
    while f"t{step}.logits" in v:
        own = part_of(v, f"t{step}.")
        logits = own["logits"].clone().requires_grad_()
        loss = method.loss(logits, own["labels"], own["index"])
        yield f"t{step}.loss", loss
        yield f"t{step}.grad", slope(loss, logits)
        yield f"t{step}.target_after", method.targets.clone()
        cross_entropy = F.cross_entropy(logits, own["labels"])
        yield f"t{step}.cross_entropy", cross_entropy
        yield f"t{step}.regularizer", (loss - cross_entropy) / hparams.lam
        step += 1


def check_pencil(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = pencil.Hparams(alpha=float(v["alpha"]), beta=float(v["beta"]))
    initial = v["label_logits_initial"]
    method = loss_only(pencil.PENCIL, hparams, torch.zeros_like(initial), v["labels"])
    yield "label_logits_initial", method.label_logits.clone()
    method.label_rate = float(v["label_rate"])  # as if each image was visited as in the paper
    for epoch, stage in enumerate((1, 2, 2, 3)):
        own, method.stage = part_of(v, f"epoch{epoch}."), stage
        index, logits = own["index"], own["logits"].clone().requires_grad_()
        # A network that gives these logits: their slope is that of its input.
        method.network, method.update = nn.Identity(), lambda loss: loss.backward()
        found = {"label_logits_before": method.label_logits[index]}
        names = ("classification_loss_official", "compatibility_loss_official", "entropy_loss")
        labels, before = v["labels"][index], method.label_logits[index].requires_grad_()
        found |= dict(zip(names, pencil.parts(logits, before, labels), strict=True))
        if stage == 2:
            found["grad_label_logits"] = slope(method.joint_loss(logits, before, labels), before)
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
        yield f"{prefix}grad", slope(each.mean(), logits)
    for name, without_outliers in (("plain", False), ("filtered_paper", True)):
        matrix = forward_estimated.estimated_matrix(v["probabilities"], without_outliers)
        yield f"estimated_transition_{name}", matrix


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
        yield f"grad_{i}", slope(loss, own)
    yield "pure_ratio", v["is_clean"][v["index"][chosen]].double().mean()
