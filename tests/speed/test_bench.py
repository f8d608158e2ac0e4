"""Every method can be timed for as many steps as are asked for."""

from __future__ import annotations

import pytest
import torch

import methods
from runners.speed.bench import Bench

STEPS = 6


@pytest.mark.parametrize("name", methods.names())
def test_a_method_makes_as_many_steps_as_are_asked_for(name):
    bench = Bench(name, "", "float32", "small_cnn", torch.device("cpu"), STEPS, batch=8)
    for _ in range(STEPS - 1):
        bench.step()
    before = [parameter.clone() for parameter in bench.method.parameters()]
    bench.step()
    after = list(bench.method.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))
