"""Nothing that a cell does reaches the next one, and no spoilt network is a result."""

from __future__ import annotations

import subprocess

import pytest
import torch

from runners.cell.build import set_arithmetic
from runners.cell.trainer import Diverged
from runners.results import provenance
from tests.helpers.cells import CPU, make_cell, ready


def test_torchs_global_settings_are_those_of_the_cell():
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_float32_matmul_precision("medium")
    torch.use_deterministic_algorithms(True)
    torch.set_autocast_enabled("cpu", True)
    set_arithmetic(make_cell("cross_entropy").protocol, CPU)
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.is_autocast_enabled("cpu")


def test_weights_that_the_last_update_spoils_are_no_result():
    run = ready(make_cell("cross_entropy", epochs=1))
    step, left = run.method.step, [run.method.task.steps_per_epoch]

    def spoiling(batch):
        logged = step(batch)
        left[0] -= 1
        if left[0] == 0:
            with torch.no_grad():
                next(run.method.network.parameters())[0] = float("nan")
        return logged

    run.method.step = spoiling
    with pytest.raises(Diverged, match="the weights are not finite after the last epoch"):
        run.train()


def test_the_commit_is_that_of_the_suite_whatever_git_was_told(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    provenance.git_state.cache_clear()
    before = provenance.git_state()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    provenance.git_state.cache_clear()
    assert provenance.git_state() == before
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    (tmp_path / "inside").mkdir()
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "inside")  # of a repository that is another
    provenance.git_state.cache_clear()
    assert provenance.git_state() == (None, None)
    provenance.git_state.cache_clear()
