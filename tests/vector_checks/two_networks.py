"""Methods with two networks that choose samples or make targets for each other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from methods import co_teaching_plus
from runners.cell.schedule import learning_rate
from tests.helpers.cells import granted_task, tiny_method
from tests.vector_checks.common import Vectors, part_of, slope

INPUT = "an input"
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
