"""The controls: what each learns from, and what it leaves alone."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from methods.base import Batch
from tests.helpers.cells import (
    batch,
    granted_task,
    make_cell,
    ready,
    same_state,
    tiny_method,
    tiny_task,
)


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


def test_the_ceiling_learns_true_labels_and_leaves_out_images_of_no_class():
    own, truth = batch(6), torch.tensor([2, -1, 1, 0, -1, 1])
    method = tiny_method("oracle", task=granted_task(truth=truth))
    known = truth >= 0
    expected = F.cross_entropy(method.network(own.images)[known], truth[known])
    assert method.step(own)["loss"].item() == pytest.approx(expected.item())
    nobody = tiny_method("oracle", task=granted_task(truth=torch.full((6,), -1)))
    assert nobody.step(own)["loss"].item() == 0


def test_without_the_privilege_no_method_gets_at_true_labels():
    with pytest.raises(PermissionError, match="true_labels"):
        _ = tiny_task(truth=torch.zeros(6)).true_labels


def final_state(cell, changed=None):
    """The method's weights after training; labels at `changed` are others."""
    case = ready(cell)
    if changed is not None:
        labels = case.sets.train.labels
        labels[changed] = (labels[changed] + 1) % 4
    case.train()
    return case.method


def test_labels_of_unlabelled_images_change_nothing_and_the_images_are_trained_on():
    options = {"warmup": 0.5, "unlabelled": 0.5}
    cell = make_cell("metalabelnet", epochs=2, batch_size=100, hparams=options)
    one = final_state(cell)
    counts = one.labelled.state_dict()["weights"]
    assert counts.sum() == len(counts) - round(0.5 * len(counts))
    other = final_state(cell, changed=(~counts).nonzero().flatten())
    assert same_state(one, other)
    assert not same_state(one, final_state(cell, changed=counts.nonzero().flatten()[:50]))
    met, case = [], ready(cell)
    inner = case.method.stage2_step
    case.method.stage2_step = lambda batch: (met.append(batch.index), inner(batch))[1]
    case.train()
    assert (~counts)[torch.cat(met)].any()


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
