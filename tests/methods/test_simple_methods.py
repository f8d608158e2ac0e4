"""Methods of one formula or few stages: numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from methods import bootstrap, forward, forward_estimated, jocor
from methods.base import Batch
from tests.helpers.cells import batch, granted_task, tiny_method, tiny_task

# Softmax of these: (1/2, 1/4, 1/4) and (1/8, 3/4, 1/8).
P = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)
LOGITS = P.log() + 3
LABELS, INDEX = torch.tensor([0, 2]), torch.arange(2)
CE = np.array([math.log(2), math.log(8)])
REVERSE = -math.log(1e-4) * (1 - np.array([0.5, 0.125]))


def loss_of(name, **hparams):
    return tiny_method(name, **hparams).loss(LOGITS, LABELS, INDEX).item()


def test_sce_adds_cross_entropy_and_its_reverse():
    assert loss_of("sce") == pytest.approx(0.1 * CE.mean() + REVERSE.mean())
    assert loss_of("sce", alpha=6.0, beta=0.1) == pytest.approx((6 * CE + 0.1 * REVERSE).mean())


def test_nce_divides_by_the_sum_over_all_labels():
    total = np.array([math.log(2) + 2 * math.log(4), 2 * math.log(8) + math.log(4 / 3)])
    assert loss_of("nce_rce") == pytest.approx((CE / total + REVERSE).mean())
    expected = (10 * CE / total + 0.1 * REVERSE).mean()
    assert loss_of("nce_rce", alpha=10.0, beta=0.1) == pytest.approx(expected)


def test_bootstrap_mixes_the_given_label_with_the_networks_own():
    entropy = -(P * P.log()).sum(1).numpy()
    assert loss_of("bootstrap") == pytest.approx((0.95 * CE + 0.05 * entropy).mean())
    own = -np.log([0.5, 0.75])
    assert loss_of("bootstrap", beta=0.8, hard=True) == pytest.approx((0.8 * CE + 0.2 * own).mean())


def test_the_gradient_flows_through_both_places_of_a_soft_prediction_and_not_a_hard_one():
    logits = LOGITS.clone().requires_grad_()
    for hard in (False, True):
        losses = bootstrap.bootstrap_losses(logits, LABELS, 0.0, hard)
        (found,) = torch.autograd.grad(losses.sum(), logits)
        log_p = P.log()
        inner = (P * log_p).sum(1, keepdim=True)
        soft = -P * (log_p - inner)
        expected = P - F.one_hot(P.argmax(1), 3) if hard else soft
        torch.testing.assert_close(found, expected)


def test_label_smoothing_gives_every_class_a_share():
    uniform = -P.log().mean(1).numpy()
    assert loss_of("label_smoothing") == pytest.approx((0.9 * CE + 0.1 * uniform).mean())


def test_elr_keeps_an_average_of_predictions_and_adds_its_agreement():
    method = tiny_method("elr", beta=0.6, lam=2.0)
    index = torch.tensor([1, 4])
    first, again = 0.4 * P, 0.6 * 0.4 * P + 0.4 * P
    for targets in (first, again):
        loss = method.loss(LOGITS, LABELS, index)
        agreement = (targets * P).sum(1)
        expected = CE.mean() + 2 * torch.log(1 - agreement).mean().item()
        assert loss.item() == pytest.approx(expected)
        torch.testing.assert_close(method.targets[index], targets.to(method.targets.dtype))
    assert not method.targets[[0, 2, 3, 5]].any()
    corrected = method.corrected_labels()
    torch.testing.assert_close(corrected[index], P.to(corrected.dtype))
    assert torch.equal(corrected[0], torch.eye(3)[0].to(corrected.dtype))  # never seen: as given


def test_the_term_of_elr_pulls_towards_the_target():
    method = tiny_method("elr", lam=5.0)
    logits = LOGITS.clone().requires_grad_()
    (found,) = torch.autograd.grad(method.loss(logits, LABELS, INDEX), logits)
    targets = (0.3 * P).requires_grad_(False)
    agreement = (targets * P).sum(1, keepdim=True)
    slope = -targets / (1 - agreement)  # of log(1 - <t, p>) in p
    through = P * (slope - (slope * P).sum(1, keepdim=True))
    expected = (P - F.one_hot(LABELS, 3) + 5 * through) / 2
    torch.testing.assert_close(found, expected)


def test_mixup_mixes_images_and_shares_of_labels_in_the_order_that_was_drawn():
    data = batch(6)
    method = tiny_method("mixup", task=tiny_task(epochs=1))
    method.begin_epoch(0)
    assert method.keys.shape == (1, 6) and 0 <= method.shares[0] <= 1
    method.shares, share = [0.3], 0.3
    order = method.keys[0].argsort()
    mixed = 0.3 * data.images + 0.7 * data.images[order]
    log_p = method.network(mixed).log_softmax(1)
    own, other = (F.nll_loss(log_p, labels) for labels in (data.labels, data.labels[order]))
    expected = share * own + 0.7 * other
    before = method.network.weight.detach().clone()
    (slope,) = torch.autograd.grad(expected, method.network.weight)
    assert method.step(data)["loss"].item() == pytest.approx(expected.item())
    torch.testing.assert_close(method.network.weight.detach(), before - 0.1 * slope)


def test_jocor_joins_both_losses_with_the_divergence_and_keeps_the_smallest():
    other = torch.tensor([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]], dtype=torch.float64)
    fit = CE - np.log([0.25, 0.75])
    apart = ((P - other) * (P / other).log()).sum(1).numpy()
    found = jocor.joint_losses(LOGITS, other.log(), LABELS, 0.7)
    np.testing.assert_allclose(found, 0.3 * fit + 0.7 * apart)
    method = tiny_method("jocor", task=granted_task(epochs=12), lam=0.7)
    assert method.tau == pytest.approx(0.4)  # the noise rate that it is told
    for epoch, rate in ((0, 0.0), (2, 0.2), (4, 0.4), (11, 0.4)):  # ramp: a third of the epochs
        method.begin_epoch(epoch)
        assert method.forget_rate == pytest.approx(rate)
    data = batch(6)
    losses = jocor.joint_losses(
        method.network(data.images), method.peer(data.images), data.labels, 0.7
    ).detach()
    logged = method.step(data)["loss"].item()
    assert logged == pytest.approx(losses.sort().values[:3].mean().item())  # int(0.6 * 6)
    assert method.kept.sum() == 3 and method.kept[losses.argsort()[:3]].all()


T = torch.tensor([[0.6, 0.4, 0.0], [0.0, 0.9, 0.1], [0.2, 0.0, 0.8]], dtype=torch.float64)


def test_forward_multiplies_predictions_by_the_matrix_and_backward_losses_by_its_inverse():
    task = granted_task(matrix=T)
    noisy = P @ T  # of the first image label 0 has 0.5 * 0.6 + 0.25 * 0.2
    assert noisy[0, 0].item() == pytest.approx(0.35)
    found = tiny_method("forward", task=task).loss(LOGITS, LABELS, INDEX).item()
    assert found == pytest.approx(-math.log(0.35) / 2 - math.log(noisy[1, 2].item()) / 2)
    method = tiny_method("forward", task=task, backward=True)
    every = [method.loss(LOGITS, torch.full((2,), k), INDEX) for k in range(3)]
    # Over the noisy labels of a true class backward losses have its plain loss as their mean.
    mean = sum(T[1, k] * every[k] for k in range(3))
    assert mean.item() == pytest.approx(-P[:, 1].log().mean().item())
    with pytest.raises(ValueError, match="has no inverse: must be backward: false"):
        tiny_method("forward", task=granted_task(matrix=torch.full((3, 3), 1 / 3)), backward=True)


def test_rows_of_an_estimated_matrix_are_the_predictions_of_the_surest_images():
    p = torch.full((100, 2), 0.5, dtype=torch.float64)
    p[:5, 0] = torch.tensor([0.95, 0.94, 0.93, 0.92, 0.91])
    p[5:10, 1] = torch.tensor([0.85, 0.84, 0.83, 0.82, 0.81])
    p[:5, 1], p[5:10, 0] = 1 - p[:5, 0], 1 - p[5:10, 1]
    plain = forward_estimated.estimated_matrix(p, without_outliers=False)
    assert plain.flatten().tolist() == pytest.approx([0.95, 0.05, 0.15, 0.85])
    # 97 of 100 lie below the value at 97 % of the way from the first to the last: 0.9203, 0.8203.
    filtered = forward_estimated.estimated_matrix(p, without_outliers=True)
    assert filtered.flatten().tolist() == pytest.approx([0.92, 0.08, 0.18, 0.82])


@pytest.mark.parametrize("backward", [False, True])
def test_forward_with_an_estimated_matrix_corrects_after_its_warm_up_only(backward):
    own = batch()
    task = tiny_task(epochs=4, train_in_order=lambda: iter([own]))
    method = tiny_method("forward_estimated", task=task, filter=False, backward=backward)
    method.begin_epoch(0)
    logits = method.network(own.images)
    plain = F.cross_entropy(logits, own.labels).item()
    assert method.step(own)["loss"].item() == pytest.approx(plain)
    method.begin_epoch(2)
    with torch.no_grad():
        logits = method.network(own.images)
    matrix = forward_estimated.estimated_matrix(logits.softmax(1), without_outliers=False)
    used = torch.linalg.inv(matrix) if backward else matrix
    torch.testing.assert_close(method.matrix, used)
    kind = forward.backward_losses if backward else forward.forward_losses
    expected = kind(logits, own.labels, used).mean().item()
    assert method.step(own)["loss"].item() == pytest.approx(expected) != pytest.approx(plain)


def test_pencil_has_three_stages_and_labels_move_in_the_second_alone():
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    task = granted_task(noisy_labels=labels, epochs=12)
    settings = {"stage1": 0.25, "stage2": 0.75, "alpha": 0.3, "beta": 0.2, "lam": 50.0}
    method = tiny_method("pencil", task=task, **settings)
    start = 10 * F.one_hot(labels, 3).double()
    assert (method.stage2_from, method.warmup_epochs) == (3, 9)
    assert method.label_rate == pytest.approx(50 * 130 / 6)
    part = Batch(batch(6).images[:2], labels[[4, 1]], torch.tensor([4, 1]))

    def step(epoch):
        method.begin_epoch(epoch)
        logits = method.network(part.images).detach()
        before = method.label_logits[part.index].clone().requires_grad_()
        return logits, before, method.step(part)["loss"].item()

    logits, _, loss = step(0)
    assert loss == pytest.approx(F.cross_entropy(logits, part.labels).item())
    assert torch.equal(method.label_logits, start)

    logits, before, loss = step(3)
    p, y = logits.softmax(1), before.softmax(1)
    fit, entropy = (p * (p / y).log()).sum() / 6, -(p * p.log()).sum() / 6
    expected = fit + 0.3 * F.cross_entropy(y, part.labels) + 0.2 * entropy
    assert loss == pytest.approx(expected.item())
    (slope,) = torch.autograd.grad(expected, before)
    moved = before.detach() - method.label_rate * slope
    torch.testing.assert_close(method.label_logits[part.index], moved)
    assert torch.equal(method.label_logits[[0, 2, 3, 5]], start[[0, 2, 3, 5]])

    logits, before, loss = step(9)
    p, y = logits.softmax(1), before.softmax(1)
    assert loss == pytest.approx(((p * (p / y).log()).sum() / 6).item())
    assert torch.equal(method.label_logits[part.index], before.detach())
    rates = []
    for epoch in (0, 8, 9, 11):
        method.begin_epoch(epoch)
        rates.append(method.optimizer.param_groups[0]["lr"])
    assert rates[:2] == pytest.approx([0.1, 0.1]) and rates[2] == pytest.approx(1 / 3)
    assert rates[3] == pytest.approx(1 / 3 * 0.25)


def slopes(method, images, labels):
    """Gradients of each sample's cross-entropy, as rows."""
    weight, bias = method.network.weight, method.network.bias
    losses = F.cross_entropy(method.network(images), labels, reduction="none")
    each = [torch.autograd.grad(loss, (weight, bias), retain_graph=True) for loss in losses]
    return torch.stack([torch.cat([w.flatten(), b]) for w, b in each])


