"""What only shows: `--plan`, `--status`, `--watch` and `--logs`."""

from __future__ import annotations

import contextlib
import sys

from runners.commands.request import Request
from runners.monitor.follow import pauses, watch
from runners.monitor.logs import describe_logs
from runners.monitor.plan_text import describe
from runners.monitor.queue import was_sent
from runners.monitor.status import describe_status
from runners.pool.devices import choose_devices, lacks_bf16
from runners.system.command_line import command_line
from runners.system.errors import UserError

LOOK_S = 2.0
"""Seconds between two looks of `--watch` at a study that was never submitted."""


def plan(request: Request) -> int:
    """What a run would do, and how long it may take."""
    study = request.study
    now, no_answer = request.look()
    try:
        request.context(now)
    except UserError as error:  # which a run would end in
        print(f"not ready to run: {error}", file=sys.stderr)
    for sentence in (*now.warnings, no_answer):
        if sentence:
            print(sentence, file=sys.stderr)
    if study.run.backend == "slurm":  # here may be none of the devices there
        workers = study.slurm.max_running or len(request.selected)
    else:
        devices = choose_devices(study.run)
        workers = len(devices)
        if study.protocol.amp == "bf16" and devices[0] == "cpu" and lacks_bf16():
            said = "this processor has no native bf16 and takes longer with it than without"
            print(f"protocol.amp: bf16: {said}", file=sys.stderr)
    print(describe(now, workers, request.options.cells))
    return 0


def status(request: Request) -> int:
    """How the study stands now."""
    now, no_answer = request.look()
    command, every_cell = _run_command(request), request.options.cells
    print(describe_status(now, request.folder, command, no_answer=no_answer, every_cell=every_cell))
    return 0


def watch_status(request: Request) -> int:
    """The same again and again, until every cell has ended."""
    study = request.study
    submitted = request.look()[0].queue or study.run.backend == "slurm"
    pause = pauses(study.slurm.poll_seconds if submitted else LOOK_S)
    with contextlib.suppress(KeyboardInterrupt):  # ends the look, not the run
        watch(request.look, pause, request.folder, _run_command(request))
    return 0


def logs(request: Request) -> int:
    """Where a cell's logs are and how they end."""
    print(describe_logs(request.options.logs, request.selected, request.folder))
    return 0


def _run_command(request: Request) -> str:
    """The command that runs the study, where its cells ran before.

    What was sent to SLURM stays there, also where the command that asks does not say so.
    """
    says_so = request.study.run.backend == "slurm" or request.options.backend
    return command_line(*([] if says_so or not was_sent(request.folder) else ["--backend=slurm"]))
