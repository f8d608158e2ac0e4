"""What a finished cell leaves on disk: the record, its epochs and its samples."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

import methods
from runners.results.samples import samples_sha256
from runners.system.canonical import sha256_of
from tests.helpers.cli import cell_folder, timeless

SHA256 = re.compile(r"[0-9a-f]{64}")


def shape(value):
    """The structure of a record: keys, and the kind of each value."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    return type(value).__name__


def test_a_record_has_the_fields_of_the_protocol_and_no_others(found):
    accuracy = {"epoch": "int", "test": "float"}
    criteria = {"last": accuracy, "last10": {"epoch": "NoneType", "test": "float"}}
    criteria |= {"noisy_val": accuracy, "clean_val": "NoneType", "test_peek": accuracy}
    fits = {"fits_given": "float", "fits_true": "float"}
    texts = ("dataset", "noise_slug", "noise_display", "method", "label", "display")
    config = {key: value for key, value in shape(found["metalabelnet"]["config"]).items()}
    counts = ("train", "noisy_val", "clean_subset", "clean_val", "test")
    origin = {key: "str" for key in ("git_sha", "fingerprint", "data_stamp", "python", "device")}
    origin |= {key: "str" for key in ("data_sha256", "split_sha256", "processor", "host")}
    origin |= {"dirty": "bool", "sources": "list", "torch_threads": "int", "attempts": "int"}
    origin |= {"warnings": "list"}
    realised = {"realised_rate": "float", "matrix": "list"}
    calibrated = ("count", "confidence", "accuracy")
    expected = {
        "schema": "int",
        "results_version": "int",
        "key": "str",
        "cell": {key: "str" for key in texts}
        | {"seed": "int", "noise": shape(found["metalabelnet"]["cell"]["noise"])},
        "track": "str",
        "hparams_source": dict.fromkeys(methods.declaration("metalabelnet").fields, "str"),
        "tuned_under": "NoneType",
        "tuned_at": "str",
        "privileges": "list",
        "config": config,
        "counts": {key: "int" for key in counts},
        "noise": {"nominal_rate": "float", "labels_sha256": "str", **realised}
        | {"train_part": realised},
        "accuracy": criteria,
        "ensemble_accuracy": "NoneType",
        "end_of_warmup": "float",
        "memorisation": {"clean_part": fits, "corrupted_part": fits},
        "labels": {k: "float" for k in ("accuracy", "on_clean_part", "on_corrupted_part")},
        "selection": "NoneType",
        "confusion": {name: "NoneType" if name == "clean_val" else "list" for name in criteria},
        "calibration": {
            name: "NoneType" if name == "clean_val" else dict.fromkeys(calibrated, "list")
            for name in criteria
        },
        "epochs_sha256": "str",
        "samples_sha256": "str",
        "final_weights_sha256": "str",
        "timing": {key: "float" for key in ("total_s", "train_s", "eval_s", "epoch_s")},
        "peak_memory_mb": "float",
        "provenance": origin | {"packages": shape(found["metalabelnet"]["provenance"]["packages"])},
        "record_sha256": "str",
    }
    made = shape(found["metalabelnet"])
    if made["provenance"]["git_sha"] == "NoneType":  # not in a repository
        made["provenance"] |= {"git_sha": "str", "dirty": "bool"}
    assert made == expected
    assert set(config) == {"dataset", "noise", "method", "seed", "protocol", "hparams"}


def test_methods_differ_in_the_parts_of_a_record_that_they_can_fill(found):
    filled = {
        label: {
            part
            for part in ("ensemble_accuracy", "end_of_warmup", "labels", "selection")
            if record[part] is not None
        }
        for label, record in found.items()
    }
    assert filled == {
        "cross_entropy": set(),
        "pruned": {"selection"},
        "co_teaching": {"ensemble_accuracy", "selection"},
        "metalabelnet": {"end_of_warmup", "labels"},
    }
    sources = {label: set(record["hparams_source"].values()) for label, record in found.items()}
    assert sources == {
        "cross_entropy": set(),
        "pruned": {"default", "study"},
        "co_teaching": {"default"},
        "metalabelnet": {"default"},
    }
    assert found["co_teaching"]["ensemble_accuracy"].keys() == found["pruned"]["accuracy"].keys()


def numbers(value) -> list[float]:
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [n for part in inner for n in numbers(part)]
    return [] if value is None else [value]


def test_rates_and_accuracies_are_fractions_and_counts_add_up(found):
    for label, record in found.items():
        accuracies = [record["accuracy"], record["ensemble_accuracy"]]
        tests = [c["test"] for a in accuracies if a for c in a.values() if c]
        parts = ("memorisation", "labels", "selection", "noise", "end_of_warmup")
        shares = [n for part in parts for n in numbers(record[part]) if not isinstance(n, str)]
        assert all(0 <= n <= 1 for n in tests + shares), label
        counts = record["counts"]
        assert counts == {
            "train": 454,
            "noisy_val": 50,
            "clean_subset": 8,
            "clean_val": 0,
            "test": 256,
        }
        confusion = np.array(record["confusion"]["last"])
        assert confusion.sum(1).tolist() == [64] * 4
        assert record["accuracy"]["last"] == {"epoch": 2, "test": confusion.trace() / 256}
        for rows in (record["noise"]["matrix"], record["noise"]["train_part"]["matrix"]):
            assert np.array(rows).sum(1) == pytest.approx(1)
        assert min(record["timing"].values()) >= 0 < record["peak_memory_mb"]


