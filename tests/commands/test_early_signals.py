"""Ctrl-C and SIGTERM in the first second of a run, before any cell has begun."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from runners.commands.arguments import guarded
from tests.helpers.cli import ROOT, command, environment, write_study

SIGNALLING = '''
"""Sends this process a signal at the moment that the environment names, once."""
import os, sys

moments = [os.environ["SIGNAL_AT"]]

def hook(event, arguments):
    if event in ("import", "os.rename") and moments:
        name = arguments[0] if event == "import" else os.path.basename(arguments[1])
        if name == moments[0]:
            moments.clear()
            os.kill(os.getpid(), int(os.environ["SIGNAL"]))

sys.addaudithook(hook)
'''

MOMENTS = [
    "datasets",
    "pydantic",
    "runners.commands.arguments",
    "runners.commands.run_study",
    "study.json",
]
"""Imports from the first to the last, and the rename of the file that is written before cells."""


@pytest.mark.parametrize("script", ["run_grid.py", "tune.py"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_before_the_first_cell_ends_a_run_with_a_sentence(
    number, moment, script, tmp_path
):
    study, results = write_study(tmp_path / "study.yaml", ["cross_entropy"]), tmp_path / "results"
    (tmp_path / "sitecustomize.py").write_text(SIGNALLING)
    line = command(study, results)
    line[1] = str(ROOT / "runners" / script)
    if script == "tune.py":
        line += ["--development", "8", "--out", str(tmp_path / "tuned")]
    known = environment(tmp_path, SIGNAL_AT=moment, SIGNAL=str(int(number)))
    run = subprocess.run(line, env=known, capture_output=True, text=True, timeout=120)
    assert run.returncode == {signal.SIGTERM: 143, signal.SIGINT: 130}[number], run.stderr
    sentence = (
        "stopped; finished cells are kept, others resume from their checkpoints; resume with: "
    )
    assert run.stderr == f"\n{sentence}python {' '.join(line[1:])}\n" and run.stdout == ""
    assert not list(results.rglob("cells/*"))


STOPPED_TWICE = """
import os, signal, sys
from runners.commands.arguments import guarded
from runners.system.signals import ended_by_sigterm

def command():
    try:
        with ended_by_sigterm():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        os.kill(os.getpid(), signal.SIGTERM)

sys.exit(guarded(command))
"""


def test_a_second_sigterm_while_a_run_ends_is_ignored():
    line = [sys.executable, "-c", STOPPED_TWICE]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.returncode == 143, run.stderr
    assert "stopped; finished cells are kept" in run.stderr and "Traceback" not in run.stderr


def test_a_command_may_also_be_run_by_a_thread():
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(guarded, lambda: 3).result() == 3
