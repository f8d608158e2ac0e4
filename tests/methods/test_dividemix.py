"""DivideMix: its formulas by hand, its division, and what each stage learns from."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import dividemix, mixup, semi_supervised
from methods.base import Batch
from tests.helpers.cells import Linear, batch, tiny_method, tiny_task

P = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.75, 0.125]], dtype=torch.float64)


class Noted:
    """A sampler of the first chosen samples of a batch, in two views; notes what it is told."""

    size = 2

    def __init__(self, data: Batch) -> None:
        self.data, self.chosen = data, []

    def choose(self, weights: Tensor) -> None:
        assert weights.dtype == torch.bool and weights.any()
        self.chosen.append(weights.clone())

    def next(self) -> Batch:
        index = self.chosen[-1].nonzero().flatten()[[0, -1]]
        images = self.data.images[index]
        return Batch(images, self.data.labels[index], index, (images + 0.5,))


def made(epochs: int = 10, **hparams) -> tuple[dividemix.DivideMix, Batch]:
    """The method on twelve samples with two different networks, and all of these as a batch."""
    data = batch(12)
    torch.manual_seed(8)
    networks = iter([Linear(4, 3), nn.Linear(4, 3, dtype=torch.float64)])
    task = tiny_task(
        n_train=12,
        epochs=epochs,
        steps_per_epoch=2,
        noisy_labels=data.labels,
        train_in_order=lambda: iter([data]),
        sampler=lambda name: Noted(data),
    )
    return tiny_method("dividemix", lambda: next(networks), task=task, **hparams), data


def test_targets_are_sharpened_mixtures_of_labels_and_predictions():
    squares = P**2
    torch.testing.assert_close(
        semi_supervised.sharpened(P, 0.5), squares / squares.sum(1, keepdim=True)
    )
    certain = semi_supervised.sharpened(torch.eye(3)[:1].double(), 0.5)
    assert certain.tolist() == [[1, 0, 0]]
    given = torch.eye(3).double()[:2]
    found = semi_supervised.refined(given, P, torch.tensor([0.2, 1.0]))
    torch.testing.assert_close(found[0], 0.2 * given[0] + 0.8 * P[0])
    assert torch.equal(found[1], given[1])
    mean = semi_supervised.mean_prediction([P.log(), P.flip(1).log() + 3])
    torch.testing.assert_close(mean, (P + P.flip(1)) / 2)


def test_the_parts_of_the_loss():
    targets = torch.eye(3).double()[:2]
    squared = (0.25 + 2 * 0.0625 + 0.0625 + 2 / 64) / 6
    assert semi_supervised.squared_error(P.log(), targets).item() == pytest.approx(squared)
    mean = np.array([0.3125, 0.5, 0.1875])
    balance = (np.log(1 / 3 / mean) / 3).sum()
    assert semi_supervised.class_balance(P.log()).item() == pytest.approx(balance)
    gone = torch.tensor([[0.0, -1e9, 0.0]])
    assert torch.isfinite(semi_supervised.class_balance(gone))
    entropy = (P * P.log()).sum(1).mean().item()
    assert semi_supervised.negative_entropy(P.log()).item() == pytest.approx(entropy)
    ramp = [semi_supervised.linear_ramp(epoch, 2, 4) for epoch in (0, 2, 3, 5.5, 6, 9)]
    assert ramp == [0, 0, 0.25, 0.875, 1, 1]


def test_the_lower_of_two_heaps_of_losses_is_the_clean_one():
    rng = np.random.default_rng(0)
    low, high = rng.normal(0.1, 0.02, 60), rng.normal(0.8, 0.05, 40)
    values = np.concatenate([low, high])
    fit = semi_supervised.fit_mixture(values, seed=3)
    clean = semi_supervised.lower_component(fit, values)
    assert (clean[:60] > 0.99).all() and (clean[60:] < 0.01).all()
    split = semi_supervised.fit_mixture(values, 0, split=(values > 0.5).astype(int))
    np.testing.assert_allclose(semi_supervised.lower_component(split, values), clean, atol=1e-12)


def test_losses_that_are_equal_or_no_numbers_are_divided_all_the_same():
    for losses in (torch.full((9,), 2.0), torch.tensor([1.0, math.nan, 3.0])):
        values = semi_supervised.normalised(losses)
        assert ((values >= 0) & (values <= 1)).all()
        numbers = values.double().numpy()
        fit = semi_supervised.fit_mixture(numbers, 0)
        assert np.isfinite(semi_supervised.lower_component(fit, numbers)).all()
    assert semi_supervised.normalised(torch.tensor([1.0, 3.0, 2.0])).tolist() == [0, 1, 0.5]


def divided(method: dividemix.DivideMix, data: Batch) -> list[np.ndarray]:
    """w of each network by its own losses (12,), with the seeds of a fresh stream."""
    rng, clean = np.random.default_rng(0), []
    for network in method.both:
        with torch.no_grad():
            logits = network(data.images)
        losses = F.cross_entropy(logits, data.labels, reduction="none")
        values = ((losses - losses.min()) / (losses.max() - losses.min())).numpy()
        fit = semi_supervised.fit_mixture(values, int(rng.integers(2**31)))
        clean.append(semi_supervised.lower_component(fit, values))
    return clean


def test_each_network_learns_from_the_division_of_the_other():
    method, data = made(warmup=0.2, p_threshold=0.6)
    assert method.warmup_epochs == 2
    method.begin_epoch(1)
    assert torch.equal(method.clean_probability(), torch.ones(12).double())
    method.begin_epoch(2)
    clean = divided(method, data)
    np.testing.assert_allclose(method.clean, np.stack(clean))
    np.testing.assert_allclose(method.clean_probability(), np.mean(clean, 0))
    masks = [torch.from_numpy(w > 0.6) for w in clean]
    assert not torch.equal(*masks) and all(0 < m.sum() < 12 for m in masks)
    for k in range(2):
        (labelled,), (unlabelled,) = method.labelled[k].chosen, method.unlabelled[k].chosen
        assert torch.equal(labelled, masks[1 - k]) and torch.equal(unlabelled, ~masks[1 - k])
    predicted = sum(network(data.images).softmax(1) for network in method.both) / 2
    trust = torch.from_numpy(np.mean(clean, 0)).unsqueeze(1)
    labels = trust * F.one_hot(data.labels, 3) + (1 - trust) * predicted
    labels = labels**2 / (labels**2).sum(1, keepdim=True)
    torch.testing.assert_close(method.corrected_labels(), labels)


def test_every_mixture_of_losses_is_fitted_with_a_seed_of_the_cell(monkeypatch):
    method, _ = made(warmup=0.1)
    seeds, fit = [], dividemix.fit_mixture

    def noted(values, seed):
        seeds.append(seed)
        return fit(values, seed)

    monkeypatch.setattr(dividemix, "fit_mixture", noted)
    method.divide()
    method.divide()
    rng = np.random.default_rng(0)
    assert seeds == [int(rng.integers(2**31)) for _ in range(4)]


def test_shares_of_mixtures_are_beta_draws_of_a_half_or_more_each_network_its_own():
    shares, keys = mixup.draws_for_two(np.random.default_rng(1), 4.0, 2000, 3)
    assert keys.shape == (2, 2000, 3) and not torch.equal(keys[0], keys[1])
    assert shares[0] != shares[1] and min(shares[0] + shares[1]) >= 0.5
    spread = ((np.array(shares) - 0.5) ** 2).mean()
    assert spread == pytest.approx(1 / 36, rel=0.1)  # the variance of Beta(4, 4)
    method, _ = made(alpha=1e3)
    method.begin_epoch(1)
    assert max(method.shares[0] + method.shares[1]) < 0.6


@pytest.mark.parametrize("everybody", [0.0, 1.0])
def test_a_division_with_an_empty_side_labels_the_half_with_the_smaller_losses(everybody):
    method, _ = made()
    losses = torch.tensor([5.0, 1, 4, 2, 3, 0])
    found = method.chosen(torch.full((6,), everybody), losses)
    assert found.tolist() == [False, True, False, True, False, True]


def test_losses_of_the_last_divisions_are_averaged_if_asked():
    method, _ = made(warmup=0.1, average_epochs=2)
    seen = []
    for epoch in range(1, 4):
        method.begin_epoch(epoch)
        seen.append(method.losses[0, -1].clone())
        for network in method.both:
            network.weight.data.mul_(-0.7)
        last = torch.stack(seen[-2:]).mean(0)
        torch.testing.assert_close(method.mean_losses()[0], last)
    assert not torch.equal(seen[0], seen[1])


def test_the_warm_up_is_cross_entropy_with_an_entropy_penalty_if_asked():
    for asked in (False, True):
        method, data = made(entropy_penalty=asked)
        method.begin_epoch(0)
        expected = []
        for network in method.both:
            log_p = network(data.images).log_softmax(1)
            entropy = (log_p.exp() * log_p).sum(1).mean()
            expected.append(F.nll_loss(log_p, data.labels) + asked * entropy)
        slope = torch.autograd.grad(expected[1], method.peer.weight)[0]
        before = method.peer.weight.detach().clone()
        logged = method.step(data)
        found = [logged["loss"].item(), logged["peer_loss"].item()]
        assert found == pytest.approx([loss.item() for loss in expected])
        torch.testing.assert_close(method.peer.weight.detach(), before - 0.1 * slope)


def mixmatch(method: dividemix.DivideMix, k: int, weight: float) -> Tensor:
    """The loss of network k by the paper's algorithm, from the batches of its samplers."""
    x, u = method.labelled[k].next(), method.unlabelled[k].next()
    own, other = method.both[k], method.both[1 - k]
    w = method.clean[1 - k][x.index].unsqueeze(1)
    with torch.no_grad():
        p = (own(x.views[0]).softmax(1) + own(x.views[1]).softmax(1)) / 2
        q = sum(net(view).softmax(1) for net in (own, other) for view in u.views) / 4
    refined, guessed = ((w * F.one_hot(x.labels, 3) + (1 - w) * p) ** 2), q**2
    refined = refined / refined.sum(1, keepdim=True)
    guessed = guessed / guessed.sum(1, keepdim=True)
    targets, images = torch.cat([refined] * 2 + [guessed] * 2), torch.cat([*x.views, *u.views])
    share, order = method.shares[k][0], method.keys[k, 0].argsort()
    assert 0.5 <= share <= 1 and len(order) == 8
    targets = share * targets + (1 - share) * targets[order]
    log_p = own(share * images + (1 - share) * images[order]).log_softmax(1)
    fit = -(targets[:4] * log_p[:4]).sum(1).mean()
    apart = ((log_p[4:].exp() - targets[4:]) ** 2).mean()
    balance = -(3 * log_p.exp().mean(0)).log().mean()
    return fit + weight * apart + balance


