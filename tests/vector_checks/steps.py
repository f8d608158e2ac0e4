"""Steps of the methods that look ahead to clean images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from methods import l2rw, metalabelnet, mslg, mw_net
from methods.base import Batch
from methods.lookahead import LookAhead
from tests.vector_checks.common import ConvNet, TanhNet, Vectors, method_on, part_of

NOT_COMPARED: dict[str, dict[str, str]] = {}


def check_mw_net(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    hparams = mw_net.Hparams(hidden=len(v["vnet.linear1.bias"]))
    method = method_on(mw_net.MetaWeightNet, hparams, v, TanhNet(v), len(v["net.l2.bias"]))
    method.weight_net.load_state_dict(part_of(v, "vnet."))
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
    method = method_on(metalabelnet.MetaLabelNet, hparams, v, ConvNet(v), len(v["slp.bias"]))
    method.encoder.load_state_dict(part_of(v, "encoder."))
    method.label_layer.load_state_dict(part_of(v, "slp."))
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


def check_mslg(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    rate, classes = float(v["label_rate"]), len(v["net.l2.bias"])
    named = {"alpha": "inner_lr", "beta": "label_rate", "gamma": "entropy_weight", "k": "K"}
    hparams = mslg.Hparams(**{ours: float(v[theirs]) for ours, theirs in named.items()})
    first = {"x_meta": v["t0.x_meta"], "y_meta": v["t0.y_meta"]}
    method = method_on(mslg.MSLG, hparams, v | first, TanhNet(v), classes)
    method.label_rate = rate  # as if each image was visited as often as in the paper
    weights, lr = method.network.parameters(), float(v["network_rate"])
    method.optimizer = torch.optim.SGD(weights, lr, momentum=0.9, weight_decay=1e-4)
    index, step = torch.arange(len(v["x"])), 0
    while f"t{step}.x_meta" in v:
        own = part_of(v, f"t{step}.")
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


class OneLogit(TanhNet):
    """Its one logit against 0: the binary loss is the cross-entropy of the two."""

    def forward(self, x: Tensor) -> Tensor:
        logit = super().forward(x)
        return torch.cat([torch.zeros_like(logit), logit], 1)


def check_l2rw(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    classes = len(v["net.l2.bias"])
    network = TanhNet(v) if classes > 1 else OneLogit(v)
    method = method_on(l2rw.L2RW, l2rw.DECLARATION.hparams(), v, network, max(classes, 2))
    method.optimizer = torch.optim.SGD(method.network.parameters(), float(v["inner_lr"]))
    look = LookAhead(method.network, v["x"])
    losses = F.cross_entropy(look.logits, v["y"], reduction="none")
    agreement = method.agreement(look, losses, v["y"]).detach()
    yield "losses", losses
    yield "meta_loss", look.clean_loss
    # The official slope is that of L_m after a step with this rate, in the weights of its loss.
    yield "grad_example_weights", -float(v["inner_lr"]) * agreement
    yield "clipped", (float(v["inner_lr"]) * agreement).clamp(min=0)
    yield "weights", method.weights(agreement)
    yield "loss", method.step(Batch(v["x"], v["y"], torch.arange(len(v["y"]))))["loss"]
    for name, parameter in method.network.named_parameters():
        yield f"net_grad.{name}", parameter.grad
        yield f"net_after.{name}", parameter
