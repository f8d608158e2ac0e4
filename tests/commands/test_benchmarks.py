"""Benchmarks of speed: which rows they make, and what stays in the files that they write."""

from __future__ import annotations

import json

from runners.speed.bench import variants_of
from runners.speed.speed_files import write_rows


def test_every_chosen_method_has_its_rows_and_cross_entropy_is_there_to_compare():
    rows = variants_of(["gce", "metalabelnet"], against=True)
    assert rows == [
        ("cross_entropy", ""),
        ("gce", ""),
        ("metalabelnet", "cached"),
        ("metalabelnet", "online"),
        ("metalabelnet", "double-backward"),
    ]


def test_rows_of_another_network_stay_in_the_file(tmp_path):
    def row(network: str, ms: float) -> dict:
        return {"network": network, "device": "cpu", "min_ms": ms}

    for new in ([row("cnn8", 1)], [row("small_cnn", 2)], [row("cnn8", 3), row("cnn8", 4)]):
        path = write_rows(tmp_path, "Some GPU", new, parts=("network", "device"))
    assert path == tmp_path / "some-gpu.json"
    expected = [row("small_cnn", 2), row("cnn8", 3), row("cnn8", 4)]
    assert json.loads(path.read_text()) == expected
