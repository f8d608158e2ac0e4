"""The examples of CONTRIBUTING.md are complete: taken out of it they run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from methods.declaration import Uniform, read
from tests.study.test_outside import write_squares

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
    assert declared.searched == {"epsilon": Uniform(0.05, 0.6)}


def test_the_examples_are_the_files_of_the_folder(examples):
    shown = {name: text for name, text in examples.items() if name.startswith("examples/")}
    files = {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.*")}
    files -= {"examples/my_images.py", "examples/my_images.yaml"}  # docs/own_data.md
    assert set(shown) == files
    for name, text in shown.items():
        assert text == (ROOT / name).read_text(encoding="utf-8"), name


def in_repository(text: str, kind: str) -> str:
    """The text of an example with the decorator that its kind needs in the repository."""
    words = {"npz_images": "class NpzImages", "dark_images": "class DarkImages"}
    head = words.get(kind, "def perceptron")
    base = {"npz_images": "datasets", "dark_images": "datasets.noise"}.get(kind, "networks")
    registered = text.replace(f"\n{head}", f"\n@register\n{head}")
    return registered.replace("\nfrom ", f"\nfrom {base}.base import register\nfrom ", 1).replace(
        "from __future__ import annotations\n", ""
    )


def test_method_data_set_noise_and_network_are_found_by_their_files(examples, tmp_path):
    copy = tmp_path / "checkout"
    shutil.copytree(ROOT, copy, ignore=left_out)
    write(copy, "methods/two_networks.py", examples["examples/two_networks.py"])
    for kind, folder in {
        "npz_images": "datasets",
        "dark_images": "datasets/noise",
        "perceptron": "networks",
    }.items():
        text = in_repository(examples[f"examples/{kind}.py"], kind)
        write(copy, f"{folder}/{kind}.py", text)
    own = examples["examples/outside.yaml"]
    for outside in re.findall(r"examples\.(\w+:\w+)", own):
        own = own.replace(f"examples.{outside}", outside.partition(":")[0])
    records = run(
        copy, write(tmp_path, "own.yaml", own), "--data", write_squares(tmp_path / "data")
    )
    assert set(records) == {"cross_entropy", "two_networks"}
    for record in records.values():
        assert record["config"]["dataset"]["name"] == "npz_images"
        assert record["config"]["protocol"]["network"] == "perceptron"
        assert record["config"]["noise"]["name"] == "dark_images"
