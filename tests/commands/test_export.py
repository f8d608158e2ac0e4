"""`runners/export_labels.py`: the labels and splits that the cells of a study use, as CSV."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets.noise.statistics import labels_sha256

ROOT = Path(__file__).resolve().parents[2]
STUDY = """
study: export
axes:
  dataset: simulated
  noise: [{name: symmetric, rate: 0.4}, clean]
  method: [cross_entropy, clean_only]
  seed: 2
protocol: {epochs: 1, batch_size: 32, clean_subset: 8, clean_val: 12, noisy_val: 0.25}
"""
CORRUPT = ("--set", "protocol.clean_subset=20", "--data", "{data}")
FILE = "simulated__symmetric-0.4__s1.csv"


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "runners" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("export") / "export.yaml"
    path.write_text(STUDY)
    return path


@pytest.fixture(scope="module")
def labels(study) -> Path:
    """The folder of the exported files, made where nothing was run."""
    done = script("export_labels.py", study, "--results", study.parent / "fresh")
    assert done.returncode == 0, done.stderr
    return study.parent / "fresh" / "export" / "labels"


def columns(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def test_there_is_one_file_for_every_dataset_noise_and_seed(labels):
    slugs = ("clean", "symmetric-0.4")
    expected = {f"simulated__{slug}__s{seed}.csv" for slug in slugs for seed in (0, 1)}
    assert {path.name for path in labels.iterdir()} == expected


def test_the_labels_and_the_split_are_those_of_a_run(study, labels):
    only = ["--only", "noise=symmetric", "--only", "seed=1", "--only", "method=cross_entropy"]
    ran = script("run_grid.py", study, "--workers", 0, "--results", study.parent, *only)
    assert ran.returncode == 0, ran.stderr
    (path,) = (study.parent / "export" / "cells").glob("*/record.json")
    record = json.loads(path.read_text())
    exported = columns(labels / FILE)
    noisy = exported["noisy"].astype(np.int64)
    assert labels_sha256(noisy) == record["noise"]["labels_sha256"]
    assert np.mean(noisy != exported["true"].astype(np.int64)) == record["noise"]["realised_rate"]
    trained = np.load(path.parent / "samples.npz")
    assert np.flatnonzero(exported["split"] == "train").tolist() == trained["index"].tolist()


def test_the_splits_partition_the_training_part_in_the_official_order(labels):
    exported = columns(labels / FILE)
    truth = datasets.get("simulated").load(None).train_labels
    assert exported["index"].astype(int).tolist() == list(range(len(truth)))
    assert exported["true"].astype(int).tolist() == truth.tolist()
    names, counts = np.unique(exported["split"], return_counts=True)
    assert dict(zip(names.tolist(), counts.tolist(), strict=True)) == {
        "clean_subset": 8,
        "clean_val": 12,
        "noisy_val": 123,  # a quarter of the 492 that are left
        "train": 369,
    }


def test_out_and_only_choose_folder_and_files(study):
    out = study.parent / "elsewhere"
    only = ["--only", "noise=clean", "--only", "seed=0"]
    results = ["--results", study.parent / "small"]
    done = script("export_labels.py", study, *only, "--out", out, *results)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.iterdir()] == ["simulated__clean__s0.csv"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no study given"),
        (["{study}", "--set", "protocol.epochs=0"], "protocol.epochs"),
        (["{study}", "--only", "seed=7"], "one of 0, 1"),
        (["{study}", "--set", "axes.dataset=cifar10_jpeg", *CORRUPT], "is corrupt"),
        (["{study}", "--results", "{study}"], "cannot be written"),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(study, arguments, words):
    data = study.parent / "data"
    (data / "cifar10_jpeg").mkdir(parents=True, exist_ok=True)
    (data / "cifar10_jpeg" / "cifar10_jpeg.npz").write_bytes(b"no images")
    before = sorted(study.parent.rglob("*"))
    named = [text.format(study=study, data=data) for text in arguments]
    done = script("export_labels.py", *named)
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.splitlines()) == 1
    assert sorted(study.parent.rglob("*")) == before
