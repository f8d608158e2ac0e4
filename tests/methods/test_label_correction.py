"""Joint optimisation and MLC: each stage, each state and each option against its formula."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call

from methods import joint_optimization, mlc
from methods.base import Batch
from methods.lookahead.network import momentum_and_decay
from tests.helpers.cells import Linear, batch, granted_task, same_state, tiny_method, tiny_task

# Softmax of these: (1/2, 1/4, 1/4) and (1/8, 3/4, 1/8).
P = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)
LOGITS = P.log() + 3


def joint(task=None, **hparams):
    """Joint optimisation on six images; labels move from the end of epoch 3 on, stage 2 from 8."""
    return tiny_method("joint_optimization", task=task or tiny_task(), **hparams)


def epoch_of(method, epoch: int, part: Batch | None = None) -> dict:
    method.train()
    method.begin_epoch(epoch)
    logged = method.step(part or batch())
    method.end_epoch(epoch)
    return logged


def test_joint_loss_is_fit_prior_and_entropy():
    labels = torch.tensor([[1.0, 0, 0], [0, 0.5, 0.5]], dtype=torch.float64)
    fit = (math.log(2) + 0.5 * math.log(4 / 3) + 0.5 * math.log(8)) / 2
    mean = [(0.5 + 0.125) / 2, (0.25 + 0.75) / 2, (0.25 + 0.125) / 2]
    prior = -sum(math.log(m) for m in mean) / 3
    entropy = -float((P * P.log()).sum(1).mean())
    found = [part.item() for part in joint_optimization.parts(LOGITS, labels)]
    assert found == pytest.approx([fit, prior, entropy])
    method = joint(alpha=0.3, beta=0.7)
    assert method.joint_loss(LOGITS, labels).item() == pytest.approx(
        fit + 0.3 * prior + 0.7 * entropy
    )
    method.in_stage2 = True
    assert method.joint_loss(LOGITS, labels).item() == pytest.approx(fit)


def test_the_prior_of_a_class_that_nobody_predicts_is_finite():
    logits = torch.tensor([[0.0, 200.0, -2000.0]], requires_grad=True)
    prior = joint_optimization.parts(logits, torch.eye(3)[:1])[1]
    assert prior.item() == pytest.approx((200 + 0 + 2200) / 3)
    assert torch.autograd.grad(prior, logits)[0].isfinite().all()


def test_labels_become_the_mean_of_the_last_epochs_predictions_once_they_may_move():
    task = tiny_task(epochs=64)
    method = joint(task, begin=3 / 64, window=2 / 64)
    given = F.one_hot(task.noisy_labels, 3).to(torch.float64)
    seen = []
    for epoch in range(5):
        with torch.no_grad():
            seen.append(method.network(batch().images).softmax(1))
        epoch_of(method, epoch)
        expected = given if epoch < 2 else (seen[-1] + seen[-2]) / 2
        torch.testing.assert_close(method.corrected_labels(), expected)


def test_the_labels_of_one_step_are_those_of_its_images():
    method = joint(begin=1 / 12)
    index = torch.tensor([4, 1])
    part = Batch(batch().images[:2], torch.tensor([0, 0]), index)
    with torch.no_grad():
        predicted = method.network(part.images).softmax(1)
    method.begin_epoch(0)
    method.soft_labels[index] = P
    loss = method.step(part)["loss"]
    expected = method.joint_loss(predicted.log(), P)
    assert loss.item() == pytest.approx(expected.item())
    torch.testing.assert_close(method.outputs[0, index], predicted)


def test_an_image_that_an_epoch_leaves_out_keeps_its_last_prediction_or_its_label():
    method = joint(tiny_task(noisy_labels=torch.arange(6) % 3), begin=2 / 12, window=2 / 12)
    part = Batch(*(t[:4] for t in batch()[:3]))
    with torch.no_grad():
        first = method.network(batch().images).softmax(1)
    epoch_of(method, 0, part)
    with torch.no_grad():
        second = method.network(batch().images).softmax(1)
    epoch_of(method, 1, Batch(*(t[:2] for t in batch()[:3])))
    found = method.soft_labels
    torch.testing.assert_close(found[:2], (first + second)[:2] / 2)
    torch.testing.assert_close(found[2:4], first[2:4])
    torch.testing.assert_close(found[4:], torch.eye(3)[[1, 2]].double())


def test_empty_slots_count_in_the_mean():
    method = joint(begin=1 / 12, window=4 / 12)
    epoch_of(method, 0)
    torch.testing.assert_close(method.soft_labels.sum(1), torch.full((6,), 0.25).double())


@pytest.mark.parametrize("epochs", [*range(1, 41), 320])
def test_by_default_labels_sum_to_one_and_each_stage_has_an_epoch(epochs):
    method = joint(tiny_task(epochs=epochs))
    assert len(method.outputs) <= method.moves_after
    assert 0 <= method.warmup_epochs < epochs
    if epochs == 320:
        assert (method.moves_after, method.warmup_epochs, len(method.outputs)) == (70, 200, 10)


def test_hard_labels_are_classes():
    method = joint(begin=1 / 12, hard=True)
    with torch.no_grad():
        predicted = method.network(batch().images).argmax(1)
    epoch_of(method, 0)
    torch.testing.assert_close(method.soft_labels, F.one_hot(predicted, 3).double())


def test_stage_2_is_a_new_network_on_fixed_labels_with_a_rate_that_falls():
    made = []

    def network():
        made.append(Linear(4, 3))
        torch.nn.init.constant_(made[-1].bias, len(made))
        return made[-1]

    def optimizer(parameters):
        return torch.optim.SGD(parameters, 0.1, 0.9)

    task = tiny_task(make_optimizer=optimizer)
    method = tiny_method("joint_optimization", network, task=task, lr_factor=0.5, lr2_factor=3.0)
    assert method.warmup_epochs == 8 and method.moves_after == 3
    rates = []
    for epoch in range(12):
        method.begin_epoch(epoch)
        assert same_state(method.network, made[1]) == (epoch == 8)
        assert bool(method.optimizer.state) == (epoch not in (0, 8))
        before = method.soft_labels.clone()
        logged = method.step(batch())
        if epoch == 8:
            with torch.no_grad():
                expected = F.cross_entropy(made[1](batch().images), before)
            assert logged["loss"].item() == pytest.approx(expected.item())
        method.end_epoch(epoch)
        rates.append(method.optimizer.param_groups[0]["lr"])
        assert torch.equal(method.soft_labels, before) == (epoch < 2 or epoch >= 8)
    cosine = [0.3 * 0.5 * (1 + math.cos(math.pi * k / 4)) for k in range(4)]
    assert rates == pytest.approx([0.05] * 8 + cosine)
    assert method.network is made[0] and len(made) == 2


def momentum(parameters):
    return torch.optim.SGD(parameters, 0.1, 0.9, weight_decay=0.01)


CLEAN = Batch(batch(8).images + 0.3, torch.arange(8) % 3, torch.arange(8))


def corrector(**hparams) -> mlc.MLC:
    """MLC with a float64 linear network 4 -> 3 and small label network, at a large rate."""
    torch.manual_seed(1)
    task = granted_task(CLEAN, make_optimizer=momentum)
    return tiny_method("mlc", task=task, **{"hidden": 5, "embedding": 3, **hparams})


def grads(network) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in network.parameters()]


def slopes_by_double_backward(method: mlc.MLC) -> tuple[torch.Tensor, ...]:
    """Those of the clean loss after the optimiser's own next step, in the label network."""
    ahead, own = method.parts(CLEAN)
    theta = dict(method.network.named_parameters())
    images, labels, _, _ = batch()
    soft = method.label_net(images, labels)  # the features of this network are its input
    loss = F.cross_entropy(method.network(images), soft)
    if own is not None:
        clean = F.cross_entropy(method.network(own.images), own.labels)
        loss = (6 * loss + len(own.labels) * clean) / (6 + len(own.labels))
    gradient = torch.autograd.grad(loss, tuple(theta.values()), create_graph=True)
    moved = {}
    for (name, parameter), slope in zip(theta.items(), gradient, strict=True):
        buffer = method.optimizer.state.get(parameter, {}).get("momentum_buffer", 0.0)
        step = 0.9 * buffer + slope + 0.01 * parameter.detach()
        moved[name] = parameter.detach() - 0.1 * step
    ahead_loss = F.cross_entropy(functional_call(method.network, moved, ahead.images), ahead.labels)
    return torch.autograd.grad(ahead_loss, tuple(method.label_net.parameters()))


