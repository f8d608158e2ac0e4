"""What a finished study gives beyond its table: networks, packed samples, other test images."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from datasets.base import DataError
from datasets.fashion_mnist import FashionMnist
from runners.cell.record import weights_sha256
from runners.cell.run_cell import run_cell
from tests.helpers.cells import CPU, make_cell, ready
from tests.helpers.cli import ROOT, run_grid, write_study
from tests.helpers.interruptions import context_in


def official_is_there() -> bool:
    try:
        FashionMnist().check(None)
    except DataError:
        return False
    return True


def script(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, str(ROOT / name), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True)


@pytest.mark.parametrize("keep", [True, False])
def test_the_trained_network_is_kept_where_it_is_asked_for(tmp_path, keep):
    cell = make_cell("cross_entropy", epochs=1)
    place = context_in(tmp_path, keep_weights=keep)
    record = run_cell(cell, place, CPU, lambda entry: None)
    path = place.study.cell(cell.name).network
    assert path.exists() == keep
    if keep:
        network = ready(cell).method.network
        network.load_state_dict(torch.load(path, weights_only=True))
        assert weights_sha256(network) == record["final_weights_sha256"]


def test_samples_are_packed_within_the_size_that_is_asked_for(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy", "clean_only"], epochs=1)
    assert run_grid(study, tmp_path / "results", folder=tmp_path).returncode == 0
    (folder,) = (path.parent for path in tmp_path.glob("results/*/study.json"))
    pack = ("analysis/pack_study.py", folder, "--out", tmp_path / "packed", "--samples")
    small = script(*pack, "0.001")
    assert small.returncode == 2 and "--samples: 0.001 is too little" in small.stderr
    assert not (tmp_path / "packed" / "samples.npz").exists()
    assert script(*pack, "1").returncode == 0
    with np.load(tmp_path / "packed" / "samples.npz") as packed:
        names = set(packed.files)
        means = [packed[name] for name in names if name.endswith("/mean_margin")]
    assert len({name.partition("/")[0] for name in names}) == 2
    assert {mean.dtype for mean in means} == {np.dtype(np.float16)}
    cell = next(folder.glob("cells/*cross_entropy*"))
    (cell / "samples.npz").write_bytes(b"no archive")
    damaged = script(*pack, "1")
    assert damaged.returncode == 2 and "samples.npz is not as it was written" in damaged.stderr


@pytest.fixture(scope="module")
def on_the_embedded_images(tmp_path_factory) -> Path:
    """A study of one short cell on the embedded data set, its network kept."""
    folder = tmp_path_factory.mktemp("official")
    (folder / "s.yaml").write_text(
        "study: s\naxes: {dataset: fashion_mnist_mini, noise: clean, method: cross_entropy, "
        "seed: 1}\nprotocol: {epochs: 1}\nrun: {workers: 0, keep_weights: true}\n"
    )
    assert run_grid(folder / "s.yaml", folder / "results", folder=folder).returncode == 0
    return folder / "results" / "s"


@pytest.mark.skipif(not official_is_there(), reason="Fashion-MNIST is not on this machine")
def test_final_networks_are_judged_on_the_official_images_that_nobody_looked_at(
    on_the_embedded_images,
):
    folder = on_the_embedded_images
    rows = []
    for kept in (True, False):  # kept, and trained again
        done = script("runners/official_test.py", folder)
        assert done.returncode == 0, done.stderr
        assert "1 of 1 cell, 7,000 images" in done.stdout
        with (folder / "official_test.csv").open(newline="") as file:
            rows += list(csv.DictReader(file))
        for path in folder.glob("cells/*/network.pt") if kept else ():
            path.unlink()
    assert rows[0] == rows[1] and 0.3 < float(rows[0]["official"]) < 1
    (path,) = folder.glob("cells/*/record.json")
    record = json.loads(path.read_text())
    assert float(rows[0]["mini"]) == pytest.approx(record["accuracy"]["last"]["test"], abs=1e-6)


def test_other_studies_are_refused_in_a_sentence(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy"], epochs=1)
    assert run_grid(study, tmp_path / "results", folder=tmp_path).returncode == 0
    (folder,) = (path.parent for path in tmp_path.glob("results/*/study.json"))
    done = script("runners/official_test.py", folder)
    assert done.returncode == 2 and "must be a study on fashion_mnist_mini" in done.stderr