def test_l2rw_weighs_samples_by_the_product_of_their_slope_and_the_clean_one():
    clean, noisy = batch(3), batch(6)
    method = tiny_method("l2rw", task=granted_task(clean))
    own, meta = slopes(method, noisy.images, noisy.labels), slopes(method, *clean[:2]).mean(0)
    expected = (own @ meta).clamp(min=0)
    expected = expected / expected.sum()
    assert 0 < (expected > 0).sum() < 6
    before = torch.cat([method.network.weight.detach().flatten(), method.network.bias.detach()])
    method.step(noisy)
    after = torch.cat([method.network.weight.detach().flatten(), method.network.bias.detach()])
    torch.testing.assert_close(after, before - 0.1 * expected @ own)


def test_labels_of_mslg_belong_to_images_begin_at_the_given_ones_and_move_in_stage_2():
    clean, noisy = batch(3), batch(6)
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    task = granted_task(clean, noisy_labels=labels, epochs=12)
    method = tiny_method("mslg", task=task, warmup=0.5, beta=1000.0, k=10.0)
    assert torch.equal(method.label_logits, 10 * F.one_hot(labels, 3).double())
    assert method.label_rate == pytest.approx(1000 * 76 / 6)  # six epochs are left to it
    part = Batch(noisy.images[:2], noisy.labels[:2], torch.tensor([4, 1]))
    method.begin_epoch(0)
    method.step(part)
    assert torch.equal(method.label_logits, 10 * F.one_hot(labels, 3).double())
    method.begin_epoch(6)
    method.step(part)
    moved = (method.label_logits != 10 * F.one_hot(labels, 3)).any(1)
    assert moved.tolist() == [False, True, False, False, True, False]
