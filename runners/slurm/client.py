"""SLURM's commands, typed: what is in the queue, cancelling, limits, and what sbatch would refuse.

No answer is never taken for an answer: it raises.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from runners.slurm.commands import (
    ControllerDown,
    Refused,
    SlurmError,
    is_down,
    no_answer,
    run,
    words_of,
)
from runners.slurm.messages import is_final

SQUEUE = ("squeue", "--noheader", "--array", "--states=all", "--format=%i|%T|%r|%S|%e|%N|%j")
NO_NODE = "requested node configuration is not available"
USABLE = re.compile(r"(idle|mixed|allocated|completing|planned)\+?$")
MOST_IDS = 1000
"""Ids of one command line."""


@dataclass(frozen=True)
class Row:
    """A job, or one element of an array, as squeue shows it.

    Attributes:
        id: "12_3" for an element, "12" for a job that is no array. Once all waiting elements of
            an array are cancelled, a row "12" that is CANCELLED stands for them together, also
            while others still run.
        state: such as PENDING, RUNNING or a final one.
        reason: why it is pending; means nothing in other states.
        start: when it started or will start, in the local time of the cluster; None if unknown.
        end: when it ended, or will at the latest; None if unknown.
        node: where it runs, or "".
        name: the job's name.
    """

    id: str
    state: str
    reason: str
    start: datetime | None
    end: datetime | None
    node: str
    name: str

    @property
    def final(self) -> bool:
        """Whether it is over; its row is kept for some minutes."""
        return is_final(self.state)


@dataclass(frozen=True)
class Evidence:
    """What the accounting knows of one attempt of a job.

    Attributes:
        state: in sacct's words, such as "CANCELLED by 1000".
        exit_code: "CODE:SIGNAL".
        node, start, end: as texts; "Unknown" and "None assigned" are sacct's own.
    """

    state: str
    exit_code: str
    node: str
    start: str
    end: str


def squeue() -> list[Row]:
    """Every job of this user that the controller remembers, in one call.

    Raises:
        CommandMissing: there is no squeue.
        ControllerDown: no answer; the jobs may be in any state.
    """
    done = run([*SQUEUE, f"--user={os.getuid()}"])
    if done.returncode != 0:
        raise ControllerDown(no_answer(done))
    return [row for line in done.stdout.splitlines() if (row := _row(line))]


def _row(line: str) -> Row | None:
    """The row of a line; None for the rest of another job's name that has line breaks."""
    parts = line.split("|", 6)
    if len(parts) < 7:
        return None
    number, state, reason, start, end, node, name = (part.strip() for part in parts)
    return Row(number, state, reason, _time(start), _time(end), node, name)


def _time(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # N/A
        return None


def scancel(ids: Iterable[str]) -> list[str]:
    """Cancels jobs, arrays or elements.

    Returns:
        What SLURM complained about. Most versions pass over ids that they have forgotten in
        silence, so that no complaint is no proof.

    Raises:
        CommandMissing: there is no scancel.
        ControllerDown: no answer; some may be cancelled.
    """
    complaints = []
    for some in _portions(ids):
        done = run(["scancel", *some])
        if is_down(done):
            raise ControllerDown(no_answer(done))
        complaints += done.stderr.splitlines()
    return complaints


def config() -> dict[str, str]:
    """The cluster's configuration by key, such as MaxArraySize or KillWait.

    Raises:
        CommandMissing: there is no scontrol.
        ControllerDown: no answer.
    """
    done = run(["scontrol", "show", "config"])
    if done.returncode != 0:
        raise ControllerDown(no_answer(done))
    return dict(re.findall(r"^(\S+)\s*= (.*?)\s*$", done.stdout, re.MULTILINE))


def max_array_size() -> int:
    """MaxArraySize of the cluster; the highest index of an array is one less.

    Raises:
        SlurmError: as `config`, or the cluster does not say.
    """
    said = config().get("MaxArraySize", "")
    if not said.isdecimal():
        raise SlurmError("scontrol show config does not tell MaxArraySize")
    return int(said)


def sacct(ids: Iterable[str]) -> dict[str, list[Evidence]]:
    """What the accounting knows, all attempts of each id, oldest first.

    Many clusters have none, or one that is late: what is missing here proves nothing.
    """
    evidence: dict[str, list[Evidence]] = {}
    options = ("--allocations", "--duplicates", "--noheader", "--parsable2")
    fields = "--format=JobID,State,ExitCode,NodeList,Start,End"
    for some in _portions(ids):
        try:
            done = run(["sacct", *options, fields, f"--jobs={','.join(some)}"])
        except SlurmError:
            return evidence
        for line in done.stdout.splitlines() if done.returncode == 0 else ():
            number, *rest = line.split("|")
            if len(rest) == 5:
                evidence.setdefault(number, []).append(Evidence(*rest))
    return evidence


def test_only(script: str) -> None:
    """Asks sbatch whether it would take a batch script; nothing is submitted.

    Not all that can never run is refused: time limits of partitions and of qualities of service
    show only in the queue. What no node has is not told from what no node has now: while some are
    down, drained or not yet known to a controller that has just begun, only real submission tells.

    Raises:
        Refused: with sbatch's own words.
        CommandMissing: there is no sbatch.
        ControllerDown: no answer.
    """
    words = _objection(script)
    if NO_NODE in words.lower():
        if not all(map(USABLE.match, _node_states())):
            return
        # Only now it is sure that all nodes were usable before the question.
        words = _objection(script)
    if words:
        raise Refused(words)


def _objection(script: str) -> str:
    """What sbatch has against a script; empty if nothing."""
    done = run(["sbatch", "--test-only"], script)
    if is_down(done):
        raise ControllerDown(no_answer(done))
    return words_of(done) if done.returncode != 0 else ""


def _node_states() -> list[str]:
    """Of every node, in sinfo's long words; empty where it does not say."""
    done = run(["sinfo", "--noheader", "--Node", "--format=%T"])
    return done.stdout.split() if done.returncode == 0 else []


test_only.__test__ = False  # no test of pytest's, whatever its name


def _portions(ids: Iterable[str]) -> Iterator[list[str]]:
    listed = list(ids)
    return (listed[i : i + MOST_IDS] for i in range(0, len(listed), MOST_IDS))
