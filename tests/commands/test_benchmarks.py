"""Benchmarks of speed: which rows they make, and what stays in the files that they write."""

from __future__ import annotations

import json

import pytest

from runners.speed.bench import ideal_ratio, variants_of
from runners.speed.speed_files import write_rows


def test_every_chosen_method_has_a_compiled_row_beside_each_plain_one():
    rows = variants_of(["gce", "metalabelnet"], against=False, compiled=True)
    assert rows == [
        ("cross_entropy", ""),
        ("gce", ""),
        ("gce", "compiled"),
        ("metalabelnet", "cached"),
        ("metalabelnet", "online"),
        ("metalabelnet", "cached-compiled"),
        ("metalabelnet", "online-compiled"),
    ]


@pytest.mark.parametrize(
    ("method", "plain", "compiled"),
    [
        ("cross_entropy", "", "compiled"),
        ("co_teaching", "", "compiled"),
        ("mw_net", "", "compiled"),
        ("metalabelnet", "cached", "cached-compiled"),
        ("metalabelnet", "online", "online-compiled"),
    ],
)
def test_compiling_does_not_change_the_count_of_passes(method, plain, compiled):
    assert ideal_ratio(method, compiled) == ideal_ratio(method, plain)


def test_rows_of_another_network_stay_in_the_file(tmp_path):
    def row(network: str, ms: float) -> dict:
        return {"network": network, "device": "cpu", "min_ms": ms}

    for new in ([row("cnn8", 1)], [row("small_cnn", 2)], [row("cnn8", 3), row("cnn8", 4)]):
        path = write_rows(tmp_path, "Some GPU", new, parts=("network", "device"))
    assert path == tmp_path / "some-gpu.json"
    expected = [row("small_cnn", 2), row("cnn8", 3), row("cnn8", 4)]
    assert json.loads(path.read_text()) == expected
