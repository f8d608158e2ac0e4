"""Methods with two networks that choose samples or make targets for each other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import co_teaching_plus, elr_plus, mixup
from methods.base import Batch
from methods.elr import CLIP, pull
from runners.cell.schedule import learning_rate
from tests.helpers.cells import granted_task, tiny_method, tiny_task
from tests.vector_checks.common import INPUT, Vectors, part_of, slope

NOT_COMPARED: dict[str, dict[str, str]] = {
    # file -> quantity (a pattern of fnmatch) -> why no number of the suite stands against it
    "coteaching_plus": {
        "is_clean": INPUT,
        "*.logits_?": INPUT,
        "*.labels": INPUT,
        "*.index": INPUT,
        "*.forget_rate": INPUT,
        "*.step": INPUT,
        "*.official_loss_?": "softmax twice and the mean divided by the count again",
        "*.official_grad_?": "softmax twice and the mean divided by the count again",
        "*.official_chosen_by_?": "ranked by the cross-entropy of softmax outputs",
        "*.official_num_remember": "counted without the one that data set index 0 removes",
        "*.disagreement_used_official": "data set index 0 removes the last disagreeing sample",
    },
    "plus_elr": {
        "lam": INPUT,
        "beta": INPUT,
        "coefficient_steps": INPUT,
        "ema_alpha": INPUT,
        "ema_steps": INPUT,
        "ema_ramp": INPUT,
        "labels_times_targets": INPUT,
        "network_rate": INPUT,
        "net.*": INPUT,
        "ema.*": INPUT,
        "t*.step": INPUT,
        "t*.index": INPUT,
        "t*.x": INPUT,
        "t*.labels": INPUT,
        "t*.mix_weight": INPUT,
        "t*.mix_index": INPUT,
        "t*.other_ema_logits": INPUT,
    },
    "drop_rates": {
        "noise_rate": INPUT,
        "num_gradual": INPUT,
        "exponent": INPUT,
        "epochs": INPUT,
        "decay_start": INPUT,
        "learning_rate": INPUT,
        "asymmetric": INPUT,
        "*.beta1": "the protocol's optimiser keeps one beta 1 (runners/study/presets.py)",
    },
}
WHOLE_BEFORE = 5000
"""Official step count until which a batch without disagreement is learned as a whole."""


def check_co_teaching_plus(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    for case in dict.fromkeys(name.partition(".")[0] for name in v if "." in name):
        own = part_of(v, f"{case}.")
        logits = [own[f"logits_{i}"].clone().requires_grad_() for i in (1, 2)]
        apart = co_teaching_plus.disagreement(*logits)
        yield f"{case}.disagreement", apart.nonzero().flatten()
        rate, whole = float(own["forget_rate"]), int(own["step"]) < WHOLE_BEFORE
        # The networks exchange their places: what is kept for one is chosen by the other.
        found = {}
        for i, (mine, theirs) in enumerate((logits, logits[::-1]), 1):
            loss, _, chosen = co_teaching_plus.exchange_among(
                apart, mine, theirs, own["labels"], rate, whole
            )
            kind = "mean" if apart.any() else "single_softmax"
            found[f"{kind}_loss_{i}"] = loss
            found[f"{kind}_grad_{i}"] = slope(loss, mine)
            found[f"chosen_by_{3 - i}"] = chosen.nonzero().flatten()
            found["paper_num_remember"] = chosen.sum()
        yield from ((f"{case}.{name}", value) for name, value in found.items())


def check_drop_rates(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    epochs, ramp, rate = int(v["epochs"]), int(v["num_gradual"]), float(v["noise_rate"])
    for ours, theirs in (
        ("co_teaching", "co_teaching"),
        ("co_teaching_plus", "coteaching_plus"),
        ("jocor", "jocor"),
    ):
        factor = 0.5 if ours == "jocor" and v["asymmetric"] else 1.0
        # The official ramps reach their end, tau^c, one epoch earlier; after it the rate is tau.
        power = 1.0 if ours == "co_teaching_plus" else float(v["exponent"])
        task = granted_task(epochs=epochs, realised_rate=rate)
        share = (ramp - 1) / epochs
        plain = tiny_method(ours, task=task, tau_factor=factor, ramp=max(share, 1e-9))
        steep = tiny_method(
            ours, task=task, forget_rate=(factor * rate) ** power, ramp=max(share, 1e-9)
        )
        rates = []
        for epoch in range(epochs):
            method = steep if epoch < ramp else plain
            method.begin_epoch(epoch)
            rates.append(method.forget_rate)
        yield f"{theirs}.forget_rate", torch.tensor(rates, dtype=torch.float64)
        protocol = {"lr": float(v["learning_rate"]), "milestones": [int(v["decay_start"])]}
        protocol |= {"epochs": epochs, "schedule": "linear"}
        lrs = [learning_rate(protocol, epoch) for epoch in range(epochs)]
        yield f"{theirs}.learning_rates", torch.tensor(lrs, dtype=torch.float64)


def check_elr_plus(v: Vectors) -> Iterator[tuple[str, Tensor]]:
    method = _elr_plus(v)
    step = 0
    while f"t{step}.x" in v:
        own = part_of(v, f"t{step}.")
        batch = Batch(own["x"], own["labels"], own["index"])
        mixing = float(own["mix_weight"]), own["mix_index"]
        method.steps = int(own["step"])
        targets = method.judged(
            lambda images, own=own: own["other_ema_logits"], method.targets, batch
        )
        given = F.one_hot(own["labels"], method.task.classes).double()
        values = {"x": own["x"], "labels": given, "targets": targets}
        found = {f"mixed_{k}": mixup.mixed(value, *mixing) for k, value in values.items()}
        found["target_after"] = method.targets.clone()
        logits = method.network(found["mixed_x"])
        coefficient = elr_plus.ramp_up(method.steps, method.ramp_steps)
        p = logits.softmax(1).clamp(CLIP, 1 - CLIP)
        found |= {"logits": logits, "regularizer": pull(found["mixed_targets"], p)}
        found["coefficient"] = torch.tensor(coefficient, dtype=torch.float64)
        loss = method.plus_loss(logits, found["mixed_labels"], found["mixed_targets"])
        found["grad"] = slope(loss, logits)
        found["cross_entropy"] = loss - coefficient * method.hparams.lam * found["regularizer"]
        found["loss"] = method.mixup_loss(method.network, batch, targets, *mixing)
        method.update(found["loss"])
        decay = elr_plus.average_decay(method.steps, method.gamma, method.gamma_steps)
        elr_plus.move_average(method.average, method.network, decay)
        found["ema_coefficient"] = torch.tensor(decay, dtype=torch.float64)
        for name, network in (("net", method.network), ("ema", method.average)):
            for part, weight in network.named_parameters():
                found[f"{name}_after.{part}"] = weight.detach().clone()
        yield from ((f"t{step}.{name}", value) for name, value in found.items())
        step += 1


def _elr_plus(v: Vectors) -> elr_plus.ELRPlus:
    """The method on the vectors' networks, with the steps of its ramps as they say."""
    classes, inputs = v["net.weight"].shape
    count = len(v["t0.target_after"])
    task = tiny_task(
        classes=classes,
        n_train=count,
        noisy_labels=torch.zeros(count, dtype=torch.int64),
        make_optimizer=lambda parameters: torch.optim.SGD(parameters, float(v["network_rate"])),
    )
    method = tiny_method(
        "elr_plus",
        lambda: nn.Linear(inputs, classes),
        task=task,
        lam=float(v["lam"]),
        beta=float(v["beta"]),
        labels_times_targets=bool(v["labels_times_targets"]),
    )
    method.network.load_state_dict(part_of(v, "net."))
    method.average.load_state_dict(part_of(v, "ema."))
    # The vectors' numbers of steps, where the method has shares of its run.
    method.ramp_steps, method.gamma = float(v["coefficient_steps"]), float(v["ema_alpha"])
    # A ramp of no steps is over at once.
    method.gamma_steps = max(float(v["ema_steps"]), 1e-9) if v["ema_ramp"] else 0.0
    return method
