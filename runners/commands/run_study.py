"""Which command a command line asks for, and the one choice of where cells run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from runners.commands import run_here, run_on_slurm, show
from runners.commands.fresh_report import kept_fresh
from runners.commands.request import Command, Request
from runners.study.cell import Cell
from runners.study.config import Study
from runners.system.errors import UserError

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
    asked = [option for option in COMMANDS if getattr(options, option) not in (None, False)]
    command = COMMANDS[asked[0]] if asked else BACKENDS[study.run.backend]
    if not options.report:
        return command(request)
    if only_shows := [name for name in (*asked, *["dry_run"] * options.dry_run) if name != "watch"]:
        raise UserError(
            f"--report: not with --{only_shows[0].replace('_', '-')}, which runs nothing: python "
            "analysis/report.py makes a page"
        )
    with kept_fresh(request):
        return command(request)
