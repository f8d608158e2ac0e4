"""Methods with two networks: numbers worked out by hand, and each stage and memory by itself."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import co_teaching_plus, elr_plus
from tests.helpers.cells import Linear, batch, granted_task, same_state, tiny_method


def two_different() -> callable:
    """A source of two float64 linear networks 4 -> 3 with different weights."""
    torch.manual_seed(8)
    networks = iter([Linear(4, 3), nn.Linear(4, 3, dtype=torch.float64)])
    return lambda: next(networks)


def certain(probabilities: list[float]) -> Tensor:
    """Logits (B, 2) that give class 0 these probabilities."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([p, 1 - p], 1).log()


OWN, PEER = [0.9, 0.6, 0.2, 0.8, 0.3, 0.7], [0.1, 0.7, 0.7, 0.3, 0.4, 0.2]


def test_of_the_samples_that_divide_them_each_network_learns_what_its_peer_finds_easy():
    own, peer = certain(OWN).requires_grad_(), certain(PEER).requires_grad_()
    apart = co_teaching_plus.disagreement(own, peer)
    assert apart.nonzero().flatten().tolist() == [0, 2, 3, 5]
    labels = torch.zeros(6).long()
    loss, peer_loss, kept = co_teaching_plus.exchange_among(apart, own, peer, labels, 0.4, False)
    assert kept.nonzero().flatten().tolist() == [2, 3]  # int(0.6 * 4), by the peer's p
    assert loss.item() == pytest.approx(-(math.log(0.2) + math.log(0.8)) / 2)
    assert peer_loss.item() == pytest.approx(-(math.log(0.1) + math.log(0.3)) / 2)
    (found,) = torch.autograd.grad(loss, own)  # (p - e) / 2 on the kept samples, nothing elsewhere
    assert found[:, 0].tolist() == pytest.approx([0, 0, -0.4, -0.1, 0, 0])


def test_where_the_share_leaves_none_all_disagreeing_samples_are_kept():
    apart = torch.tensor([False, True, False, False, True, False])
    found = co_teaching_plus.exchange_among(
        apart, certain(OWN), certain(PEER), torch.zeros(6).long(), 0.6, False
    )
    assert torch.equal(found[2], apart)  # int(0.4 * 2) = 0
    assert found[0].item() == pytest.approx(-(math.log(0.6) + math.log(0.3)) / 2)


def test_a_batch_without_disagreement_teaches_all_of_it_early_and_nothing_later():
    nobody, labels = torch.zeros(6, dtype=torch.bool), torch.zeros(6).long()
    own, peer = certain(OWN).requires_grad_(), certain(PEER)
    early = co_teaching_plus.exchange_among(nobody, own, peer, labels, 0.4, True)
    assert early[0].item() == pytest.approx(-np.log(OWN).mean())
    assert early[1].item() == pytest.approx(-np.log(PEER).mean())
    late = co_teaching_plus.exchange_among(nobody, own, peer, labels, 0.4, False)
    assert late[0].item() == late[1].item() == 0 and not late[2].any()
    (slope,) = torch.autograd.grad(late[0], own)
    assert not slope.any()


def test_co_teaching_plus_is_co_teaching_first_and_then_looks_at_disagreement():
    task, data = granted_task(epochs=10), batch(6)
    shared = {"task": task, "ramp": 0.1}
    plus = tiny_method("co_teaching_plus", two_different(), warmup=0.3, whole=0.5, **shared)
    plain = tiny_method("co_teaching", two_different(), **shared)
    assert plus.warmup_epochs == 3
    for epoch in range(3):
        for method in (plus, plain):
            method.begin_epoch(epoch)
            method.step(data)
        assert plus.early and same_state(plus, plain)
    before = plus.kept.clone()
    plus.begin_epoch(3)
    assert plus.early and plus.forget_rate == pytest.approx(0.4)
    logits, peer_logits = plus.network(data.images), plus.peer(data.images)
    apart = logits.argmax(1) != peer_logits.argmax(1)
    assert 1 < apart.sum() < 6
    expected = co_teaching_plus.exchange_among(
        apart, logits, peer_logits, data.labels, 0.4, plus.early
    )
    logged = plus.step(data)
    assert logged["loss"].item() == pytest.approx(expected[0].item())
    assert logged["peer_loss"].item() == pytest.approx(expected[1].item())
    assert logged["disagreement"].item() == pytest.approx(apart.double().mean().item())
    # Who agrees was not ranked, so the judgement of the last visit stands.
    assert torch.equal(plus.kept[~apart], before[~apart])
    assert torch.equal(plus.kept[apart] > 0, expected[2][apart]) and not expected[2][apart].all()
    plus.begin_epoch(5)
    assert not plus.early


