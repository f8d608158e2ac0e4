"""On a GPU: the CPU's losses, the same bits twice, and no waiting for the device in an epoch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

import methods
from datasets.batches import epoch_batches
from methods.base import Batch
from runners.provenance import ROOT
from runners.record import weights_sha256
from runners.seeds import stream
from tests.made_cells import CPU, make_cell, ready

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU"),
]
GPU = torch.device("cuda")


@pytest.fixture(autouse=True)
def arithmetic(monkeypatch):
    """Deterministic algorithms and full float32, as the protocol has them by default."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("name", methods.names())
def test_losses_on_the_gpu_are_those_of_the_cpu(name, augment):
    cell = make_cell(name, epochs=2, batch_size=64, augment=augment)
    on_cpu = ready(cell, device=CPU).train()
    on_gpu = ready(cell, device=GPU).train()
    for ours, theirs in zip(on_gpu, on_cpu, strict=True):
        assert ours["train"] == pytest.approx(theirs["train"], abs=1e-4)


@pytest.mark.parametrize("name", methods.names())
def test_a_cell_on_the_gpu_is_the_same_bits_twice(name):
    cell = make_cell(name, epochs=3, batch_size=64, augment="crop_flip")
    runs = [ready(cell, device=GPU) for _ in range(2)]
    for run in runs:
        run.train()
    assert weights_sha256(runs[0].method.network) == weights_sha256(runs[1].method.network)


@pytest.mark.parametrize("name", methods.names())
def test_no_step_waits_for_the_device(name):
    cell = make_cell(name, epochs=3, batch_size=64, augment="crop_flip")
    run = ready(cell, device=GPU)
    run.train()  # past the warm-up, everything allocated and traced
    run.method.train()
    rng = stream("order", cell.dataset, cell.seed, 2)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for parts in epoch_batches(run.sets.train, rng, 64, "crop_flip"):
            run.method.step(Batch(*parts))
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ["metalabelnet", "co_teaching"])
def test_the_pool_and_the_main_process_leave_the_same_bits(name, tmp_path):
    study = tmp_path / "gpu.yaml"
    study.write_text(
        "study: gpu\naxes: {dataset: simulated, noise: {name: symmetric, rate: 0.4}, "
        f"method: {name}, seed: 2}}\nprotocol: {{epochs: 2, batch_size: 64}}\n"
    )
    weights = []
    for workers in ("0", "2"):
        results = tmp_path / workers
        run = run_grid(study, "--device", "cuda", "--workers", workers, "--results", results)
        assert run.returncode == 0, run.stderr
        records = sorted((results / "gpu" / "cells").glob("*/record.json"))
        weights.append([json.loads(path.read_text())["final_weights_sha256"] for path in records])
    assert len(weights[0]) == 2 and weights[0] == weights[1]


def run_grid(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / "runners" / "run_grid.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)
