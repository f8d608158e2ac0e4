"""Parts of a check: limits, failures, and the way on in a second call. Trivial parts only."""

from __future__ import annotations

import json
import signal
import sys
import time
from pathlib import Path

import pytest

from runners import gpu_check
from runners.speed import parts
from runners.speed.parts import Part, run_parts
from runners.system.errors import UserError


def part(folder, name, code, share=1.0, **more):
    return Part(name, share, [[sys.executable, "-c", code]], folder / f"{name}.txt", **more)


def states(folder, *chosen, seconds=20.0, device="cpu"):
    return {state.name: state for state in run_parts(chosen, folder, seconds, device)}


def test_a_part_that_fails_leaves_its_words_and_the_others_run(tmp_path):
    crash = part(tmp_path, "crash", "import os; print('broken', flush=True); os.abort()")
    found = states(tmp_path, crash, part(tmp_path, "after", "print('fine')"))
    assert found["crash"].state.startswith("failed") and "broken" in found["crash"].told
    assert found["after"].state == "finished"
    assert "broken" in (tmp_path / "summary.txt").read_text()


def test_a_part_that_hangs_is_killed_with_its_children_and_keeps_what_it_wrote(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(parts, "GRACE_S", 0.2)
    hang = (
        "import signal, subprocess, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    began = time.monotonic()
    found = states(
        tmp_path,
        part(tmp_path, "hang", hang, share=0.1),
        part(tmp_path, "after", "print('fine')", share=0.9),
        seconds=10.0,
    )
    assert time.monotonic() - began < 10
    assert (found["hang"].state, found["after"].state) == ("out of time", "finished")
    child = int((tmp_path / "hang.txt").read_text())
    assert _is_gone(child)


def _is_gone(pid: int) -> bool:
    """Whether a process is dead within five seconds; one that nobody has waited for is."""
    stat = Path(f"/proc/{pid}/stat")
    for _ in range(50):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize("here", [signal.default_int_handler, signal.SIG_IGN])
def test_at_its_limit_a_part_is_asked_to_end_and_what_comes_last_runs(here, tmp_path):
    asked = (
        "import time\nprint('begun', flush=True)\n"
        "try: time.sleep(60)\nexcept KeyboardInterrupt: print('kept')"
    )
    last = [[sys.executable, "-c", "print('packed')"]]
    before = signal.signal(signal.SIGINT, here)  # ignored in the background of a script
    try:
        found = states(tmp_path, part(tmp_path, "long", asked, last=last), seconds=1.0)
    finally:
        signal.signal(signal.SIGINT, before)
    assert found["long"].state == "out of time"
    assert found["long"].told.split() == ["begun", "kept", "packed"]


def test_a_second_call_runs_only_what_has_not_finished(tmp_path):
    mark = f"open({str(tmp_path / 'ran')!r}, 'a').write('x')"
    flag = tmp_path / "flag"
    fails = f"import sys, os; sys.exit(not os.path.exists({str(flag)!r}))"
    chosen = part(tmp_path, "first", mark), part(tmp_path, "second", fails)
    assert states(tmp_path, *chosen)["second"].state == "failed (exit code 1)"
    flag.touch()
    found = states(tmp_path, *chosen)
    assert [state.state for state in found.values()] == ["finished", "finished"]
    assert (tmp_path / "ran").read_text() == "x"
    written = json.loads((tmp_path / "summary.json").read_text())
    assert [entry["state"] for entry in written["parts"]] == ["finished", "finished"]


def test_a_part_that_cannot_run_here_says_so_in_its_file(tmp_path):
    found = states(tmp_path, part(tmp_path, "cells", "1 / 0", missing="no data: put them there"))
    assert found["cells"].state == "left out"
    assert (tmp_path / "cells.txt").read_text() == "no data: put them there\n"


def test_a_folder_is_of_one_device(tmp_path):
    states(tmp_path, part(tmp_path, "first", "pass"))
    with pytest.raises(UserError, match="run on cpu"):
        states(tmp_path, part(tmp_path, "first", "pass"), device="cuda")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seconds", "0"], "--seconds: 0.0 is not allowed: must be a number above 0"),
        (["--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["--parts", "lunch"], "argument --parts: invalid choice: 'lunch'"),
    ],
)
def test_bad_arguments_are_one_sentence(words, said, tmp_path, capsys):
    try:
        code = gpu_check.main(["--out", str(tmp_path / "out"), "--device", "cpu", *words])
    except SystemExit as end:
        code = end.code
    printed = capsys.readouterr().err
    assert code == 2 and said in printed and printed.count("\n") == 1
    assert not (tmp_path / "out").exists()
