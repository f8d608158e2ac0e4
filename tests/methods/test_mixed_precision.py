"""`protocol.amp: bf16` trains in bfloat16, plain methods and those with a look-ahead."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.cells import make_cell, ready

METHODS = ["cross_entropy", "mw_net", "metalabelnet"]


@pytest.mark.parametrize("name", METHODS)
def test_bf16_trains_to_losses_near_those_of_float32_and_keeps_its_weights_in_float32(name):
    cells = [make_cell(name, epochs=2, batch_size=64, amp=amp) for amp in ("none", "bf16")]
    runs = [ready(cell) for cell in cells]
    plain, mixed = (run.train() for run in runs)
    for ours, theirs in zip(mixed, plain, strict=True):
        assert ours["train"] != theirs["train"]  # bfloat16 was used, in every epoch
        assert ours["train"]["loss"] == pytest.approx(theirs["train"]["loss"], rel=0.05)
    kinds = {tensor.dtype for tensor in runs[1].method.state_dict().values()}
    assert kinds <= {torch.float32, torch.int64}


@pytest.mark.parametrize("name", METHODS)
def test_bf16_gives_the_same_bits_twice(name):
    cell = make_cell(name, epochs=2, batch_size=64, amp="bf16")
    first, second = (ready(cell).train() for _ in range(2))
    assert [entry["train"] for entry in first] == [entry["train"] for entry in second]


def test_the_mean_of_an_epoch_is_that_of_all_steps_however_many_log_in_bf16():
    run = ready(make_cell("cross_entropy", epochs=1, batch_size=4, amp="bf16"))
    logged, step = [], run.method.step

    def noting(batch):
        logged.append(step(batch)["loss"].bfloat16())
        return {"loss": logged[-1]}

    run.method.step = noting
    (entry,) = run.train()
    assert len(logged) > 100  # in bfloat16 their sum would be off by a percent
    assert entry["train"]["loss"] == pytest.approx(torch.stack(logged).double().mean().item())