def test_ramps_and_decays_rise_to_their_value_and_stay():
    assert elr_plus.ramp_up(5, 10) == pytest.approx(math.exp(-5 / 4))
    assert elr_plus.ramp_up(10, 10) == elr_plus.ramp_up(99, 10) == elr_plus.ramp_up(1, 0) == 1
    assert elr_plus.average_decay(4, 0.9, 10) == pytest.approx(0.9 * math.exp(-5 / 4))
    assert [elr_plus.average_decay(step, 0.9, 0) for step in (1, 4, 99)] == [0.5, 0.8, 0.9]


def test_steps_of_elr_plus_are_shares_of_the_run_and_gamma_is_that_of_an_epoch():
    task = granted_task(epochs=10, steps_per_epoch=176)
    method = tiny_method("elr_plus", task=task, ramp=0.2, gamma_ramp=0.5, gamma=0.9)
    assert (method.ramp_steps, method.gamma_steps) == (352, 880)
    assert method.gamma == pytest.approx(0.9 * 0.9)  # half as many steps an epoch as the paper's


def test_elr_plus_takes_targets_from_the_other_networks_average_on_unmixed_images():
    data, task = batch(6), granted_task(epochs=4)
    settings = {"beta": 0.6, "lam": 2.0, "gamma": 0.9, "gamma_ramp": 0.0, "ramp": 1.0}
    method = tiny_method("elr_plus", two_different(), task=task, **settings)
    method.gamma = 0.9
    with torch.no_grad():  # so that averages are not what their networks are
        method.average.weight.mul_(-1)
        method.peer_average.weight.mul_(0.5)
    method.begin_epoch(0)
    assert method.keys.shape == (2, 1, 6) and all(0.5 <= s[0] <= 1 for s in method.shares)
    assert method.shares[0] != method.shares[1]
    x, given = data.images, F.one_hot(data.labels, 3).double()
    networks, averages = (method.network, method.peer), (method.average, method.peer_average)
    expected, start = (
        [],
        [(n.weight.clone(), a.weight.clone()) for n, a in zip(networks, averages, strict=True)],
    )
    stores = []
    for k, network in enumerate(networks):
        share, order = method.shares[k][0], method.keys[k, 0].argsort()
        targets = 0.4 * averages[1 - k](x).softmax(1)
        y, t, z = (share * v + (1 - share) * v[order] for v in (given, targets, x))
        log_p = network(z).log_softmax(1)
        term = torch.log(1 - (t * log_p.exp()).sum(1)).mean()
        weight = 2 * math.exp(-5 * 0.75**2)  # the first of four steps
        expected.append((weight * term - (y * log_p).sum(1).mean()).item())
        stores.append(targets)
    logged = method.step(data)
    assert [logged["loss"].item(), logged["peer_loss"].item()] == pytest.approx(expected)
    torch.testing.assert_close(method.targets, stores[0])
    torch.testing.assert_close(method.peer_targets, stores[1])
    for (before, mean), network, average in zip(start, networks, averages, strict=True):
        assert not torch.equal(network.weight, before)
        torch.testing.assert_close(average.weight, 0.5 * mean + 0.5 * network.weight)
    method.begin_epoch(1)
    other = averages[1](x).softmax(1)
    method.step(data)
    torch.testing.assert_close(method.targets, 0.6 * stores[0] + 0.4 * other)
    corrected = method.corrected_labels()
    torch.testing.assert_close(corrected, method.targets / method.targets.sum(1, keepdim=True))


def test_labels_times_targets_are_normalised_again():
    method = tiny_method("elr_plus", labels_times_targets=True, lam=1.0)
    p = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64)
    labels, targets = (
        torch.tensor([row], dtype=torch.float64) for row in ([0.8, 0.2, 0], [0.1, 0.6, 0.1])
    )
    found = method.plus_loss(p.log(), labels, targets).item()
    # 0.08 and 0.12 become 0.4 and 0.6
    fit = 0.4 * math.log(2) + 0.6 * math.log(4)
    assert found == pytest.approx(fit + math.log(1 - 0.05 - 0.15 - 0.025))
