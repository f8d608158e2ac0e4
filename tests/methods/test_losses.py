"""Losses and updates against the papers' formulas, with numbers worked out by hand."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from methods import co_teaching, gce, metalabelnet
from methods.base import Batch
from tests.helpers.cells import (
    Linear,
    batch,
    granted_task,
    make_cell,
    ready,
    same_state,
    tiny_method,
    tiny_task,
)

# Softmax of these: (1/2, 1/4, 1/4) and (1/8, 3/4, 1/8).
P = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)
LOGITS = P.log() + 3
LABELS = torch.tensor([0, 2])


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits)
    return e / e.sum(1, keepdims=True)


def linear_parts(network: Linear, data: Batch) -> tuple[np.ndarray, ...]:
    """Weights and biases, inputs, softmax and one-hot labels of a linear network."""
    w, b = network.weight.detach().numpy().copy(), network.bias.detach().numpy().copy()
    x, labels = data.images.numpy(), data.labels.numpy()
    return w, b, x, softmax(x @ w.T + b), np.eye(3)[labels]


def test_cross_entropy_is_the_mean_negative_log_probability():
    loss = tiny_method("cross_entropy").loss(LOGITS, LABELS, torch.arange(2))
    assert loss.item() == pytest.approx((math.log(2) + math.log(8)) / 2)


@pytest.mark.parametrize("name", ["clean_only", "fine_tune"])
def test_controls_learn_from_clean_batches_by_one_step_down_their_cross_entropy(name):
    clean = batch(3)
    method = tiny_method(name, task=granted_task(clean, epochs=1))
    method.begin_epoch(0)
    if name == "fine_tune":
        method.in_stage2 = True
    w, b, x, p, y = linear_parts(method.network, clean)
    loss = method.step(Batch(torch.full((6, 4), math.nan), torch.zeros(6).long(), torch.arange(6)))
    assert loss["loss"].item() == pytest.approx(-np.log((p * y).sum(1)).mean())
    np.testing.assert_allclose(method.network.weight.detach(), w - 0.1 * (p - y).T @ x / 3)
    np.testing.assert_allclose(method.network.bias.detach(), b - 0.1 * (p - y).mean(0))


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        (1.0, [0.5, 0.875]),  # 1 - p_y, half the mean absolute error
        (0.5, [2 * (1 - math.sqrt(0.5)), 2 * (1 - math.sqrt(0.125))]),
        (0.7, [(1 - 0.5**0.7) / 0.7, (1 - 0.125**0.7) / 0.7]),
        (1e-9, [math.log(2), math.log(8)]),  # cross-entropy
    ],
)
def test_lq_lies_between_cross_entropy_and_absolute_error(q, expected):
    assert gce.lq_loss(LOGITS, LABELS, q).tolist() == pytest.approx(expected, rel=1e-6)


def test_truncated_loss_counts_kept_samples_less_the_threshold():
    # q = 1, k = 0.5: L_q(k) = 0.5; the mean is over all samples, pruned ones included.
    losses, weights = torch.tensor([0.2, 0.9, 0.4, 0.1]), torch.tensor([1.0, 0.0, 1.0, 1.0])
    loss = gce.truncated_loss(losses, weights, 1.0, 0.5)
    assert loss.item() == pytest.approx((-0.3 - 0.1 - 0.4) / 4)
    assert gce.lq_threshold(0.5, 0.25) == pytest.approx(1.0)


@pytest.mark.parametrize("truncated", [False, True])
def test_gradients_of_gce_are_finite_where_the_probability_underflows(truncated):
    logits = torch.tensor([[1000.0, 0, 0], [0, 200.0, 0]], requires_grad=True)
    method = tiny_method("gce", truncated=truncated).float()
    method.loss(logits, torch.tensor([1, 1]), torch.arange(2)).backward()
    assert logits.detach()[0].softmax(0)[1] == 0
    assert torch.isfinite(logits.grad).all()


def test_pruning_keeps_the_samples_whose_probability_is_above_k():
    data = batch(6)
    task = tiny_task(epochs=12, noisy_labels=data.labels, train_in_order=lambda: iter([data]))
    method = tiny_method("gce", task=task, truncated=True, k=0.3)
    _, _, _, p, y = linear_parts(method.network, data)
    method.begin_epoch(3)
    assert method.clean_probability().tolist() == [1.0] * 6
    method.begin_epoch(4)
    kept = (p * y).sum(1) > 0.3
    assert 0 < kept.sum() < 6
    assert method.clean_probability().tolist() == kept.astype(float).tolist()
    losses = ((1 - (p * y).sum(1) ** 0.7) - (1 - 0.3**0.7)) / 0.7
    found = method.loss(method.network(data.images), data.labels, data.index)
    assert found.item() == pytest.approx((losses * kept).mean())


def certain(probabilities: list[float]) -> Tensor:
    """Logits (B, 2) that give class 0 these probabilities."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([p, 1 - p], 1).log()


def test_each_network_learns_from_the_small_losses_of_its_peer():
    own, peer = certain([0.9, 0.5, 0.2, 0.8]), certain([0.1, 0.6, 0.7, 0.3])
    own.requires_grad_()
    loss, peer_loss, kept = co_teaching.exchange(own, peer, torch.zeros(4).long(), keep=2)
    assert kept.tolist() == [2, 1]  # what the peer finds easy
    assert loss.item() == pytest.approx(-(math.log(0.2) + math.log(0.5)) / 2)
    assert peer_loss.item() == pytest.approx(-(math.log(0.1) + math.log(0.3)) / 2)
    loss.backward()  # (p - e) / 2 on the kept samples, nothing elsewhere
    expected = [[0, 0], [-0.25, 0.25], [-0.4, 0.4], [0, 0]]
    np.testing.assert_allclose(own.grad, expected, atol=1e-15)


