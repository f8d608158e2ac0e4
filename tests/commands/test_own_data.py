"""From a folder of images to records, a table and labels of new images."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from runners import predict
from tests.helpers.cli import run_grid
from tests.helpers.own_images import (
    NAMES,
    STUDY,
    number_of,
    rows_of,
    script,
    write_list,
)


def records(folder: Path) -> dict[str, dict]:
    return {p.parent.name: json.loads(p.read_text()) for p in folder.glob("cells/*/record.json")}


def test_records_and_tables_claim_nothing_that_nobody_knows(mine):
    folder, _ = mine
    found = records(folder / "results" / "mine")
    assert len(found) == 4
    for record in found.values():
        noise = record["noise"]
        assert (noise["realised_rate"], noise["nominal_rate"], noise["matrix"]) == (None,) * 3
        assert noise["unknown_truth"] == 193 and record["judged_by"] == "given labels"
        assert record["memorisation"] == {"clean_part": None, "corrupted_part": None}
        assert record["counts"]["clean_subset"] == 0
        text = json.dumps(record["config"])
        assert "my_images" in text and str(folder) not in text
    told = [r["noise"] for name, r in found.items() if "co_teaching" in name]
    assert all(n["told_source"] == "estimated" and 0 < n["told_rate"] < 1 for n in told)
    table = script("analysis/make_tables.py", folder / "results" / "mine").stdout
    assert "*unknown*" in table
    assert "judged by labels that may be wrong" in table
    assert "Co-teaching is told a noise rate that is estimated inside each cell" in table


def test_the_batch_follows_the_size_and_the_plan_can_be_changed(mine):
    folder, _ = mine
    for record in records(folder / "results" / "mine").values():
        assert record["config"]["protocol"]["batch_size"] == record["counts"]["train"] // 20


def test_exported_labels_read_back_to_the_same_checksum(tmp_path):
    (tmp_path / "out.yaml").write_text(
        "study: out\naxes: {dataset: simulated, noise: {name: symmetric, rate: 0.4}, "
        "method: cross_entropy, seed: 1}\nprotocol: {epochs: 1}\n"
    )
    out = tmp_path / "labels"
    results = ("--results", tmp_path / "results")
    assert script("runners/export_labels.py", tmp_path / "out.yaml", *results, "--out", out)
    (file,) = out.iterdir()
    (tmp_path / "back.yaml").write_text(
        f"study: back\naxes: {{dataset: simulated, noise: [{{name: symmetric, rate: 0.4}}, "
        f"{{name: labels_file, file: labels/{file.name}, label: read}}], method: cross_entropy, "
        "seed: 1}\nprotocol: {epochs: 1}\n"
    )
    done = run_grid(tmp_path / "back.yaml", tmp_path / "results", folder=Path("/"))
    assert done.returncode == 0, done.stdout + done.stderr
    drawn, read = records(tmp_path / "results" / "back").values()
    assert drawn["noise"]["labels_sha256"] == read["noise"]["labels_sha256"]
    assert read["noise"]["realised_rate"] == drawn["noise"]["realised_rate"]


def test_new_images_are_labelled_by_the_kept_networks(mine):
    folder, truth = mine
    done = script("runners/predict.py", folder / "results" / "mine", folder / "my_images")
    assert done.returncode == 0, done.stderr
    rows = rows_of(folder / "results" / "mine" / "predictions.csv")
    assert list(rows[0]) == ["path", "predicted", "probability", *NAMES]
    right = [row["predicted"] == NAMES[truth[number_of(row["path"])]] for row in rows]
    assert len(rows) == 240 and np.mean(right) > 0.7
    one = script("runners/predict.py", folder / "results" / "mine", folder / "none")
    assert one.returncode == 2 and one.stderr.count("\n") == 1
    (folder / "my_images" / NAMES[0]).rename(folder / "my_images" / "zebra")
    other = script("runners/predict.py", folder / "results" / "mine", folder / "my_images")
    (folder / "my_images" / "zebra").rename(folder / "my_images" / NAMES[0])
    assert other.returncode == 2
    assert "my_images has changed since its networks were trained" in other.stderr


def test_weights_that_are_none_and_files_that_are_gone_are_one_sentence(mine, tmp_path):
    folder, _ = mine
    study = tmp_path / "mine"
    shutil.copytree(folder / "results" / "mine", study)
    networks = sorted(study.glob("cells/*cross_entropy*/network.pt"))
    networks[0].write_bytes(b"no weights")
    networks[1].write_bytes(b"")

    def refused(script_name, *arguments):
        done = script(script_name, study, *arguments)
        said = [line for line in done.stderr.splitlines() if not line.startswith("reading ")]
        assert done.returncode == 2 and len(said) == 1, done.stderr
        return said[0]

    images = folder / "my_images", "--method", "cross_entropy"
    assert "network.pt is no file of weights: remove" in refused("runners/predict.py", *images)
    (study / "places.json").write_text('{"dataset": [1]}')
    says = "places.json does not say where its images are: run the study again"
    assert says in refused("runners/predict.py", *images)
    (study / "places.json").unlink()
    assert says in refused("runners/predict.py", *images)
    assert says in refused("analysis/suspects.py")


def test_the_report_shows_the_images_of_suspects_and_says_where_they_are_gone(mine, tmp_path):
    folder = tmp_path / "mine"  # other tests change theirs
    shutil.copytree(mine[0], folder)
    study = folder / "results" / "mine"
    places = json.loads((study / "places.json").read_text())
    next(iter(places["dataset"].values()))["places"]["path"] = str(folder / "my_images")
    (study / "places.json").write_text(json.dumps(places))
    assert script("analysis/suspects.py", study).returncode == 0
    done = script("analysis/report.py", study)
    assert done.returncode == 0, done.stderr
    page = (study / "report.html").read_text()
    found = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="Image ([^,]+)', page)
    rows = rows_of(study / "suspects.csv")[:24]
    assert [name for _, name in found] == [row["path"] for row in rows]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(found[5][0]))))
    assert np.array_equal(seen, np.asarray(Image.open(folder / "my_images" / rows[5]["path"])))
    shutil.rmtree(folder / "my_images")
    assert script("analysis/report.py", study).returncode == 0
    page = (study / "report.html").read_text()
    assert "<img" not in page and rows[0]["path"] in page
    assert "Its images are not shown: they cannot be read here" in page


def test_weights_of_a_gpu_and_odd_names_do_not_stop_the_labelling(mine, tmp_path, monkeypatch):
    folder, _ = mine
    new = tmp_path / "new"
    shutil.copytree(folder / "my_images" / "1", new)
    shutil.copy(next(new.iterdir()), os.fsencode(new) + b"/gr\xfcn.png")
    (new / "photo.heic").write_bytes(b"x")
    study = folder / "results" / "mine"
    seen = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: seen.append(k) or load(*a, **k))
    out = tmp_path / "out.csv"
    assert predict.run(predict.parser().parse_args([*map(str, (study, new)), f"--out={out}"])) == 0
    assert seen and all(k["map_location"] == "cpu" for k in seen)
    done = script("runners/predict.py", study, new, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "left out, no images by their ending: .heic 1" in done.stderr
    assert "gr\\xfcn.png cannot be read (its name is not UTF-8)" in done.stderr
    assert done.stdout.endswith("; 1 could not be read\n")


def test_a_moved_or_missing_folder_leaves_cells_done_and_a_changed_one_makes_them_stale(mine):
    folder, _ = mine
    study, results = folder / "mine.yaml", folder / "results"

    def state():
        return run_grid(study, results, "--status", folder=folder).stdout

    assert "4 cells: 4 done" in state()
    (folder / "my_images").rename(folder / "elsewhere")
    assert "4 cells: 4 done" in state()
    moved = STUDY.replace("path: my_images", "path: elsewhere, label: my_images")
    study.write_text(moved)
    assert "4 cells: 4 done" in state()
    extra = folder / "elsewhere" / "1" / "999.png"
    shutil.copy(next((folder / "elsewhere" / "1").iterdir()), extra)
    assert "4 stale" in state()
    extra.unlink()
    assert "4 cells: 4 done" in state()
    deep = folder / "deep" / "er"
    deep.mkdir(parents=True)
    (folder / "elsewhere").rename(deep / "images")
    study.write_text(STUDY.replace("path: my_images", "path: deep/er/images, label: my_images"))
    (deep / "images" / "1" / "notes.txt").write_text("no image")
    plan = run_grid(study, results, "--plan", folder=folder)
    assert "left out, no images by their ending: .txt 1\n" in plan.stdout
    (deep / "images" / "1" / "notes.txt").unlink()
    (deep / "images").rename(folder / "my_images")
    shutil.rmtree(folder / "deep")
    assert "4 cells: 4 done" in state()
    study.write_text(STUDY)


def test_clean_images_come_from_a_clean_part_or_from_those_whose_truth_is_known(mine, tmp_path):
    folder, truth = mine
    rows = []
    for path in sorted((folder / "my_images").rglob("*.png")):
        number = number_of(path.name)
        row = {"path": path.relative_to(folder).as_posix(), "label": path.parent.name}
        known = NAMES[truth[number]] if number % 4 == 0 else ""
        rows.append(row | {"clean_label": known, "split": "clean" if number % 8 == 0 else ""})
    write_list(folder / "own.csv", rows)
    write_list(folder / "some.csv", [row | {"split": ""} for row in rows])
    study = folder / "clean.yaml"
    study.write_text(
        "study: clean\naxes:\n  dataset: [{name: image_folder, path: own.csv},"
        " {name: image_folder, path: some.csv}]\n  noise: given\n"
        "  method: [clean_only, fine_tune]\n  seed: 1\n"
        "protocol: {epochs: 2, noisy_val: 0}\nrun: {device: cpu}\n"
    )
    plan = run_grid(study, tmp_path / "results", "--plan", folder=folder)
    assert "own: 168 training and 42 test images, 4 classes" in plan.stdout, plan.stderr
    done = run_grid(study, tmp_path / "results", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    found = records(tmp_path / "results" / "clean")
    counts = {name.partition("__")[0]: record["counts"] for name, record in found.items()}
    assert counts["own"] == {
        "train": 168, "noisy_val": 0, "clean_subset": 28, "clean_val": 0, "test": 42,
    }  # fmt: skip
    some = counts["some"]
    assert some["clean_subset"] > 20 and some["clean_subset"] % 4 == 0
    assert some["train"] + some["clean_subset"] + some["test"] == 240


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("given", "{name: symmetric, rate: 0.4}", "must be given or labels_file"),
        ("cross_entropy", "clean_only", "no true label is known"),
        ("cross_entropy", "oracle", "without the true labels"),
        ("path: my_images", "path: nowhere", "is not there: must be a folder of images"),
        (
            "path: my_images}",
            "path: my_images, label: a}, {name: image_folder, path: my_images, size: 16, label: a}",
            'label "a" is given to two entries',
        ),
    ],
)
def test_what_cannot_be_is_refused_in_the_plan(mine, tmp_path, old, new, sentence):
    folder, _ = mine
    study = folder / f"{tmp_path.name}.yaml"
    study.write_text(STUDY.replace(old, new, 1))
    done = run_grid(study, tmp_path / "results", "--plan", folder=folder)
    assert done.returncode == 2
    assert sentence in done.stderr and "Traceback" not in done.stderr
