"""Benchmarks of speed: which rows they make, and what stays in the files that they write."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from runners import benchmark_settings as settings
from runners.pool.worker import ENVIRONMENT
from runners.results.provenance import ROOT
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


def test_settings_are_measured_beside_those_of_a_worker(tmp_path):
    out = tmp_path / "rows.json"
    line = [sys.executable, ROOT / "runners" / "benchmark_settings.py", "--network", "small_cnn"]
    run = subprocess.run([*line, "--steps", "2", "--json", out], capture_output=True, timeout=120)
    assert run.returncode == 0, run.stderr
    rows = json.loads(out.read_text())
    assert [row["setting"] for row in rows] == list(settings.SETTINGS)
    assert all(row["ratio_min"] > 0 and row["min_ms"] <= row["median_ms"] for row in rows)
    assert (rows[0]["ratio_min"], rows[0]["ratio_median"]) == (1.0, 1.0)


def test_each_setting_differs_from_a_worker_in_what_it_names(monkeypatch):
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "7")
    made = {setting: settings.environment(setting) for setting in settings.SETTINGS}
    assert made[settings.AS_RUN] == made[settings.NCHW]
    assert ENVIRONMENT.items() <= made[settings.AS_RUN].items()
    missing = made[settings.AS_RUN].keys() - made[settings.PLAIN_MALLOC].keys()
    assert missing == {name for name in ENVIRONMENT if name.startswith("MALLOC_")}
    layouts = {setting: settings.layout(setting) for setting in settings.SETTINGS}
    assert layouts.pop(settings.NCHW) == torch.contiguous_format
    assert set(layouts.values()) == {torch.channels_last}