def test_criteria_are_read_off_the_epochs(finished, found):
    for label, record in found.items():
        lines = timeless(cell_folder(finished.results, label) / "epochs.jsonl")
        test = [line["test"] for line in lines]
        own = [1] if record["end_of_warmup"] is not None else [0, 1]  # epochs after the warm-up
        top = max(lines[epoch]["noisy_val"] for epoch in own)
        tied = [epoch for epoch in own if lines[epoch]["noisy_val"] == top]
        accuracy = record["accuracy"]
        assert accuracy["last10"]["test"] == pytest.approx(sum(test) / 2)
        chosen = {"epoch": tied[0] + 1, "test": test[tied[0]]}
        if len(tied) == 2:
            chosen = {"epoch": None, "test": pytest.approx(sum(test) / 2), "tied": [1, 2]}
        assert accuracy["noisy_val"] == chosen
        assert accuracy["test_peek"]["test"] == max(test[epoch] for epoch in own)
        assert record["end_of_warmup"] in (None, test[0])


def test_confusion_and_calibration_are_those_of_the_epochs_that_a_criterion_reports(found):
    for record in found.values():
        for criterion, reported in record["accuracy"].items():
            if reported is None:
                assert record["confusion"][criterion] is record["calibration"][criterion] is None
                continue
            counts, bins = record["confusion"][criterion], record["calibration"][criterion]
            epochs = 2 if criterion == "last10" else len(reported.get("tied", [0]))
            assert np.sum(counts) == sum(bins["count"]) == 256 * epochs
            assert np.trace(counts) / np.sum(counts) == pytest.approx(reported["test"])
            right = [n * a for n, a in zip(bins["count"], bins["accuracy"], strict=True) if n]
            assert sum(right) == pytest.approx(np.trace(counts))
            for k, (n, mean) in enumerate(zip(bins["count"], bins["confidence"], strict=True)):
                assert (mean is None) == (n == 0)
                assert n == 0 or k / 15 - 1e-6 <= mean <= (k + 1) / 15 + 1e-6


def test_checksums_of_a_record_are_those_of_its_content(finished, found):
    for label, record in found.items():
        folder = cell_folder(finished.results, label)
        assert record["key"] == sha256_of(record["config"])
        assert folder.name.endswith(f"__{label}__s0__{record['key'][:8]}")
        lines = (folder / "epochs.jsonl").read_text().splitlines()
        assert record["epochs_sha256"] == sha256_of([json.loads(line) for line in lines])
        body = {key: value for key, value in record.items() if key != "record_sha256"}
        assert record["record_sha256"] == sha256_of(body)
        hashes = [record["final_weights_sha256"], record["noise"]["labels_sha256"]]
        hashes += [record["provenance"][k] for k in ("data_sha256", "split_sha256", "fingerprint")]
        assert all(SHA256.fullmatch(text) for text in hashes)
        assert record["provenance"]["torch_threads"] == record["provenance"]["attempts"] == 1


def test_epochs_hold_one_line_an_epoch_of_finite_json_numbers(finished, found):
    for label in found:
        path = cell_folder(finished.results, label) / "epochs.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert [line["epoch"] for line in lines] == [1, 2]
        for line in lines:
            assert {"lr", "train", "test", "noisy_val", "memorisation", "seconds"} <= set(line)
            assert all(math.isfinite(number) for number in numbers(line))
            of_class = line["test_by_class"]  # 64 test images of each of four classes
            assert sum(of_class) / 4 == pytest.approx(line["test"]) and len(of_class) == 4
            assert line["clean_val"] is None and 0 < line["train_seconds"] <= line["seconds"]


def test_samples_hold_one_row_a_training_image(finished, found):
    for label, record in found.items():
        with np.load(cell_folder(finished.results, label) / "samples.npz") as file:
            columns = dict(file)
        expected = {"index", "given_label", "prediction", "given_probability"}
        expected |= {"passes", "mean_probability", "mean_margin", "mean_prediction"}
        expected |= {"corrected_label"} if record["labels"] else set()
        expected |= {"clean_probability"} if record["selection"] else set()
        means = {"mean_probability", "mean_margin", "mean_prediction"}
        parts = {"noisy_val": {"index", "given_label", *means}, "test": means}
        other = {f"{part}_{name}" for part, names in parts.items() for name in names}
        assert set(columns) == expected | other
        assert all(columns[name].shape == (454,) for name in expected)
        assert columns["noisy_val_mean_margin"].shape == (50,)
        assert columns["test_mean_margin"].shape == (256,)
        assert record["samples_sha256"] == samples_sha256(columns)
        assert len(np.unique(columns["index"])) == 454
        given = columns["given_label"]
        memorised = record["memorisation"]
        rate = record["noise"]["train_part"]["realised_rate"]
        parts = (memorised["clean_part"], 1 - rate), (memorised["corrupted_part"], rate)
        fits = sum(part["fits_given"] * weight for part, weight in parts)
        assert (columns["prediction"] == given).mean() == pytest.approx(fits)
        assert np.all((columns["given_probability"] >= 0) & (columns["given_probability"] <= 1))
