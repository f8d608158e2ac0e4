"""A look-ahead is exact for any network: values, gradients, buffers and the tangent."""

from __future__ import annotations

import copy
import random
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.lookahead import LookAhead
from runners.speed.double_backward import double_backward
from tests.helpers.zoo import CLASSES, ONCE, ZOO, build

PASSES = 4
"""So that tangents by rules are used where they were found right, and what changes has changed."""
EXAMPLES = [
    *("no_grad", "reversed_gradient", "python_depth", "numpy_depth", "torch_dropout", "changing"),
    *("added_in_place", "in_place_on_an_alias", "offset", "tied", "unused_parameter", "frozen"),
    *("forward_hook", "running_mean", "residual", "scaled_addition", "transformer_dropout"),
    *("spectral_norm", "batch_cumulative", "blocks"),
]
"""Those that every run of the tests looks at."""
assert set(EXAMPLES) <= set(ZOO) and len(set(ZOO) - set(ONCE)) >= 100


def seed_all(number: int) -> None:
    torch.manual_seed(number)
    np.random.seed(number)  # noqa: NPY002
    random.seed(number)


def meta_gradients(name: str) -> list[tuple[Tensor, Tensor]]:
    """Of some steps of training the gradient of a label layer: ours and that of double backward."""
    network, size = build(name)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 3, size, size, generator=generator, dtype=torch.float64)
    clean = torch.randn(4, 3, size, size, generator=generator, dtype=torch.float64)
    truth = torch.randint(CLASSES, (4,), generator=generator)
    scores = torch.randn(5, CLASSES, generator=generator, dtype=torch.float64, requires_grad=True)
    pairs = []
    for step in range(PASSES):
        other = copy.deepcopy(network)
        seed_all(step)
        look = LookAhead(network, images)
        soft = scores.softmax(1)
        inner = F.cross_entropy(look.logits, soft.detach())
        tangent = look.tangent(inner, 0.1, clean, truth)
        p = look.logits.detach().softmax(1)
        # d/dphi < g, grad L > with L = -mean(soft log p): the tangent of log p.
        moved = tangent - (p * tangent).sum(1, keepdim=True)
        (ours,) = torch.autograd.grad(0.1 * (soft * moved).sum(1).mean(), scores)
        seed_all(step)
        logits = other(images)
        assert torch.equal(look.logits, logits)
        expected = F.cross_entropy(logits, scores.softmax(1))
        (exact,) = double_backward(other, expected, 0.1, clean, truth, (scores,))
        pairs.append((ours, exact))
        for key, value in other.state_dict().items():
            assert torch.equal(network.state_dict()[key], value), key
        torch.optim.SGD(network.parameters(), 0.01).zero_grad()
        inner.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter -= 0.01 * parameter.grad
    return pairs


def assert_exact(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pairs = meta_gradients(name)
    assert any(float(exact.norm()) > 0 for _, exact in pairs)
    for ours, exact in pairs:
        assert float((ours - exact).norm()) <= 1e-9 * float(exact.norm())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_meta_gradient_of_any_network_is_that_of_double_backward(name):
    assert_exact(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in ZOO if name not in (*EXAMPLES, *ONCE)])
def test_the_meta_gradient_of_all_others_too(name):
    assert_exact(name)


@pytest.mark.parametrize("name", ONCE[:2])
def test_a_network_that_cannot_be_differentiated_twice_is_one_sentence(name):
    network, size = build(name)
    images, truth = torch.randn(4, 3, size, size, dtype=torch.float64), torch.arange(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        look = LookAhead(network, images)
    with pytest.raises(RuntimeError, match="needs a network that can be differentiated twice: der"):
        look.tangent(F.cross_entropy(look.logits, truth), 0.1, images, truth)
