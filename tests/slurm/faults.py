"""What tests do to a cluster and ask of it, independent of the code under test."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.slurm import processes
from tests.slurm.configuration import NODE
from tests.slurm.processes import Daemon

T = TypeVar("T")
COMMAND = 60
"""Seconds for one command: without a controller they take up to 18."""


@dataclass(frozen=True)
class Job:
    """One line of squeue. `id` is "12_3" for an element of an array, else "12"."""

    id: str
    state: str
    reason: str
    start: str
    node: str
    name: str


class Faults:
    """The commands, and the accidents, of a cluster."""

    conf: Path
    env: dict[str, str]
    daemons: dict[str, Daemon]
    lost_power: float = 0.0

    def ask(self, *command: str | Path, script: str | None = None) -> tuple[int, str]:
        """Runs a command; returns its exit code and all that it printed."""
        try:
            done = subprocess.run(
                command,
                env=self.env,
                input=script,
                stdin=subprocess.DEVNULL if script is None else None,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=COMMAND,
            )
        except subprocess.TimeoutExpired:
            return 124, f"{command[0]}: no end after {COMMAND} s"
        return done.returncode, done.stdout

    def run(self, *command: str | Path, script: str | None = None) -> str:
        """Runs a command that must succeed; returns what it printed."""
        code, words = self.ask(*command, script=script)
        assert code == 0, f"{' '.join(map(str, command))} ended with {code}: {words}"
        return words

    def submit(self, script: str, *options: str) -> str:
        """Sends the lines of a batch script; returns the job id.

        Outputs are thrown away unless the options name files.
        """
        given = ["--output=/dev/null", *options]
        said = self.run("sbatch", "--parsable", *given, script=f"#!/bin/bash\n{script}\n")
        return said.split()[-1].partition(";")[0]

    def squeue(self) -> list[Job]:
        """All jobs that the controller remembers, a line each, elements of arrays one by one."""
        said = self.run("squeue", "-h", "-r", "-t", "all", "-o", "%i|%T|%r|%S|%N|%j")
        return [Job(*line.split("|", 5)) for line in said.splitlines()]

    def job(self, job: str) -> Job | None:
        """The line of one job or element, or None if there is none."""
        return next((row for row in self.squeue() if row.id == job), None)

    def state(self, job: str) -> str | None:
        """The state of one job or element, or None if it is forgotten."""
        row = self.job(job)
        return row and row.state

    def wait_for(self, condition: Callable[[], T], deadline: float, what: str) -> T:
        """Polls until the condition holds and returns its value.

        Raises:
            TimeoutError: with `what` and the queue as it is then.
        """
        return processes.poll(
            condition, deadline, lambda: "\n".join([what, *map(str, self.squeue())])
        )

    def wait_for_state(self, job: str, *states: str, deadline: float = 60) -> str:
        """Waits until a job is in one of these states; returns which."""

        def reached() -> str | None:
            state = self.state(job)
            return state if state in states else None

        return self.wait_for(reached, deadline, f"{job} is not {' or '.join(states)}")

    def scontrol(self, *arguments: str) -> str:
        """Runs scontrol, which must succeed."""
        return self.run("scontrol", *arguments)

    def details(self, job: str) -> dict[str, str]:
        """What `scontrol show job` says of one job or element, by key."""
        return dict(re.findall(r"(\w+)=(\S*)", self.scontrol("-o", "show", "job", job)))

    def start_now(self, job: str, deadline: float = 60) -> None:
        """Starts a requeued job, which would otherwise wait for two minutes.

        Not before the processes of the attempt before are gone: a job that starts on a node which
        still has them drains the node, and is held for ever.
        """
        number = self.details(job)["JobId"]

        def waits() -> bool:
            row = self.job(job)
            waiting = row is not None and (row.state, row.reason) == ("PENDING", "BeginTime")
            return waiting and not processes.of_jobs(self.conf, number)

        self.wait_for(waits, deadline, f"{job} does not wait for its next start")
        # A start in the second of the end before is refused: the credential counts whole seconds.
        time.sleep(1.05 - time.time() % 1)
        # Not by its number: the last element of an array has that of the array, and means all.
        self.scontrol("update", f"jobid={job}", "StartTime=now")

    def stop_controller(self) -> None:
        """The controller goes, as for maintenance; jobs run on."""
        self.daemons["slurmctld"].stop()

    def start_controller(self) -> None:
        """The controller comes back and answers."""
        self._start_slurmctld()

    def node_state(self) -> str:
        """The state of the node in sinfo's long words, such as "idle" or "down"."""
        code, said = self.ask("sinfo", "-h", "-p", "main", "-n", NODE, "-o", "%T")
        return said.strip() if code == 0 else f"unknown: {said.strip()}"

    def node_down(self) -> None:
        """The node is set down: its jobs are requeued at once, their processes end later."""
        self.scontrol("update", f"nodename={NODE}", "state=down", "reason=test")

    def node_resume(self, deadline: float = 60) -> None:
        """The node is usable again, once nothing of its jobs before is left on it."""
        self.wait_for(lambda: not processes.of_jobs(self.conf), deadline, "tasks do not end")
        update = ("scontrol", "update", f"nodename={NODE}", "state=resume")
        self.ask(*update)  # refused if it came back by itself

        def usable() -> bool:
            state = self.node_state()
            if state.startswith("down"):
                self.ask(*update)
            return state in ("idle", "mixed", "allocated")

        self.wait_for(usable, deadline, f"{NODE} does not come back")

    def start_too_soon(self, job: str) -> None:
        """The node is set down and, at once, usable again: the job meets its own processes there.

        SLURM then drains the node and holds the job, for a person.
        """
        old = processes.of_jobs(self.conf, self.details(job)["JobId"])
        for pid in old:
            os.kill(pid, signal.SIGSTOP)
        self.node_down()
        self.wait_for_state(job, "PENDING")
        self.scontrol("update", f"nodename={NODE}", "state=resume")
        time.sleep(1.05 - time.time() % 1)  # as in `start_now`
        self.scontrol("update", f"jobid={job}", "StartTime=now")
        held = "launch failed requeued held"
        try:
            self.wait_for(lambda: self.job(job).reason == held, 60, f"{job} is not held")
        finally:
            for pid in old:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        self.node_resume()

    def lose_power(self) -> None:
        """The node and all on it dies without a word; the controller notices after 40 s."""
        self.daemons["slurmd"].stop(signal.SIGKILL)
        processes.kill_jobs(self.conf)
        self.lost_power = time.time()

    def restore_power(self) -> None:
        """The node boots again, and says so: its jobs are requeued without further delay.

        The controller sets down a node that boots without having been asked to, for a person.
        """
        # The controller believes in a boot only if it is later, in whole seconds, than the last
        # word that it had from the node.
        time.sleep(max(0.0, self.lost_power + 2 - time.time()))
        self._launch_slurmd("-b")
        rebooted = lambda: "unexpectedly rebooted" in self.scontrol("show", "node", NODE)  # noqa: E731
        self.wait_for(rebooted, 60, "no boot seen")
        # The daemon of the test goes on telling when it booted, give or take a second: what is late
        # may be taken for one more boot.
        self.daemons["slurmd"].stop()
        self._launch_slurmd()
        self.node_resume()

    def wait_for_task(self, job: str, deadline: float = 60) -> list[int]:
        """Waits until srun has started something for a job; returns the process ids.

        A job is RUNNING before its batch script has begun; srun in it then asks the controller.
        """
        self.wait_for_state(job, "RUNNING", deadline=deadline)
        number = self.details(job)["JobId"]
        return self.wait_for(
            lambda: processes.of_jobs(self.conf, number, tasks_only=True),
            deadline,
            f"{job} has no task",
        )

    def kill_task(self, job: str) -> None:
        """What srun started for a job is killed by SIGKILL, as by the kernel without memory."""
        for pid in self.wait_for_task(job):
            with contextlib.suppress(ProcessLookupError):  # ended with its parent already
                os.kill(pid, signal.SIGKILL)
