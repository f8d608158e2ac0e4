"""On a GPU: the CPU's losses, the same bits twice, and one wait for the device an epoch."""

from __future__ import annotations

import contextlib
import json
import linecache
import subprocess
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
import torch

import methods
from methods.lookahead.traced import CHECKS
from runners.cell.crops import crops_of, cut_batch, cut_one, draw_crops
from runners.cell.record import weights_sha256
from runners.results.provenance import ROOT
from tests.helpers.cells import CPU, make_cell, ready, steady_cell
from tests.helpers.interruptions import NAMES, assert_same, cell_of, interrupted

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
    cell = steady_cell(name, augment)
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


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize(
    ("name", "hparams"), [*((name, {}) for name in methods.names()), ("gce", {"truncated": True})]
)
def test_an_epoch_waits_for_the_device_once_to_fetch_its_numbers(name, hparams, augment):
    cell = make_cell(name, epochs=3, batch_size=64, augment=augment, hparams=hparams)
    run = ready(cell, device=GPU)
    torch.cuda.synchronize()
    epochs = []
    with reported_waits() as waits:
        run.train(on_epoch=lambda entry: epochs.append(places(waits)))
    epochs = [[wait for wait in waits if not is_of_fit(wait)] for waits in epochs]
    assert [len(waits) for waits in epochs] == [1, 1, 1], epochs
    assert all("evaluation.py" in wait and ".tolist()" in wait for (wait,) in epochs), epochs


def is_of_fit(wait: str) -> bool:
    """Whether a wait is that of a fit on the host before an epoch: a mixture, a matrix."""
    fits = ("dividemix.py", "mean_losses().cpu()"), ("forward_estimated.py", "probabilities.cpu()")
    return any(file in wait and code in wait for file, code in fits)


@pytest.mark.parametrize("augment", ["crop_flip_vflip", "resized_crop_flip"])
def test_crops_are_those_of_the_threads(augment):
    images = torch.randint(0, 256, (32, 3, 64, 80), dtype=torch.uint8)
    views = draw_crops(np.random.default_rng(0), 32, augment)
    crops = crops_of(views, np.full((32, 2), [64, 80]), 48)
    one_by_one = zip(images, crops.boxes.tolist(), crops.flips.tolist(), strict=True)
    expected = torch.stack([cut_one(*image, 48) for image in one_by_one])
    made = cut_batch(images.to(GPU), crops, 48).cpu()
    apart = (made.int() - expected.int()).abs()
    assert apart.max() <= (1 if augment == "resized_crop_flip" else 0)


@contextlib.contextmanager
def reported_waits() -> Iterator[list[warnings.WarningMessage]]:
    """Inside, the list gains one warning each time that the process waits for the GPU."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield caught
        finally:
            torch.cuda.set_sync_debug_mode("default")


def places(waits: list[warnings.WarningMessage]) -> list[str]:
    """Takes the warnings out of the list; returns file and code of those that tell of a wait."""
    found = [w for w in waits if "called a synchronizing CUDA operation" in str(w.message)]
    waits.clear()
    said = [f"{w.filename}:{w.lineno} {linecache.getline(w.filename, w.lineno)}" for w in found]
    compared = [s for s in said if "traced.py" in s and "(tangent - expected).norm()" in s]
    # The first tangents of a network, and no others, are compared with plain autograd.
    assert len(compared) <= CHECKS
    return [s for s in said if s not in compared]


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["between steps", "between epochs"])
@pytest.mark.parametrize("name", NAMES)
def test_a_cell_that_was_cut_off_goes_on_to_the_same_bits(name, seconds, tmp_path):
    cell = cell_of(name)
    whole = ready(cell, device=GPU)
    history = whole.train()
    for k in (1, 2, 3):
        resumed = interrupted(cell, tmp_path / f"{k}.pt", k, 1, seconds, GPU)
        assert_same(*resumed, whole, history)


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