def test_after_the_warm_up_both_networks_learn_by_mixmatch_and_not_from_the_batch():
    method, data = made(warmup=0.1, ramp=0.4, lambda_u=20.0)
    method.begin_epoch(2)  # a quarter of the four epochs of the ramp
    expected = [mixmatch(method, k, 5.0) for k in range(2)]
    slopes = [
        torch.autograd.grad(loss, network.weight)[0]
        for loss, network in zip(expected, method.both, strict=True)
    ]
    before = [network.weight.detach().clone() for network in method.both]
    nothing = Batch(data.images * math.nan, data.labels, data.index)
    logged = method.step(nothing)
    found = [logged["loss"].item(), logged["peer_loss"].item()]
    assert found == pytest.approx([loss.item() for loss in expected])
    for network, start, slope in zip(method.both, before, slopes, strict=True):
        torch.testing.assert_close(network.weight.detach(), start - 0.1 * slope)
    assert method.weight() == 20 * 1.5 / 4  # the second of two steps


class Modes(Linear):
    """Notes in which mode it is called."""

    def __init__(self) -> None:
        super().__init__(4, 3)
        self.seen: list[bool] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(self.training)
        return super().forward(x)


def test_the_network_that_learns_predicts_in_training_mode_and_the_other_one_does_not():
    method, _ = made(warmup=0.1)
    method.network, method.peer = Modes().double(), Modes().double()
    method.begin_epoch(1)
    assert not any(method.network.seen + method.peer.seen)  # the division
    method.network.seen.clear()
    method.peer.seen.clear()
    method.mixmatch_loss(0)
    assert method.network.seen == [True] * 5 and method.peer.seen == [False] * 2
    assert method.peer.training