@pytest.mark.parametrize("options", [{}, {"train_on_clean": True}, {"skip": True}])
def test_mlc_looks_one_step_of_the_optimiser_ahead(options):
    method = corrector(**options)
    for _ in range(3):  # the second step has momentum
        expected = slopes_by_double_backward(method)
        logged = method.step(batch())
        assert set(logged) == {"loss", "clean_loss"}
        for found, slope in zip(grads(method.label_net), expected, strict=True):
            torch.testing.assert_close(found, slope, rtol=1e-9, atol=1e-15)


def test_mlc_trains_on_the_labels_of_the_old_label_network_and_on_half_of_the_clean_batch():
    method, images, labels = corrector(train_on_clean=True), batch().images, batch().labels
    soft = method.label_net(images, labels).detach()
    torch.testing.assert_close(soft.sum(1), torch.ones(6).double())
    loss = 0.6 * F.cross_entropy(method.network(images), soft)
    loss = loss + 0.4 * F.cross_entropy(method.network(CLEAN.images[4:]), CLEAN.labels[4:])
    expected = torch.autograd.grad(loss, tuple(method.network.parameters()))
    before = [p.clone() for p in method.label_net.parameters()]
    assert method.step(batch())["loss"].item() == pytest.approx(loss.item())
    for found, slope in zip(grads(method.network), expected, strict=True):
        torch.testing.assert_close(found, slope)
    moved = any(map(torch.equal, before, method.label_net.parameters()))
    assert not moved


