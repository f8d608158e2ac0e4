"""Parts of a check, each commands with a time limit: what fails or hangs stops none of the others.

The state of all parts is in `summary.json`, written as each ends: a part that has finished is not
run again in the same folder. Of what is cut off there remains what its commands have written.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runners.results.provenance import ROOT
from runners.system.errors import UserError
from runners.system.files import read_json, write_json, write_text

GRACE_S = 8.0
"""Seconds that a command is given, after a Ctrl-C, to write what it has."""
SHORT_S = 30.0
"""Limit of a command that comes last, whatever came before it."""
TOLD = 6000
"""Letters of the end of an output that the summary repeats."""


@dataclass(frozen=True)
class Part:
    """Commands that are run one after the other.

    Attributes:
        name: of the part.
        share: weight of its part of the time that is left.
        commands: argument lists; the first that fails ends the part.
        last: commands that are run at its end in any case: they pack and tell what there is.
        output: file for what the commands print.
        missing: why the part cannot be run here, as a sentence; empty if it can.
    """

    name: str
    share: float
    commands: Sequence[Sequence[str]]
    output: Path
    last: Sequence[Sequence[str]] = ()
    missing: str = ""


@dataclass(frozen=True)
class State:
    """How a part has ended: finished, failed, out of time, or left out; seconds of all calls."""

    name: str
    state: str
    seconds: float = 0.0
    told: str = ""


def run_parts(parts: Sequence[Part], folder: Path, seconds: float, device: str) -> list[State]:
    """Runs the parts that have not finished in this folder; returns how all of them stand.

    Args:
        folder: of `summary.json` and `summary.txt`.
        seconds: for all; what a part does not use is there for those after it.
        device: that all parts of a folder are run on.

    Raises:
        UserError: the folder holds parts that were run on another device.
    """
    folder.mkdir(parents=True, exist_ok=True)
    states = _earlier(folder, device)
    to_run = [part for part in parts if not _finished(states, part)]
    end = time.monotonic() + seconds
    for number, part in enumerate(to_run):
        began = time.monotonic()
        weights = sum(each.share for each in to_run[number:])
        limit = began + max(0.0, end - began) * part.share / weights
        print(f"{part.name}: at most {limit - began:.0f} s", flush=True)
        state = _run_part(part, limit)
        earlier = states[part.name].seconds if part.name in states else 0.0
        taken = round(earlier + time.monotonic() - began, 1)
        states[part.name] = replace(state, seconds=taken)
        entries = [asdict(each) for each in states.values()]
        write_json(folder / "summary.json", {"device": device, "parts": entries})
        write_text(folder / "summary.txt", _text(list(states.values())))
    return [states[part.name] for part in parts]


def _earlier(folder: Path, device: str) -> dict[str, State]:
    """How the parts of an earlier call ended, by name; empty where nothing can be read."""
    content = read_json(folder / "summary.json")
    content = content if isinstance(content, dict) else {}
    if (before := content.get("device", device)) != device:
        raise UserError(
            f"--out: {folder} holds parts that were run on {before}: must be another folder, or "
            f"--device {before}"
        )
    states: dict[str, State] = {}
    for entry in content.get("parts", []):
        with contextlib.suppress(TypeError):  # of another version
            state = State(**entry)
            states[state.name] = state
    return states


def _finished(states: dict[str, State], part: Part) -> bool:
    return part.name in states and states[part.name].state == "finished"


def _run_part(part: Part, limit: float) -> State:
    if part.missing:
        write_text(part.output, f"{part.missing}\n")
        return State(part.name, "left out", told=part.missing)
    part.output.parent.mkdir(parents=True, exist_ok=True)
    part.output.write_bytes(b"")
    state = "finished"
    for command in part.commands:
        if (code := run_command(command, part.output, limit)) != 0:
            state = "out of time" if code is None else f"failed (exit code {code})"
            break
    for command in part.last:
        code = run_command(command, part.output, time.monotonic() + SHORT_S)
        if code != 0 and state == "finished":
            state = "out of time" if code is None else f"failed (exit code {code})"
    told = part.output.read_text(encoding="utf-8", errors="replace")
    return State(part.name, state, told=told[-TOLD:] if state != "finished" or part.last else "")


def run_command(command: Sequence[str], output: Path, limit: float) -> int | None:
    """Runs a command in a session of its own; returns its exit code, None if it ran out of time.

    At its limit it gets a Ctrl-C, and `GRACE_S` later it and all that it started are killed, as
    they are if this process is ended.

    Args:
        output: file to which what it prints is added.
        limit: of `time.monotonic()`.
    """
    with output.open("ab") as file:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            # A process in the background of a script ignores Ctrl-C, as would what it starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
    try:
        return process.wait(timeout=max(0.0, limit - time.monotonic()))
    except subprocess.TimeoutExpired:
        _interrupt(process)
        return None
    except KeyboardInterrupt:
        _interrupt(process)
        raise
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _interrupt(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=GRACE_S)


def _text(states: Sequence[State]) -> str:
    told = [f"\n== {each.name}: {each.state}\n{each.told}" for each in states if each.told]
    return "\n".join([table(states), *told, ""])


def table(states: Sequence[State]) -> str:
    """The parts, their states and their seconds as aligned text."""
    width = max(len(each.name) for each in states)
    return "\n".join(f"{s.name.ljust(width)}  {s.seconds:>7.1f} s  {s.state}" for s in states)
