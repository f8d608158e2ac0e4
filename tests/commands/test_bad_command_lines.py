"""`tests/study/bad_configs/NAME.args` are command lines, refused with the words of NAME.txt.

`{*}` in the expected words stands for any text, such as a folder of this machine.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from runners.results.provenance import ROOT

FOLDER = ROOT / "tests" / "study" / "bad_configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.args"))


def has_gpu() -> bool:
    return any(Path("/dev").glob("nvidia[0-9]*"))


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_command_line_is_refused_in_one_sentence_and_nothing_is_written(name, tmp_path):
    if name == "device_cuda_without_cuda" and has_gpu():
        pytest.skip("this machine has a GPU")
    arguments = shlex.split((FOLDER / f"{name}.args").read_text())
    before = {path for path in ROOT.glob("results/*") if path.is_dir()}
    command = [sys.executable, "runners/run_grid.py", *arguments]
    home = {**os.environ, "HOME": str(tmp_path)}  # where data sets are looked for, too
    run = subprocess.run(command, cwd=ROOT, env=home, capture_output=True, text=True, timeout=60)
    expected = (FOLDER / f"{name}.txt").read_text().strip()
    pattern = ".*".join(map(re.escape, expected.split("{*}")))
    assert run.returncode == 2
    assert re.fullmatch(pattern, run.stderr.strip()), run.stderr
    assert run.stdout == ""
    assert {path for path in ROOT.glob("results/*") if path.is_dir()} == before
