"""Command lines that cannot work: one sentence, exit code 2, and nothing written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from runners import run_grid
from runners.pool import devices
from tests.helpers.cli import RUN_GRID, write_study

HAS_GPU = devices.count_gpus() > 0


@pytest.fixture
def study(tmp_path, monkeypatch) -> Path:
    """A good study in the working directory, which is empty otherwise."""
    monkeypatch.delenv("DATA_ROOT", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return write_study(Path("study.yaml"), ["cross_entropy", "gce"])


def refused(capsys, *arguments: str) -> str:
    """The one sentence on stderr of a command line that is refused without a trace."""
    before = sorted(Path.cwd().rglob("*"))
    assert run_grid.main(list(arguments)) == 2
    assert sorted(Path.cwd().rglob("*")) == before
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err.strip()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "method=mw_net"], ["--only", "mw_net", "must be one of", "gce"]),
        (["--only", "metod=gce"], ["--only", "metod", "did you mean method?"]),
        (["--only", "seed=1"], ["--only: seed", '"1"', "must be one of 0"]),
        (
            ["--set", "protocol.epoch=2"],
            ["--set", "did you mean protocol.epochs?"],
        ),
        (["--set", "protocol.epochs=0"], ["--set", "protocol.epochs", "at least 1"]),
        (["--set", "run.backend=slrum"], ["run.backend", "slrum", "local, slurm"]),
        (["--set", "slurm.tmie=60"], ["--set", "slurm.tmie", "did you mean slurm.time?"]),
        (["--set", "slurm.time=12:60h"], ["--set", "slurm.time", "12:60h", "12:00:00"]),
        (["--workers", "-1"], ["run.workers", "-1", "0 to 1,024"]),
        (["--workers", "two"], ["run.workers", "two", "0 to 1,024"]),
        (["--device", "gpu"], ["run.device", "gpu", "auto, cpu, cuda"]),
    ],
    ids=lambda value: "_".join(value) if value[0].startswith("--") else "",
)
def test_a_wrong_option_names_itself_its_value_and_what_is_allowed(study, capsys, arguments, words):
    sentence = refused(capsys, "study.yaml", "--results", "results", *arguments)
    assert all(word in sentence for word in words)


@pytest.mark.skipif(HAS_GPU, reason="this machine has a CUDA device")
def test_cuda_without_a_gpu_is_refused(study, capsys):
    sentence = refused(capsys, "study.yaml", "--results", "results", "--device", "cuda")
    assert "cuda" in sentence and "auto or cpu" in sentence


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_results_folder_that_cannot_be_written_is_refused(study, capsys, below):
    Path("file").write_text("not a folder")
    sentence = refused(capsys, "study.yaml", "--results", below)
    assert sentence.startswith(f"--results: '{below}' cannot be written")


def test_a_missing_data_set_says_what_to_type(study, capsys):
    write_study(study, ["gce"], dataset="cifar10")
    Path("data").mkdir()
    sentence = refused(capsys, "study.yaml", "--results", "results", "--data", "data")
    assert str(Path("data").resolve()) in sentence
    assert "python datasets/download.py cifar10" in sentence


@pytest.mark.parametrize("option", [True, False], ids=["--data", "DATA_ROOT"])
def test_a_corrupt_data_file_is_named_with_its_checksum(study, capsys, monkeypatch, option):
    write_study(study, ["gce"], dataset="cifar10")
    folder = Path("data/cifar-10-batches-py").resolve()
    folder.mkdir(parents=True)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        (folder / name).write_bytes(b"damaged")
    if not option:
        monkeypatch.setenv("DATA_ROOT", "data")
    arguments = ["--data", "data"] if option else []
    sentence = refused(capsys, "study.yaml", "--results", "results", *arguments)
    assert f"{folder / 'data_batch_1'} is corrupt: its md5 is " in sentence
    assert "c99cafc152244af753f735de768cd75f" in sentence


def test_a_plan_needs_no_data_and_says_what_a_run_lacks(study, capsys):
    write_study(study, ["gce"], dataset="cifar10")
    line = ["study.yaml", "--plan", "--results", "results", "--data", "."]
    assert run_grid.main(line) == 0
    said = capsys.readouterr()
    assert "1 cell: 1 missing" in said.out
    assert "not ready to run: study.yaml: axes.dataset: cifar10 is not there" in said.err


def test_all_mistakes_are_told_at_once(study, capsys):
    write_study(study, ["gcee", {"name": "gce", "q": 2}], epochs=0)
    assert run_grid.main(["study.yaml", "--results", "results", "--set", "protocol.lr=-1"]) == 2
    lines = capsys.readouterr().err.splitlines()
    keys = ("axes.method[0]", "axes.method[1].q", "protocol.epochs", "protocol.lr")
    assert len(lines) == 4
    assert all(sum(f"{key}: " in line for line in lines) == 1 for key in keys)
    assert not Path("results").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no study given"),
        (["none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["--list", "colours"], "--list: 'colours' is not allowed: must be one of methods"),
    ],
    ids=["no_study", "no_file", "unknown_list"],
)
def test_the_command_itself_ends_with_exit_code_2(tmp_path, arguments, words):
    run = subprocess.run(
        [sys.executable, RUN_GRID, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2 and words in run.stderr and run.stdout == ""
    assert "Traceback" not in run.stderr and not list(tmp_path.iterdir())


def test_a_percent_sign_in_the_folder_is_refused_before_anything_is_sent(study, capsys):
    write_study(study, ["gce"])
    sentence = refused(capsys, "study.yaml", "--backend", "slurm", "--results", "r 20%sym")
    assert "--results: " in sentence and "must be a path without %" in sentence
    assert not Path("r 20%sym").exists()


def test_a_class_too_small_for_the_clean_subset_is_told_before_any_cell_runs(study, capsys):
    labels = np.repeat([0, 1], [30, 3])
    images = np.zeros((len(labels), 1, 8, 8), np.uint8)
    arrays = {"train_images": images, "test_images": images}
    np.savez("few.npz", **arrays, train_labels=labels, test_labels=labels)
    entry = {"file": "few.npz", "classes": 2, "n_train": len(labels)}
    entry["name"] = "examples.npz_images:NpzImages"
    write_study(Path("few.yaml"), ["clean_only"], dataset=entry, clean_subset=20)
    sentence = refused(capsys, "few.yaml", "--results", "results", "--data", ".")
    assert "few.yaml: protocol.clean_subset: 20 is not allowed: must be less than what" in sentence
    assert "it takes 10 per class of 3 in class 1" in sentence
