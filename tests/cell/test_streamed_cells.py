"""Cells on miniatures of large data sets, whose images are decoded ahead of the step."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

import datasets
from analysis import suspects
from datasets import prepare
from datasets.clothing1m import CLASS_NAMES
from runners import predict
from runners.cell.build import load_data
from runners.cell.checkpoint import Checkpointer
from runners.run_grid import main
from runners.study.config import load_study
from runners.study.grid import cells
from tests.helpers.cells import ready
from tests.helpers.cli import records, write_study
from tests.helpers.interruptions import CutOff, Cutting, assert_same
from tests.helpers.large_sets import STORED, clothing, food, webvision


def study_on(folder: Path, dataset: str, methods: list, **more) -> Path:
    entry = {"name": dataset, "stored": STORED, **more.pop("parameters", {})}
    shared = {"network": "small_cnn", "batch_size": 16, "hparams": "default"}
    return write_study(
        folder / "study.yaml", methods, dataset=entry, noise=[{"name": "given"}], **shared, **more
    )


@pytest.mark.parametrize("step", [1, 3, 4, 6])
def test_a_cell_goes_on_between_two_steps_to_the_same_bits(step, root, tmp_path):
    study = study_on(tmp_path, "clothing1m", ["metalabelnet"], augment="crop_flip")
    (cell,) = cells(load_study(study))
    whole = ready(cell, load_data(cell, None))
    history = whole.train()
    settings = (tmp_path / "checkpoint.pt", {"key": cell.key}, 1000, 0.0)
    with pytest.raises(CutOff):
        ready(cell, load_data(cell, None)).train(checkpointer=Cutting(*settings, after=step))
    second = ready(cell, load_data(cell, None))
    rest = second.train(checkpointer=Checkpointer(*settings))
    assert_same(second, rest, whole, history)


LAYOUTS = {
    "clothing1m": (clothing, {}, ["cross_entropy", "metalabelnet"]),
    "food101n": (food, {"split": "metalabelnet"}, ["cross_entropy", "metalabelnet"]),
    "mini_webvision": (webvision, {"split": "imagenet"}, ["cross_entropy", "gce"]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_two_methods_run_on_a_miniature_of_each_layout(name, tmp_path, monkeypatch):
    made, parameters, methods = LAYOUTS[name]
    made(tmp_path, monkeypatch)
    assert prepare.main([name, "--data", str(tmp_path), "--size", str(STORED)]) == 0
    study = study_on(tmp_path, name, methods, parameters=parameters)
    arguments = ["--results", str(tmp_path / "r"), "--data", str(tmp_path), "--workers", "0"]
    assert main([str(study), *arguments]) == 0
    found = records(tmp_path / "r")
    assert set(found) == set(methods)
    for record in found.values():
        assert record["noise"]["realised_rate"] is None  # nobody has said all true labels
        assert 0 <= record["accuracy"]["last"]["test"] <= 1


def test_new_images_are_seen_as_packed_ones_and_suspects_are_listed(root, tmp_path, monkeypatch):
    study = study_on(tmp_path, "clothing1m", ["cross_entropy"], epochs=6)
    results = ["--results", str(tmp_path / "r")]
    data = ["--data", str(root)]
    assert (
        main([str(study), *results, *data, "--workers", "0", "--set", "run.keep_weights=true"]) == 0
    )
    out = tmp_path / "predicted.csv"
    line = [str(tmp_path / "r" / "s"), str(root / "clothing1m"), "--out", str(out)]
    assert predict.run(predict.parser().parse_args(line)) == 0
    with out.open(newline="", encoding="utf-8") as file:
        predicted = {row["path"]: row["predicted"] for row in csv.DictReader(file)}
    dataset = datasets.get("clothing1m", {"stored": STORED})
    paths, labels = dataset.opened(root).paths("test"), dataset.load(root).test_labels
    right = [predicted[p] == CLASS_NAMES[k] for p, k in zip(paths, labels, strict=True)]
    accuracy = records(tmp_path / "r")["cross_entropy"]["accuracy"]["last"]["test"]
    assert accuracy > 0.3 and abs(sum(right) / len(right) - accuracy) < 0.15
    monkeypatch.setattr(sys, "argv", ["suspects.py", str(tmp_path / "r" / "s"), *data])
    suspects.main()
    with (tmp_path / "r" / "s" / "suspects.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sorted(int(row["index"]) for row in rows) == list(range(112))
    assert (tmp_path / "r" / "s" / "suspects.png").stat().st_size > 10_000
