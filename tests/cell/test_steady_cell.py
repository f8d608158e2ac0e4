"""The cell by which a GPU is compared with the CPU measures their difference and nothing else."""

from __future__ import annotations

import pytest
import torch

import methods
from tests.helpers.cells import CPU, ready, steady_cell

ASIDE = 1e-6
"""Relative; rounding of float32 is 6e-8."""


def losses(name: str, augment: str, seed: int | None) -> list[dict]:
    """What is logged in each epoch; with a seed, all weights start a little aside."""
    run = ready(steady_cell(name, augment), device=CPU)
    if seed is not None:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in run.method.parameters():
                weight.mul_(1 + ASIDE * torch.randn(weight.shape, generator=generator))
    return [entry["train"] for entry in run.train()]


@pytest.mark.slow
@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("name", methods.names())
def test_weights_that_start_a_little_aside_do_not_move_the_losses_of_the_steady_cell(name, augment):
    expected = losses(name, augment, None)
    for seed in range(3):
        moved = losses(name, augment, seed)
        for ours, theirs in zip(moved, expected, strict=True):
            assert ours == pytest.approx(theirs, abs=5e-5)  # half of the limit there
