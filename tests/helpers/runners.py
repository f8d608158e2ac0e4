"""Runners in processes of their own that share one folder of results."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from runners.results.leases import Leases
from tests.helpers.cli import command, environment, write_study

WAITS = "is run by another runner; waiting for it"


@dataclass
class Runner:
    """A `run_grid.py` in a process group of its own."""

    process: subprocess.Popen
    output: Path

    def said(self) -> str:
        return self.output.read_text()

    def ends(self, code: int) -> str:
        """Waits for its end; returns what it has said."""
        assert self.process.wait(timeout=120) == code, self.said()
        return self.said()


@dataclass
class Site:
    """One folder of results and the runners that were started on it."""

    folder: Path
    methods: list[str]
    runners: list[Runner] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.study = write_study(self.folder / "study.yaml", self.methods)
        self.results, self.go = self.folder / "results", self.folder / "go"
        self.leases = Leases(self.results / "s" / "leases")
        more = {"NOTES": str(self.folder / "notes"), "GO": str(self.go)}
        self.environment = environment(self.folder, **more)

    def start(self, *words: str, before: tuple[str, ...] = ()) -> Runner:
        output = self.folder / f"output-{len(self.runners)}"
        with output.open("w") as file:
            process = subprocess.Popen(
                [*before, *command(self.study, self.results, *words)],
                cwd=self.folder,
                env=self.environment,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.runners.append(Runner(process, output))
        return self.runners[-1]

    def notes(self) -> list[int]:
        """The process of every attempt of `Noted` and `Paused` that got to its first step."""
        path = self.folder / "notes"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def say(self, word: str) -> None:
        """Lets the paused cells go on, or tells them how to end."""
        (self.folder / "going").write_text(word)
        (self.folder / "going").replace(self.go)

    def assert_clean(self) -> None:
        """No lease and no temporary file may be left."""
        assert not list(self.leases.folder.iterdir())
        assert not list(self.results.rglob("*.tmp*"))


@contextlib.contextmanager
def site(folder: Path, *methods: str) -> Iterator[Site]:
    """A site, all of whose processes are killed at the end."""
    made = Site(folder, list(methods))
    try:
        yield made
    finally:
        for runner in made.runners:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(runner.process.pid, signal.SIGKILL)
            runner.process.wait()
