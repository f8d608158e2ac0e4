"""The gradient through one step of a network's own is that of double backward, for any network."""

from __future__ import annotations

import copy
import functools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from methods.lookahead import ThroughStep
from methods.mlnt import divergence
from tests.helpers.cells import batch
from tests.helpers.zoo import CLASSES, ONCE, ZOO, build
from tests.methods.test_lookahead_zoo import EXAMPLES, seed_all

NO_NUMBER = ("swin_v2_t",)
"""Whose padded windows are vectors of length 0, at which torch's norm has no second derivative."""
RATE = 0.3
BATCHES = 2


def losses_of(size: int) -> tuple[Tensor, functools.partial, functools.partial]:
    """Images, an inner and an outer loss."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 3, size, size, generator=generator, dtype=torch.float64)
    labels = torch.randint(CLASSES, (5,), generator=generator)
    scores = torch.randn(5, CLASSES, generator=generator, dtype=torch.float64)
    inner = functools.partial(F.cross_entropy, target=labels)
    return images, inner, functools.partial(divergence, teacher=scores.softmax(1))


def by_double_backward(network: nn.Module, images: Tensor, inner, outer) -> dict[str, Tensor]:
    theta = {name: p for name, p in network.named_parameters() if p.requires_grad}
    weights = tuple(theta.values())
    loss = inner(network(images))
    slopes = torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)
    pairs = zip(theta.items(), slopes, strict=True)
    moved = {name: p if g is None else p - RATE * g for (name, p), g in pairs}
    still = {name: buffer.clone() for name, buffer in network.named_buffers()}
    ahead = outer(functional_call(network, moved | still, (images,)))
    found = torch.autograd.grad(ahead, weights, retain_graph=True, allow_unused=True)
    return {name: g for name, g in zip(theta, found, strict=True) if g is not None}


def flat(slopes: dict[str, Tensor]) -> Tensor:
    return torch.cat([slopes[name].flatten() for name in sorted(slopes)])


def assert_exact(name: str) -> None:
    network, size = build(name)
    images, inner, outer = losses_of(size)
    other = copy.deepcopy(network)
    for step in range(BATCHES):  # what changes from pass to pass has changed
        seed_all(step)
        ahead = ThroughStep(network, images)
        after = {key: value.clone() for key, value in network.state_dict().items()}
        _, ours = ahead.slopes(inner, RATE, outer)
        seed_all(step)
        exact = by_double_backward(other, images, inner, outer)
        assert ours.keys() == exact.keys()
        known = ~flat(exact).isnan()
        assert bool(known.all()) == (name not in NO_NUMBER)
        assert torch.equal(known, ~flat(ours).isnan())
        mine, its = flat(ours)[known], flat(exact)[known]
        assert float(its.norm()) > 0
        assert float((mine - its).norm()) <= 1e-9 * float(its.norm())
        for key, value in other.state_dict().items():
            assert torch.equal(network.state_dict()[key], value), key
            assert torch.equal(after[key], value), key


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_gradient_through_a_step_of_any_network_is_that_of_double_backward(name):
    assert_exact(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in (*EXAMPLES, *ONCE)])
def test_that_of_all_others_too(name):
    assert_exact(name)


@pytest.mark.parametrize("name", ONCE[:2])
def test_a_network_that_cannot_be_differentiated_twice_is_one_sentence(name):
    network, size = build(name)
    images, inner, outer = losses_of(size)
    with pytest.raises(RuntimeError, match="needs a network that can be differentiated twice: der"):
        ThroughStep(network, images).slopes(inner, RATE, outer)


class Quadratic(nn.Module):
    """Logits theta itself: with L = sum theta^4 / 12 the Hessian is diag(theta^2)."""

    def __init__(self) -> None:
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([1.0, 2.0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.theta[None]


def test_the_hessian_is_that_of_the_inner_loss():
    ahead = ThroughStep(Quadratic(), torch.zeros(1))
    fourth = lambda z: (z**4).sum() / 12  # noqa: E731
    arguments = (fourth, 0.3, lambda z: (z**2).sum() / 2)
    # theta' = theta - 0.3 theta^3 / 3 = (0.9, 1.2) = v, and H = diag(1, 4).
    loss, slopes = ahead.slopes(*arguments)
    assert loss.item() == pytest.approx((0.81 + 1.44) / 2)
    expected = torch.tensor([0.9 - 0.3 * 0.9, 1.2 - 0.3 * 4 * 1.2])
    torch.testing.assert_close(slopes["theta"], expected)
    _, first = ahead.slopes(*arguments, second_order=False)
    torch.testing.assert_close(first["theta"], torch.tensor([0.9, 1.2]))


def test_a_loss_whose_slope_is_the_same_everywhere_has_no_hessian():
    ahead = ThroughStep(Quadratic(), torch.zeros(1))
    _, slopes = ahead.slopes(torch.sum, 0.3, lambda z: (z**2).sum() / 2)
    torch.testing.assert_close(slopes["theta"], torch.tensor([0.7, 1.7]))


class Sum(nn.Module):
    """Two parameters that are only added: autograd gives one tensor as the slope of both."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = (nn.Parameter(torch.randn(2, 3)) for _ in range(2))

    def forward(self, images: Tensor) -> Tensor:
        return self.left + self.right


@pytest.mark.parametrize("second_order", [True, False])
def test_slopes_of_several_steps_are_summed_also_where_parameters_share_theirs(second_order):
    ahead = ThroughStep(Sum(), torch.zeros(2))
    inner = [functools.partial(F.cross_entropy, target=torch.tensor(t)) for t in ([0, 1], [2, 1])]
    outer = functools.partial(divergence, teacher=torch.eye(3)[:2])
    each = [ahead.slopes(loss, 0.5, outer, second_order) for loss in inner]
    losses, total = ahead.summed_slopes(inner, 0.5, outer, second_order)
    torch.testing.assert_close(losses, torch.stack([loss for loss, _ in each]))
    for name in ("left", "right"):
        torch.testing.assert_close(total[name], each[0][1][name] + each[1][1][name])


def test_under_bf16_the_meta_pass_is_that_of_float32():
    images, labels = batch(12).images.float(), torch.arange(12) % 3
    network = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3))
    inner = functools.partial(F.cross_entropy, target=labels)
    outer = functools.partial(divergence, teacher=torch.eye(3)[labels])
    found, moved = [], []
    for mixed in (True, False):
        one = copy.deepcopy(network)
        torch.manual_seed(7)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed, cache_enabled=False):
            ahead = ThroughStep(one, images)
            found.append(flat(ahead.slopes(inner, RATE, outer)[1]))
        assert ahead.logits.dtype == (torch.bfloat16 if mixed else torch.float32)
        moved.append(one[1].num_batches_tracked)
    torch.testing.assert_close(*found)
    assert moved[0] == moved[1] == 1
