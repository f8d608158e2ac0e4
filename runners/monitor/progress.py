"""The progress of a grid: one bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from tqdm import tqdm

from runners.pool.messages import (
    Done,
    EndedElsewhere,
    EpochOver,
    Failed,
    FewerWorkers,
    Message,
    Retried,
    RunningElsewhere,
    Started,
)
from runners.results.store import CellStatus, State
from runners.system.durations import duration


class Progress:
    """Follows the messages of a run and shows counts by state, rate and time left.

    Args:
        seconds: cell name -> estimated duration, for all cells to run.
        workers: how many run at once.
        elsewhere: cells of the selection that are done already.
    """

    def __init__(self, seconds: Mapping[str, float], workers: int, elsewhere: int) -> None:
        self.seconds, self.workers, self.elsewhere = dict(seconds), workers, elsewhere
        self.running: dict[str, float] = {}  # cell name -> share of its epochs that is over
        self.done = self.failed = 0
        self.all_seconds, self.ended_seconds = sum(self.seconds.values()), 0.0
        self.began = time.monotonic()
        form = "{bar:30} {n_fmt}/{total_fmt} {desc}"
        self.bar = tqdm(
            total=len(self.seconds),
            bar_format=form,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
        )

    def take(self, message: Message) -> None:
        """Updates the display with one message."""
        name = message.name
        self.running.pop(name, None)
        match message:
            case Started():
                self.running[name] = 0.0
            case EpochOver(_, epoch, epochs):
                self.running[name] = epoch / epochs
            case RunningElsewhere():
                self._say(f"{name}  is run by another runner; waiting for it")
            case Retried(_, reason):
                self._say(f"{name}  {reason}; retrying")
            case FewerWorkers(_, workers):
                self._say(f"{name}  out of memory; continues with {workers} on its device")
            case Done(_, accuracy, seconds):
                self._finish(name, f"{100 * accuracy:.2f} %  {duration(seconds)}")
            case Failed(_, failure):
                self._finish(name, f"FAILED: {failure.reason}", failed=True)
            case EndedElsewhere(_, CellStatus(state=State.DONE | State.STALE) as status):
                self._finish(name, f"{100 * status.accuracy:.2f} %  by another runner")
            case EndedElsewhere(_, CellStatus() as status):
                self._finish(name, f"FAILED at another runner: {status.note}", failed=True)
        self.bar.set_description_str(self.status())

    def _finish(self, name: str, outcome: str, failed: bool = False) -> None:
        self.failed += failed
        self.done += not failed
        self.ended_seconds += self.seconds[name]
        self.bar.update()
        self._say(f"[{self.done + self.failed}/{len(self.seconds)}] {name}  {outcome}")

    def _say(self, line: str) -> None:
        if self.bar.disable:
            print(f"{line}  ({self.status()})", flush=True)
        else:
            self.bar.write(line)

    def status(self) -> str:
        """Counts by state, cells an hour and the estimated time left."""
        finished = self.done + self.failed
        waiting = len(self.seconds) - finished - len(self.running)
        counts = f"{self.done + self.elsewhere} done, {self.failed} failed, "
        counts += f"{len(self.running)} running, {waiting} waiting"
        worked = self._worked()
        if worked == 0:
            return counts
        elapsed = time.monotonic() - self.began
        left = max(0.0, self.all_seconds - worked) * elapsed / worked
        rate = f", {3600 * finished / elapsed:.0f} cells/h" if finished else ""
        return f"{counts}{rate}, {duration(left)} left"

    def _worked(self) -> float:
        """Estimated seconds of the work that is over, running cells by their epochs."""
        return self.ended_seconds + sum(
            self.seconds[name] * part for name, part in self.running.items()
        )

    def close(self) -> None:
        self.bar.close()
