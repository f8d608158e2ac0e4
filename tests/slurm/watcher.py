"""A watcher that holds `--status` against the cells' files and squeue, again and again."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Self

from tests.slurm.accidents import OnSlurm

FINAL = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", None)


@dataclass(frozen=True)
class Look:
    """A task and its cell at one moment: the state in squeue, and what files there are."""

    queue: str | None
    record: bool
    failure: bool
    begun: bool


def allowed(before: Look, after: Look) -> set[str]:
    """What `--status` may say of a cell if it is asked between two looks.

    While both looks are alike this is one state. Where the task went on in between, it is the
    states of both, and `running` where it went from waiting to its end.
    """
    if before.record:
        return {"done"}
    states = set()
    for look in (before, after):
        if look.queue == "PENDING":
            states |= {"requeued"} if before.begun else {"queued"}
        elif look.queue not in FINAL:
            states.add("running")
        elif not after.record and not after.failure:
            states |= {"lost", "failed"}
    if before.queue == "PENDING" and after.queue in FINAL:
        states.add("running")
    if after.begun and not before.begun:
        states.add("requeued")
    return states | ({"done"} if after.record else set()) | ({"failed"} if after.failure else set())


@dataclass
class Watcher:
    """Samples in a thread, as long as its block lasts.

    Attributes:
        on: the study; each of its tasks has one cell.
        jobs: label of a cell -> id of its task.
        seen: every state that was shown, by label.
        wrong: where files and squeue say otherwise.
    """

    on: OnSlurm
    jobs: dict[str, str]
    seen: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.sample()

    def sample(self) -> None:
        """One question between two looks; the question takes about a second."""
        before = self._looks()
        said = self.on.states()
        after = self._looks()
        for label in self.jobs:
            state = said[label][0]
            shown = self.seen.setdefault(label, [])
            if state not in shown[-1:]:
                shown.append(state)
            if state not in (may := allowed(before[label], after[label])):
                self.wrong.append(f"{label} is {said[label]}, not {may}: {before} {after}")

    def _looks(self) -> dict[str, Look]:
        rows = {row.id: row.state for row in self.on.cluster.squeue()}
        found = {}
        for label, job in self.jobs.items():
            (attempts,) = self.on.results.glob(f"s/slurm/*/{job.partition('_')[0]}_submission.sh")
            begun = list(attempts.parent.glob(f"attempts/*-{job.partition('_')[2] or 0}"))
            files = [f.name for f in self.on.results.glob(f"s/cells/*__{label}__s0__*/*.json")]
            found[label] = Look(
                rows.get(job), "record.json" in files, "failed.json" in files, bool(begun)
            )
        return found
