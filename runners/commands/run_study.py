"""Which command a command line asks for, and the one choice of where cells run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from runners.commands import run_here, run_on_slurm, show
from runners.commands.request import Command, Request
from runners.study.cell import Cell
from runners.study.config import Study

COMMANDS: dict[str, Command] = {
    "logs": show.logs,
    "cancel": run_on_slurm.cancel_jobs,
    "status": show.status,
    "watch": show.watch_status,
    "plan": show.plan,
}
"""Option -> what it does instead of running cells."""

BACKENDS: dict[str, Command] = {"local": run_here.run, "slurm": run_on_slurm.run}


def run_study(study: Study, options: argparse.Namespace, grid: Sequence[Cell]) -> int:
    """Shows, plans, submits or runs the selected cells of a study; returns the exit code."""
    request = Request(study, options, grid)
    asked = [c for option, c in COMMANDS.items() if getattr(options, option) not in (None, False)]
    command = asked[0] if asked else BACKENDS[study.run.backend]
    return command(request)
