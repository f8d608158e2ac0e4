"""What is left to run of a selection, shared with the other runners of the same folder."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from runners.pool.messages import EndedElsewhere, Retried
from runners.results.job import Job
from runners.results.store import State, StudyFolder

LOOK_S = 1.0
"""Seconds between looks at what other runners do."""


class JobQueue:
    """Jobs in the order in which they are started; those that others hold wait aside.

    Args:
        running_elsewhere: cells that others are running and that are waited for without being
            wanted: they are run here only if they end with a failure that may pass.
    """

    def __init__(
        self, jobs: Sequence[Job], study: StudyFolder, running_elsewhere: Sequence[Job] = ()
    ) -> None:
        self.study = study
        self._waiting, self._aside = deque(jobs), deque(running_elsewhere)
        self._unwanted = {job.cell.name for job in running_elsewhere}
        self._looked = float("-inf")

    def __len__(self) -> int:
        """Jobs that have not been given out, or were given back."""
        return len(self._waiting) + len(self._aside)

    def next(self) -> Job | None:
        """The next job that nobody else seems to run, or None if there is none now."""
        return self._waiting.popleft() if self._waiting else None

    def put_aside(self, job: Job) -> None:
        """Gives back a job that another process runs."""
        self._aside.append(job)

    def put_back(self, job: Job) -> None:
        """Gives back a job that is to be run before all others."""
        self._waiting.appendleft(job)

    def retry(self, job: Job) -> None:
        """Gives back a job whose attempt has failed here, for another one."""
        state, attempts = job.version
        # How the failure looks. Not looked up: another runner may have taken it up already.
        version = (State.FAILED if state == State.MISSING else state), attempts + 1
        self.put_back(replace(job, version=version, retries=job.retries - 1))

    def after_others(self, job: Job) -> EndedElsewhere | Retried | None:
        """Takes back a job that another process has run, if there is still something to do.

        Returns:
            What its files say if the cell has ended, a retry if it has failed in a way that may
            pass, None if its holder was cut off and it is wanted.
        """
        name = job.cell.name
        status = self.study.cell(name).status(job.fingerprint)
        if status.version == job.version and name not in self._unwanted:
            self._waiting.append(job)
            return None
        failures = status.attempts - job.version[1]
        if status.transient and 0 < failures <= job.retries:
            self._unwanted.discard(name)
            self._waiting.append(
                replace(job, version=status.version, retries=job.retries - failures)
            )
            return Retried(name, status.note)
        return EndedElsewhere(name, status)

    def look(self) -> list[EndedElsewhere | Retried]:
        """Looks after the jobs of others, once a second: what they have ended, what is free again.

        Returns:
            The messages of `after_others`.
        """
        now = time.monotonic()
        if not self._aside or now - self._looked < LOOK_S:
            return []
        self._looked = now
        live = self.study.leases.live()
        aside, self._aside = self._aside, deque()
        messages = []
        for job in aside:
            if job.cell.name in live:
                self._aside.append(job)
            else:
                messages.append(self.after_others(job))
        return [message for message in messages if message]
