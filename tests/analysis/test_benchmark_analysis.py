"""The benchmark of the analysis reads the study that it makes."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.helpers.cli import ROOT


def test_a_small_study_is_made_and_read():
    line = [sys.executable, ROOT / "analysis" / "benchmark_analysis.py", "--cells", "120"]
    done = subprocess.run([*line, "--epochs", "14"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "120 cells with 14 epochs" in done.stdout
    assert len(re.findall(r"CPU +\d+\.\d s, peak memory +\d+ MiB", done.stdout)) == 4
    assert re.search(r"^report +.*\n0\.\d\d MB of report$", done.stdout, re.MULTILINE)