def test_the_kept_samples_of_the_last_visit_are_the_selection():
    data = batch(6)
    task = granted_task(epochs=3, realised_rate=0.5)
    networks = iter([Linear(4, 3), torch.nn.Linear(4, 3, dtype=torch.float64)])
    method = tiny_method("co_teaching", lambda: next(networks), task=task)
    method.begin_epoch(2)
    with torch.no_grad():
        logits = method.peer(data.images).log_softmax(1)
    losses = -logits[torch.arange(6), data.labels]
    method.step(data)
    expected = torch.zeros(6)
    expected[losses.argsort()[:3]] = 1.0
    assert method.clean_probability().tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("rate", "size", "kept"), [(0.0, 128, 128), (0.25, 16, 12), (0.4, 128, 76), (0.99, 7, 1)]
)
def test_the_kept_share_is_rounded_down_and_never_empty(rate, size, kept):
    assert co_teaching.kept_count(rate, size) == kept


def test_mw_net_descends_the_loss_under_the_weights_of_the_moved_weight_net():
    data, clean = batch(6), batch(4)
    method = tiny_method("mw_net", task=granted_task(clean), lr=0.01)
    before = copy.deepcopy(method.weight_net)
    w, b, x, p, y = linear_parts(method.network, data)
    losses = -np.log((p * y).sum(1))
    found = method.step(data)
    v = {n: t.detach().numpy() for n, t in method.weight_net.named_parameters()}
    hidden = np.maximum(losses[:, None] @ v["linear1.weight"].T + v["linear1.bias"], 0)
    weights = 1 / (1 + np.exp(-(hidden @ v["linear2.weight"].T + v["linear2.bias"])[:, 0]))
    old = before(torch.from_numpy(losses)).detach().numpy()
    assert np.abs(weights - old).min() > 1e-6
    assert found["loss"].item() == pytest.approx((weights * losses).mean())
    slope = weights[:, None] * (p - y) / 6  # not normalised by the sum of the weights
    np.testing.assert_allclose(method.network.weight.detach(), w - 0.1 * slope.T @ x)
    np.testing.assert_allclose(method.network.bias.detach(), b - 0.1 * slope.sum(0))


SOFT = torch.tensor([[0.25, 0.5, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)


def test_metalabelnets_classification_loss_is_kl_averaged_over_samples_and_classes():
    # KL(p || y) of the first sample is 1/2 log 2 - 1/4 log 2; the second one's labels are its p.
    loss = metalabelnet.classification_loss(LOGITS, SOFT)
    assert loss.item() == pytest.approx(0.25 * math.log(2) / 6, abs=1e-9)


def test_the_entropy_is_averaged_over_samples_and_classes():
    first = 0.5 * math.log(2) + 0.5 * math.log(4)
    second = 0.25 * math.log(8) + 0.75 * math.log(4 / 3)
    assert metalabelnet.entropy(LOGITS).item() == pytest.approx((first + second) / 6)


def test_entropy_cancels_in_the_loss_of_stage_2():
    parts = metalabelnet.classification_loss(LOGITS, SOFT) + metalabelnet.entropy(LOGITS)
    assert metalabelnet.stage2_loss(LOGITS, SOFT).item() == pytest.approx(parts.item(), rel=1e-14)
    cross = 0.5 * math.log(4) + 0.25 * math.log(2) + 0.25 * math.log(4)
    second = 0.25 * math.log(8) + 0.75 * math.log(4 / 3)
    assert parts.item() == pytest.approx((cross + second) / 6, abs=1e-9)


def test_a_label_of_probability_zero_costs_a_finite_amount():
    loss = metalabelnet.stage2_loss(LOGITS[:1], torch.tensor([[0.0, 1.0, 0.0]]).double())
    assert loss.item() == pytest.approx(-0.75 * math.log(1e-10) / 3)


def test_stage_2_trains_on_the_labels_of_the_moved_label_layer():
    data, clean = batch(6), batch(4)
    task = granted_task(clean, epochs=3, augmented=True)
    method = tiny_method("metalabelnet", task=task, stage2_lr_factor=2.0)
    method.begin_epoch(1)
    w, b, x, p, _ = linear_parts(method.network, data)
    old = method.label_layer.weight.detach().clone()
    found = method.step(data)
    assert not torch.equal(old, method.label_layer.weight)
    phi_w, phi_b = method.label_layer.weight.detach(), method.label_layer.bias.detach()
    cost = -np.log(softmax(x @ phi_w.numpy().T + phi_b.numpy()) + 1e-10) / 18
    assert found["loss"].item() == pytest.approx((p * cost).sum())
    slope = p * (cost - (p * cost).sum(1, keepdims=True))
    np.testing.assert_allclose(method.network.weight.detach(), w - 0.2 * slope.T @ x)
    np.testing.assert_allclose(method.network.bias.detach(), b - 0.2 * slope.sum(0))


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_the_encoder_is_the_warm_up_network_frozen_and_sees_the_classifiers_view(augment):
    case = ready(make_cell("metalabelnet", epochs=4, batch_size=64, augment=augment))
    method, ends = case.method, []
    case.train(lambda entry: ends.append(copy.deepcopy(method.network)))
    assert method.warmup_epochs == 1
    assert same_state(method.encoder, ends[0]) and not same_state(method.encoder, ends[1])
    method.train()
    assert not method.encoder.training
    data, expected = case.first_batch(), ends[0].eval()
    with torch.no_grad():
        torch.testing.assert_close(method.features(data), expected.features(data.images))
        moved = data._replace(images=data.images.flip(3))
        seen = data.images if augment == "none" else moved.images  # without views by index
        torch.testing.assert_close(method.features(moved), expected.features(seen))
