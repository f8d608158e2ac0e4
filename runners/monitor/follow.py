"""Following runs that happen elsewhere, from files and the queue: `--watch` and `--wait`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection

from runners.monitor.progress import Progress
from runners.monitor.status import describe_status
from runners.pool.messages import Done, EpochOver, Failed, Started
from runners.results.failures import Failure, Kind
from runners.results.plan import Plan
from runners.results.store import SENT, State, StudyFolder

Look = Callable[[], tuple[Plan, str]]
"""The plan as it is now, and a sentence where the queue gave no answer."""

Pause = Callable[[bool], None]
"""Waits until the next look; is told whether the last one had an answer."""

OPEN = (State.MISSING, *SENT)

LONGEST_PAUSE_S = 300.0


def pauses(seconds: float) -> Pause:
    """A pause between two questions; longer and longer while there is no answer."""
    unanswered = 0

    def pause(answered: bool) -> None:
        nonlocal unanswered
        unanswered = 0 if answered else unanswered + 1
        time.sleep(min(max(LONGEST_PAUSE_S, seconds), seconds * 2 ** min(unanswered, 10)))

    return pause


def watch(look: Look, pause: Pause, study: StudyFolder, command: str) -> Plan:
    """Shows the status again and again until every cell has ended; returns the last plan.

    On a terminal the picture is drawn again; elsewhere it is printed where it has changed.
    """
    shown = ""
    while True:
        plan, no_answer = look()
        text = describe_status(plan, study, command, brief=True, no_answer=no_answer)
        if sys.stdout.isatty():
            print(f"\x1b[H\x1b[2J{text}", flush=True)
        elif text != shown:
            print(text, flush=True)
        shown = text
        if not plan.with_state(*OPEN):
            return plan
        pause(not no_answer)


def wait(
    look: Look, pause: Pause, study: StudyFolder, workers: int | None, sent: Collection[str]
) -> tuple[Plan, set[str]]:
    """Shows the progress as a local run does until no cell is queued or running any more.

    Args:
        workers: tasks that run at once at most; None: as many as there are cells.
        sent: cells to wait for even if they have ended before the first look.

    Returns:
        The last plan, and the cells that were waited for.
    """
    plan, no_answer = look()
    tried = waiting = {cell.name for cell in plan.with_state(*SENT)} | set(sent)
    seconds = {name: plan.seconds[name] for name in waiting}
    progress = Progress(seconds, workers or len(seconds), len(plan.with_state(State.DONE)))
    said: set[str] = set()
    try:
        while waiting:
            for cell in plan.cells:
                if cell.name in waiting:
                    _report(cell.name, cell.protocol["epochs"], plan, study, progress)
            waiting = {cell.name for cell in plan.with_state(*SENT)} & waiting
            now = {words for words in (no_answer, _stuck(plan, waiting)) if words}
            for words in sorted(now - said):
                print(words, file=sys.stderr, flush=True)
            said = now
            if waiting:
                pause(not no_answer)
                plan, no_answer = look()
    finally:
        progress.close()
    return plan, tried


def _stuck(plan: Plan, waiting: Collection[str]) -> str:
    """What cells wait for that will not come by itself; empty if for nothing."""
    stuck = [plan.shown(c.name) for c in plan.cells if c.name in waiting and c.name in plan.queue]
    stuck = [status for status in stuck if status.stuck]
    if not stuck:
        return ""
    return f"{len(stuck)} cells wait for a person, such as: {stuck[0].note}"


def _report(name: str, epochs: int, plan: Plan, study: StudyFolder, progress: Progress) -> None:
    state = plan.states[name]
    if state == State.RUNNING:
        if name not in progress.running:
            progress.take(Started(name))
        progress.take(EpochOver(name, study.cell(name).finished_epochs(), epochs))
    elif state in (State.DONE, State.STALE):
        status = plan.shown(name)
        progress.take(Done(name, status.accuracy, status.seconds))
    elif state in SENT:
        progress.running.pop(name, None)  # its task waits once more
    else:
        reason = plan.shown(name).note or state
        progress.take(Failed(name, Failure(Kind.EXITED, reason, reason)))
