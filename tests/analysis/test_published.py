"""Published values stand beside a study's own only where both are of the same thing."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import pytest

import datasets
import methods
import networks
from analysis import command, frames, make_tables, published, studies
from analysis.criteria import CRITERIA
from tests.helpers.records import SYMMETRIC, cell, record, write_study

PROTOCOL = {"network": "resnet34", "epochs": 120, "batch_size": 128, "clean_subset": 0}
SAME = {
    "method": "GCE", "data_set": "CIFAR-10", "noise": "symmetric",
    "convention": "true class excluded", "rate": "0.4", "metric": "accuracy", "value": "81.5",
    "sd": "0.3", "network": "ResNet-34", "criterion": "last", "source": "A paper, table 1",
}  # fmt: skip


def study(folder: Path, noise=SYMMETRIC, **changes) -> studies.Study:
    cells = [cell("gce", noise, s, dataset="cifar10", protocol=PROTOCOL | changes) for s in (0, 1)]
    done = [record(each, 0.80 + 0.01 * each["seed"]) for each in cells]
    return studies.load(write_study(folder / "made", cells, done, packed=True))


@pytest.fixture
def of_file(monkeypatch):
    """A function that puts rows in place of the file's."""
    return lambda *rows: monkeypatch.setattr(published, "rows", lambda: rows)


def test_a_value_of_the_same_thing_stands_beside_ours(tmp_path, of_file):
    of_file(SAME)
    found, reasons = published.beside(frames.cells(study(tmp_path)), "last")
    assert published.texts(found)[1] == [
        "cifar10, Symmetric 0.4", "GCE", "A paper, table 1", "80.5 ± 0.7 (n = 2)", "81.5 ± 0.3",
        "-1.0",
    ]  # fmt: skip
    assert reasons == {}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"convention": "not stated"}, "the convention of its noise is not stated"),
        ({"convention": "true class included"}, "its noise is another (true class included; here"),
        ({"metric": "top-5"}, "it is top-5"),
        ({"network": "ResNet-32"}, "its network is another or not stated (ResNet-32; here resnet"),
        ({"criterion": "not stated"}, "it is of no criterion known here (not stated)"),
        ({"criterion": "test_peek"}, "it is of another criterion (test_peek)"),
    ],
)
def test_what_differs_is_the_reason_why_a_value_is_left_out(tmp_path, of_file, change, reason):
    of_file(SAME | change)
    found, reasons = published.beside(frames.cells(study(tmp_path)), "last")
    assert found.empty
    ((where, counts),) = reasons.items()
    assert where == "cifar10, Symmetric 0.4" and counts.total() == 1
    assert next(iter(counts)).startswith(reason)
    (sentence,) = published.sentences(found, reasons)
    assert sentence.startswith(f"cifar10, Symmetric 0.4, not comparable: {reason}")


@pytest.mark.parametrize(
    "change", [{"method": "SCE"}, {"data_set": "CIFAR-100"}, {"rate": "0.2"}, {"noise": "clean"}]
)
def test_values_of_other_methods_data_sets_or_noises_are_no_matter(tmp_path, of_file, change):
    of_file(SAME | change)
    assert published.beside(frames.cells(study(tmp_path)), "last")[1] == {}


def test_the_mean_of_ten_epochs_is_not_that_of_three(tmp_path, of_file):
    of_file(SAME | {"criterion": "last10"})
    long, short = study(tmp_path / "long"), study(tmp_path / "short", epochs=12)
    assert len(published.beside(frames.cells(long), "last10")[0]) == 1
    assert published.beside(frames.cells(short), "last10")[0].empty


def test_symmetric_noise_with_the_true_class_meets_its_own_kind(tmp_path, of_file):
    of_file(SAME, SAME | {"convention": "true class included", "value": "70"})
    noise = SYMMETRIC | {"include_true_class": True}
    found, _ = published.beside(frames.cells(study(tmp_path, noise)), "last")
    assert found["published"].tolist() == [70.0]


def test_the_file_has_whole_rows_with_a_source_and_names_that_exist():
    rows = published.rows()
    with published.FILE.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert {len(line) for line in lines} == {len(SAME)} and lines[0] == list(SAME)
    for row in rows:
        assert 0 < float(row["value"]) <= 100 and (not row["sd"] or 0 <= float(row["sd"]) < 50)
        assert not row["rate"] or 0 <= float(row["rate"]) < 1
        assert row["source"] and not row["source"].startswith("SECONDARY")
        assert all(row[name] for name in ("method", "data_set", "noise", "network", "criterion"))
    assert set(published.METHODS.values()) <= set(methods.names())
    assert set(published.METHODS) <= {row["method"] for row in rows}
    assert set(published.DATA_SETS.values()) - {"mnist"} <= set(datasets.names())
    ours = {name for name in published.NETWORKS if not name.startswith("pretrained:")}
    assert ours <= set(networks.names())
    used = {name for names in published.NETWORKS.values() for name in names}
    assert used <= {row["network"] for row in rows}
    assert {"last", "last10", "noisy_val", "test_peek"} <= {row["criterion"] for row in rows}
    assert {"last", "last10", "noisy_val", "test_peek"} <= set(CRITERIA)


def test_the_command_writes_what_is_comparable_and_why_the_rest_is_not(
    tmp_path, of_file, monkeypatch, capsys
):
    of_file(SAME, SAME | {"network": "WRN-28-10"})
    line = ["make_tables.py", str(study(tmp_path).folder), "--compare", "published"]
    monkeypatch.setattr(sys, "argv", [*line, "--out", str(tmp_path / "out")])
    command.run(make_tables.main)
    text = (tmp_path / "out" / "published_accuracy_last.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "| 81.5 ± 0.3 |" in text and "(WRN-28-10; here resnet34): 1." in text
    assert "A paper, table 1" in (tmp_path / "out" / "published_accuracy_last.csv").read_text()
    monkeypatch.setattr(sys, "argv", [*line, "--metric", "cost"])
    with pytest.raises(SystemExit) as end:
        command.run(make_tables.main)
    assert end.value.code == 2
    assert "--compare published: needs --metric accuracy, not cost" in capsys.readouterr().err
