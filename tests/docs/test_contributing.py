"""The examples of CONTRIBUTING.md are complete: taken out of it they run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from methods.declaration import Uniform, read

ROOT = Path(__file__).resolve().parents[2]
METHOD = "my_methods/label_smoothing.py"


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a copy of the suite does not need: hidden files, results and data at the top, tests."""
    top = {"results", "data", "tests"} if Path(folder) == ROOT else set()
    return {name for name in names if name.startswith((".", "__pycache__")) or name in top}


@pytest.fixture(scope="module")
def examples() -> dict[str, str]:
    """Contents by file name, for every fenced block that begins with the name in a comment."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    blocks = re.findall(
        r"^```\w+\n# (\S+\.(?:py|yaml))\n(.*?)^```$", text, re.DOTALL | re.MULTILINE
    )
    return dict(blocks)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def run(root: Path, study: Path, *arguments: str | Path) -> dict[str, dict]:
    """Runs a study with the `run_grid.py` of a checkout; returns the records by label."""
    folder = study.parent
    script = str(root / "runners" / "run_grid.py")
    command = [sys.executable, script, str(study), "--workers", "0", "--results", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*command, *map(str, arguments)], env=environment, cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(path.read_text()) for path in folder.glob("*/cells/*/record.json")]
    return {record["cell"]["label"]: record for record in found}


def test_the_method_runs_from_outside_the_repository(examples, tmp_path):
    write(tmp_path, METHOD, examples[METHOD])
    records = run(ROOT, write(tmp_path, "smoothing.yaml", examples["smoothing.yaml"]))
    assert set(records) == {"cross_entropy", "LabelSmoothing"}
    record = records["LabelSmoothing"]
    assert record["cell"]["display"] == "Label smoothing"
    assert record["config"]["hparams"] == {"epsilon": 0.1}
    assert record["final_weights_sha256"] != records["cross_entropy"]["final_weights_sha256"]


def test_the_method_is_declared_readably_without_torch(examples, tmp_path):
    declared = read(write(tmp_path, METHOD, examples[METHOD]))
    assert (declared.name, declared.display) == ("label_smoothing", "Label smoothing")
    assert declared.problem("epsilon", 1.5) == "must be a finite number at least 0 and at most 1"
    assert isinstance(declared.fields["epsilon"].metadata["search"], Uniform)


def test_method_data_set_noise_and_network_are_found_by_their_files(examples, tmp_path):
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=left_out)
    write(copy, "methods/label_smoothing.py", examples[METHOD])
    for name in ("datasets/noise/one_class.py", "networks/perceptron.py"):
        write(copy, name, examples[name])
    checksum = write_digits(tmp_path / "data" / "my_digits" / "my_digits.npz")
    own = examples["datasets/my_digits.py"].replace("<sha256 of the file>", checksum)
    write(copy, "datasets/my_digits.py", own)

    study = write(tmp_path, "own.yaml", examples["own.yaml"])
    records = run(copy, study, "--data", tmp_path / "data")
    assert set(records) == {"label_smoothing", "metalabelnet"}
    for record in records.values():
        assert record["config"]["dataset"] == "my_digits"
        assert record["config"]["protocol"]["network"] == "perceptron"
        assert record["counts"]["clean_subset"] == 9 and record["counts"]["test"] == 60
        matrix = np.array(record["noise"]["matrix"])
        assert (matrix[:2, 2] > 0.1).all() and matrix[2, 2] == 1 and matrix[0, 1] == 0


def write_digits(path: Path) -> str:
    """Writes the data file of the example and returns its sha256."""
    rng = np.random.default_rng(0)

    def part(count: int, prefix: str) -> dict[str, np.ndarray]:
        labels = np.arange(count) % 3
        images = rng.integers(0, 100, (count, 1, 8, 8)) + 50 * labels[:, None, None, None]
        return {f"x_{prefix}": images.astype(np.uint8), f"y_{prefix}": labels}

    path.parent.mkdir(parents=True)
    np.savez(path, **part(300, "train"), **part(60, "test"))
    return hashlib.sha256(path.read_bytes()).hexdigest()