def test_without_the_clean_half_the_whole_batch_is_looked_ahead_to():
    ahead, own = corrector().parts(CLEAN)
    assert len(ahead.labels) == 8 and own is None
    method = corrector(train_on_clean=True)
    ahead, own = method.parts(CLEAN)
    assert torch.equal(ahead.images, CLEAN.images[:4]) and torch.equal(own.labels, CLEAN.labels[4:])
    few = Batch(*(t[:3] for t in CLEAN[:3]))
    assert method.parts(few) == (few, None)


def test_mlc_adds_discounted_earlier_slopes_until_the_label_network_moves():
    method = corrector(steps=2)
    before = [p.clone() for p in method.label_net.parameters()]
    first = slopes_by_double_backward(method)
    method.step(batch())
    assert all(map(torch.equal, before, method.label_net.parameters()))
    own = slopes_by_double_backward(method)
    theta = tuple(method.network.parameters())

    def clean_slope():
        loss = F.cross_entropy(method.network(CLEAN.images), CLEAN.labels)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, theta)])

    g0 = clean_slope()
    method.step(batch())
    g = clean_slope()  # the classifier has made the step that was looked ahead to
    gamma = 0.9 * (g @ g0) / (g0 @ g0)
    for found, slope, earlier in zip(grads(method.label_net), own, first, strict=True):
        torch.testing.assert_close(found, slope + gamma * earlier, rtol=1e-9, atol=1e-15)
    assert not any(map(torch.equal, before, method.label_net.parameters()))
    assert method.earlier == []


def test_the_skip_link_weighs_the_given_label():
    net = mlc.LabelNet(4, 3, 2, 5, skip=True).double()
    labels = torch.tensor([0, 2])
    features = batch(2).images
    outputs = net.net(torch.cat([features, net.cls_emb(labels)], 1))
    weight = outputs[:, 3:].sigmoid()
    expected = (1 - weight) * outputs[:, :3].softmax(1) + weight * F.one_hot(labels, 3)
    torch.testing.assert_close(net(features, labels), expected)


def test_mlc_with_adam_looks_a_plain_step_ahead():
    method = corrector()
    adam = torch.optim.Adam(method.network.parameters(), 0.1)
    beside = momentum_and_decay(adam, method.network)
    assert set(beside) == {"weight", "bias"} and not any(t.any() for t in beside.values())


def test_corrected_labels_of_mlc_are_those_of_its_label_network():
    method = corrector()
    task = replace(method.task, train_in_order=lambda: iter([batch()]))
    method.task = task
    method.train()
    with torch.no_grad():
        expected = method.label_net(batch().images, batch().labels)
    torch.testing.assert_close(method.corrected_labels(), expected)
    assert method.network.training
