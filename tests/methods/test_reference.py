"""The suite's losses and steps agree with vectors, and a disagreement is not overlooked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import check_reference, make_vectors

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "tests" / "vectors"
SHARED = ROOT.parent / "shared" / "reference"
SHIPPED = sorted(VECTORS.glob("*.npz"))
INPUTS = {
    "gce": {"logits", "labels", "q", "k"},
    "co_teaching": {"logits_1", "logits_2", "labels", "is_clean", "forget_rate"},
    "mw_net": {"x", "y", "x_meta", "y_meta", "inner_lr"},
    "metalabelnet": {"x", "x_meta", "y_meta", "inner_lr"},
}


def run_check(monkeypatch, folder: Path) -> int:
    monkeypatch.setattr(sys, "argv", ["check_reference.py", str(folder)])
    return check_reference.main()


def test_the_command_passes_on_the_shipped_vectors_and_names_each_file(tmp_path):
    run = subprocess.run(
        [sys.executable, ROOT / "tests" / "check_reference.py", VECTORS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert all(f"{path.name} " in run.stdout for path in SHIPPED)
    assert f"{len(SHIPPED)} files, largest difference" in run.stdout


@pytest.mark.skipif(not SHARED.is_dir(), reason="the official vectors are not on this machine")
def test_the_suite_agrees_with_the_official_implementations(monkeypatch, capsys):
    assert run_check(monkeypatch, SHARED) == 0, capsys.readouterr().out


@pytest.mark.parametrize("method", INPUTS)
def test_each_method_has_two_shipped_files_of_different_sizes(method):
    files = [path for path in SHIPPED if path.name.startswith(method)]
    name = "x" if "x" in INPUTS[method] else sorted(INPUTS[method] & {"logits", "logits_1"})[0]
    shapes = {np.load(path)[name].shape for path in files}
    assert len(shapes) == len(files) >= 2


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_expected_number_of_a_file_is_compared(path):
    method = next(name for name in INPUTS if path.name.startswith(name))
    parameters = ("net.", "vnet.", "slp.", "encoder.")
    expected = {key for key in np.load(path).files if not key.startswith(parameters)}
    assert set(check_reference.differences(path)) == expected - INPUTS[method]


@pytest.mark.parametrize(
    ("name", "quantity"),
    [
        ("gce_ten_classes", "truncated_grad_after_pruning"),
        ("co_teaching_third", "mean_loss_2"),
        ("mw_net_few_clean", "vnet_grad.linear1.weight"),
        ("metalabelnet_many_clean", "slp_grad.bias"),
    ],
)
@pytest.mark.parametrize("damage", [1e-6, np.nan], ids=["slightly_wrong", "nan"])
def test_one_number_that_differs_by_a_millionth_fails_the_check(
    monkeypatch, capsys, tmp_path, name, quantity, damage
):
    arrays = dict(np.load(VECTORS / f"{name}.npz"))
    arrays[quantity] = arrays[quantity].copy()
    arrays[quantity].flat[-1] += damage
    np.savez(tmp_path / f"{name}.npz", **arrays)
    assert run_check(monkeypatch, tmp_path) == 1
    assert f"{name}.npz" in capsys.readouterr().out


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_a_folder_with_nothing_to_check_is_an_error_of_its_own(monkeypatch, tmp_path, folder):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").touch()
    assert run_check(monkeypatch, tmp_path / folder) == 2


def test_the_script_makes_the_shipped_vectors_again(tmp_path):
    make_vectors.main(tmp_path)
    made = sorted(tmp_path.iterdir())
    assert [path.name for path in made] == [path.name for path in SHIPPED]
    for path, shipped in zip(made, SHIPPED, strict=True):
        ours, theirs = np.load(path), np.load(shipped)
        assert ours.files == theirs.files
        for key in ours.files:
            assert ours[key].dtype == theirs[key].dtype
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-12, atol=1e-12)


def test_a_quantity_that_nobody_compares_or_excuses_is_named_and_fails(
    tmp_path, monkeypatch, capsys
):
    own = dict(np.load(VECTORS / "gce_small.npz"))
    np.savez(tmp_path / "gce_small.npz", **own, surprise=np.zeros(3))
    assert run_check(monkeypatch, tmp_path) == 1
    assert "surprise                         not compared: nobody" in capsys.readouterr().out
