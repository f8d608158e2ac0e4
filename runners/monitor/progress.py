"""The progress of a grid: one bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any

from tqdm import tqdm

from runners.results.store import CellStatus, State
from runners.system.durations import duration

SENTENCES = {
    "held": "{0}  is run by another runner; waiting for it",
    "again": "{0}  {1}; retrying",
    "fewer": "{0}  out of memory; continues with {1} on its device",
}
"""What is said of a cell that has not ended yet, by kind of message."""


class Progress:
    """Follows the messages of a launcher and shows counts by state, rate and time left.

    Args:
        seconds: cell name -> estimated duration, for all cells to run.
        workers: how many run at once.
        elsewhere: cells of the selection that are done already.
    """

    def __init__(self, seconds: Mapping[str, float], workers: int, elsewhere: int) -> None:
        self.seconds, self.workers, self.elsewhere = dict(seconds), workers, elsewhere
        self.running: dict[str, float] = {}  # cell name -> share of its epochs that is over
        self.done: list[str] = []
        self.failed: list[str] = []
        self.began = time.monotonic()
        form = "{bar:30} {n_fmt}/{total_fmt} {desc}"
        self.bar = tqdm(
            total=len(self.seconds),
            bar_format=form,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def take(self, message: tuple[Any, ...]) -> None:
        """Updates the display with one message of the launcher."""
        kind, name, *rest = message
        if kind == "started":
            self.running[name] = 0.0
        elif kind == "epoch":
            self.running[name] = rest[0] / rest[1]
        else:
            self.running.pop(name, None)
            if kind in ("done", "failed", "elsewhere"):
                self._finish(kind, name, rest)
            else:
                self._say(SENTENCES[kind].format(name, *rest))
        self.bar.set_description_str(self.status())

    def _finish(self, kind: str, name: str, rest: list[Any]) -> None:
        if kind == "elsewhere":
            outcome = self._ended_elsewhere(name, rest[0])
        elif kind == "done":
            accuracy, seconds = rest
            self.done.append(name)
            outcome = f"{100 * accuracy:.2f} %  {duration(seconds)}"
        else:
            self.failed.append(name)
            outcome = f"FAILED: {rest[0].reason}"
        self.bar.update()
        finished = len(self.done) + len(self.failed)
        self._say(f"[{finished}/{len(self.seconds)}] {name}  {outcome}")

    def _ended_elsewhere(self, name: str, status: CellStatus) -> str:
        if status.state in (State.DONE, State.STALE):
            self.done.append(name)
            return f"{100 * status.accuracy:.2f} %  by another runner"
        self.failed.append(name)
        return f"FAILED at another runner: {status.note}"

    def _say(self, line: str) -> None:
        if self.bar.disable:
            print(f"{line}  ({self.status()})", flush=True)
        else:
            self.bar.write(line)

    def status(self) -> str:
        """Counts by state, cells an hour and the estimated time left."""
        waiting = len(self.seconds) - len(self.done) - len(self.failed) - len(self.running)
        counts = f"{len(self.done) + self.elsewhere} done, {len(self.failed)} failed, "
        counts += f"{len(self.running)} running, {waiting} waiting"
        worked = self._worked()
        if worked == 0:
            return counts
        elapsed = time.monotonic() - self.began
        left = max(0.0, sum(self.seconds.values()) - worked) * elapsed / worked
        finished = len(self.done) + len(self.failed)
        rate = f", {3600 * finished / elapsed:.0f} cells/h" if finished else ""
        return f"{counts}{rate}, {duration(left)} left"

    def _worked(self) -> float:
        """Estimated seconds of the work that is over, running cells by their epochs."""
        ended = sum(self.seconds[name] for name in [*self.done, *self.failed])
        return ended + sum(self.seconds[name] * part for name, part in self.running.items())

    def close(self) -> None:
        self.bar.close()
