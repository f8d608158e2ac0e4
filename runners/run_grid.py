"""Runs a study: `python runners/run_grid.py benchmark.yaml`. See README.md, or --help."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

from runners.system.signals import hold_signals

if __name__ == "__main__":
    hold_signals()  # until `guarded` can answer them: imports take a second

from runners.commands.arguments import all_overrides, guarded, run_parser
from runners.commands.catalogue import describe
from runners.commands.run_study import run_study
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import UserError


def parser() -> argparse.ArgumentParser:
    """The command line of this script."""
    command = run_parser("run_grid.py", __doc__)
    command.add_argument(
        "--report",
        action="store_true",
        help="keep report.html in the study's folder fresh while cells run; also with --watch",
    )
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code (0 done, 1 cells failed, 2 user error)."""
    options = parser().parse_args(arguments)
    return guarded(lambda: run(options))


def run(options: argparse.Namespace) -> int:
    """Shows, plans or runs the study that the command line names."""
    if options.list:
        print(describe(options.list))
        return 0
    if options.study is None:
        raise UserError("run_grid.py: no study given: must be a YAML file, such as benchmark.yaml")
    study = load_study(options.study, all_overrides(options))
    return run_study(study, options, cells(study))


if __name__ == "__main__":
    sys.exit(main())
