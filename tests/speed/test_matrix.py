"""Steps in every combination: their order, what a second call measures, and errors as rows."""

from __future__ import annotations

import json
import sys

import pytest
import torch

import methods
from runners import benchmark_matrix as matrix

TINY = [
    *("--device", "cpu", "--networks", "small_cnn", "--precisions", "float32"),
    *("--batches", "8", "--steps", "1"),
]


@pytest.fixture(autouse=True)
def small_product(monkeypatch):
    monkeypatch.setitem(matrix.SIDE, "cpu", 16)
    yield
    torch.use_deterministic_algorithms(False)


def measured(monkeypatch, path, *names):
    """Exit code and content of the file after a call on these methods."""
    words = [*TINY, "--methods", *names, "--json", str(path)]
    monkeypatch.setattr(sys, "argv", ["benchmark_matrix.py", *words])
    code = matrix.main()
    return code, json.loads(path.read_text())


def test_all_methods_come_first_in_the_first_network_precision_and_batch():
    order = matrix.in_order_of_worth(matrix.parser().parse_args(["--json", "x"]))
    first = [each for each in order if each[:3] == ("cnn8", "float32", 128)]
    assert order[: len(first)] == first
    assert {method for *_, method, _ in first} == set(methods.names())
    doubled = {method for *_, method, variant in first if variant == "double-backward"}
    assert doubled == {"metalabelnet", "mw_net"}
    assert len(order) == 3 * 3 * 2 * len(first) == len(set(order))


def test_rows_have_a_cost_and_what_a_cpu_does_not_have_is_null(tmp_path, monkeypatch):
    code, found = measured(monkeypatch, tmp_path / "steps.json", "metalabelnet")
    assert code == 0 and found["missing"] == []
    names = [(row["method"], row["variant"]) for row in found["rows"]]
    variants = [("metalabelnet", v) for v in ("cached", "online", "double-backward")]
    assert names == [("cross_entropy", ""), *variants]
    for row in found["rows"]:
        assert row["busy_ms"] > 0 and row["gflop"] > 0 and row["share_of_matmul"] > 0
        assert row["kernels"] is row["kernels_ms"] is row["waits_for_launches"] is None


def test_a_second_call_measures_what_is_missing_and_what_has_failed(tmp_path, monkeypatch):
    path = tmp_path / "steps.json"
    with monkeypatch.context() as broken:
        broken.setattr(matrix, "kernels", lambda step, device: 1 / 0)
        with pytest.raises(ZeroDivisionError):  # no error of a step: nobody may call it one
            measured(broken, path, "gce")
    with monkeypatch.context() as full:

        def out_of_memory(step, device):
            raise torch.OutOfMemoryError("the card is full")

        full.setattr(matrix, "kernels", out_of_memory)
        code, found = measured(full, path, "cross_entropy")
        assert code == 1 and "the card is full" in found["rows"][0]["error"]
    code, found = measured(monkeypatch, path, "cross_entropy")
    assert code == 0 and "error" not in found["rows"][0]
    again = measured(monkeypatch, path, "gce")[1]["rows"]
    assert again[0] == found["rows"][0] and [row["method"] for row in again][1:] == ["gce"]


@pytest.mark.parametrize(
    ("spans", "length"),
    [([], 0), ([(0, 2), (1, 3), (5, 6)], 4), ([(5, 6), (0, 9), (2, 3)], 9), ([(0, 1), (1, 2)], 2)],
)
def test_time_in_which_anything_runs_counts_once(spans, length):
    assert matrix.covered(spans) == length
