"""Methods with two networks: numbers worked out by hand, and each stage and memory by itself."""

from __future__ import annotations

import fnmatch
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from methods import co_teaching_plus
from tests import check_reference
from tests.helpers.cells import Linear, batch, granted_task, same_state, tiny_method
from tests.methods.test_reference import SHARED
from tests.vector_checks.two_networks import NOT_COMPARED


def two_different() -> callable:
    """A source of two float64 linear networks 4 -> 3 with different weights."""
    torch.manual_seed(8)
    networks = iter([Linear(4, 3), nn.Linear(4, 3, dtype=torch.float64)])
    return lambda: next(networks)


def certain(probabilities: list[float]) -> Tensor:
    """Logits (B, 2) that give class 0 these probabilities."""
    p = torch.tensor(probabilities, dtype=torch.float64)
    return torch.stack([p, 1 - p], 1).log()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the official vectors are not on this machine")
@pytest.mark.parametrize("kind", NOT_COMPARED)
def test_every_quantity_of_an_official_file_is_compared_or_listed_with_a_reason(kind):
    (path,) = SHARED.glob(f"{kind}*.npz")
    compared, listed = check_reference.differences(path), NOT_COMPARED[kind]
    for name in np.load(path).files:
        excused = any(fnmatch.fnmatchcase(name, pattern) for pattern in listed)
        assert (name in compared) != excused, name


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
