"""The controls: what each learns from, and what it leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from methods.base import Batch
from tests.helpers.cells import batch, granted_task, make_cell, ready, tiny_method


# Softmax of these: (1/2, 1/4, 1/4) and (1/8, 3/4, 1/8).
def test_noisy_and_clean_images_are_trained_on_together():
    clean, noisy = batch(3), batch(6)
    method = tiny_method("cross_entropy_plus_clean", task=granted_task(clean), weight=3.0)
    losses = [F.cross_entropy(method.network(b.images), b.labels) for b in (noisy, clean)]
    expected = (losses[0] + 3 * losses[1]) / 4
    before = method.network.weight.detach().clone()
    (slope,) = torch.autograd.grad(expected, method.network.weight)
    assert method.step(noisy)["loss"].item() == pytest.approx(expected.item())
    torch.testing.assert_close(method.network.weight.detach(), before - 0.1 * slope)


def trained(name, epochs, **hparams):
    case = ready(make_cell(name, epochs=epochs, batch_size=100, hparams=hparams))
    case.train()
    return case.method


def test_a_linear_probe_moves_the_last_layer_alone_after_the_warm_up():
    warm = trained("linear_probe", 4, warmup=0.5)
    plain = ready(make_cell("linear_probe", epochs=4, batch_size=100, hparams={"warmup": 0.5}))
    states = []

    def note(entry):
        states.append(copy.deepcopy(plain.method.network.state_dict()))

    plain.train(on_epoch=note)
    for name, value in warm.network.body.state_dict().items():
        assert torch.equal(value, states[1][f"body.{name}"]), name  # as after the warm-up
    assert not torch.equal(states[1]["head.weight"], states[2]["head.weight"])
    assert not torch.equal(states[2]["head.weight"], states[3]["head.weight"])


def test_a_label_layer_is_fitted_once_or_never_and_does_not_move_in_the_second_stage():
    layers = {}
    for name in ("metalabelnet_probe", "metalabelnet_random", "metalabelnet"):
        case = ready(make_cell(name, epochs=4, batch_size=100, hparams={"warmup": 0.5}))
        seen = [case.method.label_layer.weight.detach().clone()]

        def note(entry, case=case, seen=seen):
            seen.append(case.method.label_layer.weight.detach().clone())

        case.train(on_epoch=note)
        layers[name] = seen
        assert torch.equal(seen[0], seen[1]) and torch.equal(seen[1], seen[2])  # warm-up
    probe, random, full = layers.values()
    assert torch.equal(random[0], random[4])
    assert not torch.equal(probe[2], probe[3]) and torch.equal(probe[3], probe[4])
    assert not torch.equal(full[3], full[4])


def test_a_fitted_label_layer_knows_the_clean_images_and_the_labels_train_the_classifier():
    case = ready(make_cell("metalabelnet_probe", epochs=4, batch_size=100, hparams={"warmup": 0.5}))
    method = case.method
    clean = method.task.clean_batch(augment=False)
    case.train()
    with torch.no_grad():
        labels = method.soft_labels(method.encoder.features(clean.images))
        features = method.encoder.features(clean.images)
    assert (labels.argmax(1) == clean.labels).double().mean() > 0.6
    assert not torch.equal(method.network.state_dict()["head.weight"],
                           method.encoder.state_dict()["head.weight"])  # fmt: skip
    step = Batch(clean.images, clean.labels, torch.arange(len(clean.labels)))
    assert torch.isfinite(method.stage2_step(step)["loss"]) and features.ndim == 2
