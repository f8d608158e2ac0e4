"""The whole check in its tiny version, without a GPU."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from analysis import studies
from runners.results.provenance import ROOT


@pytest.mark.slow
def test_every_part_runs_on_the_cpu_and_leaves_its_files(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, ROOT / "runners" / "gpu_check.py", "--out", out]
    # The limit is no promise of speed: about 30 s are needed, more where the machine is busy.
    command += ["--device", "cpu", "--seconds", "400"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert run.returncode == 0, run.stdout + run.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert [part["name"] for part in summary["parts"]] == [
        *("tests", "steps", "epoch", "pool", "cells"),
    ]
    assert all(part["state"] == "finished" for part in summary["parts"])
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == [
        *("cells/records.jsonl", "cells/study.json", "epoch.json", "pool.json", "steps.json"),
        *("summary.json", "summary.txt", "tests.txt"),
    ]
    assert len(studies.load(out / "cells").records) == 2
    assert "skipped" in (out / "tests.txt").read_text()
    assert "finished" in (out / "summary.txt").read_text()

    again = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0 and "at most" not in again.stdout
