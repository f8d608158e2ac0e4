"""Processes that hold leases or contend for them: `python -m tests.helpers.lease_processes ...`.

Contenders write into one ledger, opened with O_APPEND, so that its order is that of what happened:
"in NAME ID" and "out NAME ID" while they hold the lease of NAME, "kill - ID" before ID is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

from runners.results import leases
from runners.results.leases import Leases
from runners.system.processes import this_process

ROOT = Path(__file__).resolve().parents[2]
OTHER_NODE = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
"""In front of a command: its process numbers mean nothing here, as on another machine."""

NAMES = [f"cell-0.{number}" for number in range(4)]
TIMES = 4
"""How often each contender holds each name."""
UNWRITTEN_S = 0.05
SILENT_S = 10.0
"""How long a contender waits for one of another machine, less than the minute of a run."""


@cache
def why_no_other_node() -> str:
    """Why no process can be started in a process namespace of its own; "" where it can."""
    if shutil.which(OTHER_NODE[0]) is None:
        return "there is no unshare here"
    tried = subprocess.run([*OTHER_NODE, "true"], capture_output=True, text=True)
    return "" if tried.returncode == 0 else f"no process namespaces here: {tried.stderr.strip()}"


def start(*words: object, before: tuple[str, ...] = ()) -> subprocess.Popen[str]:
    """Starts this file in a process of its own, which says a line when it has begun."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "tests.helpers.lease_processes", *map(str, words)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def holding(folder: Path, name: str, before: tuple[str, ...] = ()) -> Iterator[subprocess.Popen]:
    """A process that holds a lease, until it is killed or told to end by the end of its input."""
    process = start("hold", folder, name, before=before)
    try:
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def can_take(folder: Path, name: str) -> bool:
    """Whether a new process can take a lease, which it gives back."""
    said, _ = start("hold", folder, name).communicate(timeout=30)
    return said == "True\n"


def wait_for(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until a condition is met; asserts that it is in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def silence(path: Path, seconds: float) -> None:
    """Moves the latest heartbeat of a lease into the past."""
    now = time.time()
    os.utime(path, (now, now - seconds))


def hold(folder: str, name: str) -> None:
    lease = Leases(Path(folder)).take(name, "cpu")
    print(lease is not None, flush=True)
    if lease is not None:
        sys.stdin.read()
        lease.release()


class Ledger:
    """Lines in the order in which any process has written them."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY)

    def write(self, what: str, name: str, who: str) -> None:
        os.write(self._file, f"{what} {name} {who}\n".encode())

    def kill(self, pid: int, who: str) -> None:
        self.write("kill", "-", who)
        os.kill(pid, signal.SIGKILL)


def contend(folder: str, ledger_path: str, who: str, seed: str, dies: str) -> None:
    """Takes every name some times, in an order drawn again until all have been held.

    Args:
        dies: "holding": kills itself while it holds one; "making": between a lease's creation and
            its content; "": only others kill it.
    """
    leases.UNWRITTEN_S, leases.SILENT_S = UNWRITTEN_S, SILENT_S
    own, ledger, rng = Leases(Path(folder)), Ledger(Path(ledger_path)), random.Random(seed)
    fatal = rng.choice(NAMES) if dies else None
    left = NAMES * TIMES
    print("ready", flush=True)
    sys.stdin.readline()
    while left:
        rng.shuffle(left)
        for name in list(left):
            if name == fatal and dies == "making":
                with contextlib.suppress(FileExistsError):
                    os.open(Path(folder) / f"{name}.{rng.randrange(3)}", os.O_CREAT | os.O_EXCL)
                ledger.kill(os.getpid(), who)
            lease = own.take(name)
            if lease is None:
                continue
            with lease:
                ledger.write("in", name, who)
                time.sleep(rng.choice([0, 0.001]))
                if name == fatal:
                    ledger.kill(os.getpid(), who)
                lease.check()
                ledger.write("out", name, who)
            left.remove(name)


def plant_dead(folder: Path) -> None:
    """A lease of every name whose holder is gone, for all contenders to fall on at once."""
    folder.mkdir(parents=True)
    said = {"holder": asdict(replace(this_process(), start="1"))}
    for name in NAMES:
        (folder / f"{name}.0").write_text(json.dumps(said))


def one_round(folder: Path, seed: int, survivors: tuple[tuple[str, ...], ...] = ((), ())) -> None:
    """Contenders of which some are killed; asserts that no two held a name at the same time.

    Args:
        survivors: what stands before the command of each that nobody kills.
    """
    rng = random.Random(seed)
    path = folder / "ledger"
    plant_dead(folder / "leases")
    ledger, words = Ledger(path), ("contend", folder / "leases", path)
    made = [(f"s{i}", "", before) for i, before in enumerate(survivors)]
    made += [("holding", "holding", ()), ("making", "making", ()), ("k0", "", ()), ("k1", "", ())]
    processes = {
        who: start(*words, who, f"{seed}-{who}", dies, before=before) for who, dies, before in made
    }
    for process in processes.values():
        assert process.stdout.readline() == "ready\n"
    for process in processes.values():
        process.stdin.write("\n")
        process.stdin.flush()
    for who in ("k0", "k1"):
        time.sleep(rng.uniform(0, 0.015))
        ledger.kill(processes[who].pid, who)
    ended = {who: process.wait(timeout=60) for who, process in processes.items()}
    for process in processes.values():
        process.communicate()
    killed = {who for who, code in ended.items() if code == -signal.SIGKILL}
    assert {who: code for who, code in ended.items() if who not in killed} == {
        who: 0 for who, _, _ in made if who not in killed
    }
    assert killed >= {"holding", "making"} and not any(who[0] == "s" for who in killed)
    held_alone(path.read_text().splitlines(), [who for who in processes if who not in killed])


def held_alone(lines: list[str], finished: list[str]) -> None:
    """Asserts that the ledger tells of no overlap, and that who finished has held every name."""
    holder: dict[str, str] = {}
    dead, held = set(), Counter()
    for line in lines:
        what, name, who = line.split()
        if what == "kill":
            dead.add(who)
        elif what == "in":
            assert holder.get(name) in (None, *dead), f"{line}, but {holder[name]} is in"
            holder[name] = who
            held[name, who] += 1
        else:
            assert holder.pop(name) == who, line
    assert {held[name, who] for name in NAMES for who in finished} == {TIMES}


if __name__ == "__main__":
    {"hold": hold, "contend": contend}[sys.argv[1]](*sys.argv[2:])
