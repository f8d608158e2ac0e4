"""The command lines of the runners, and the mistakes in them."""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from datasets.base import DataError
from runners.commands.catalogue import CATALOGUES
from runners.results.failures import is_full_disk
from runners.study.schema import keys
from runners.system.command_line import command_line
from runners.system.console import safe_streams
from runners.system.errors import FullDisk, UserError
from runners.system.signals import Terminated, ended_by_sigterm, release_signals

ROOT = Path(__file__).resolve().parents[2]


FIRST = """\
The commands that people need first, with benchmark.yaml or a study of their own:
  python {prog} benchmark.yaml --plan      what would run, and how long it may take
  python {prog} benchmark.yaml             runs what is missing; the same again resumes
  python {prog} benchmark.yaml --status    how it stands, and what to type next
"""


class Parser(argparse.ArgumentParser):
    """One whose mistakes are one sentence, and whose help begins with what people need.

    Args:
        about: what the script does.
    """

    def __init__(self, prog: str, about: str) -> None:
        # An abbreviation would stay in the command lines that are suggested.
        super().__init__(prog=prog, allow_abbrev=False)
        self.about = about

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}: {_instead(message)}see --help\n")

    def format_help(self) -> str:
        """The first commands, what else there is, and the options by what they are for."""
        first = FIRST.format(prog=f"runners/{self.prog}")
        return f"{self.about}\n\n{first}\n{super().format_help()}"


def _instead(message: str) -> str:
    """What does what an option was meant to do that there is not."""
    option = re.search(r"unrecognized arguments: --([\w-]+)", message)
    name = option[1].replace("-", "_").lower() if option else ""
    for key in keys():
        section, _, last = key.partition(".")
        if name and name in (last, f"{last}s"):
            only = f"--only {last}=a,b chooses, " if section == "axes" else ""
            return f"{only}--set {key}=VALUE changes it; "
    return ""


def study_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Arguments that every command on a study has: its file, its cells and the folders."""
    parser = Parser(prog, description)
    parser.add_argument("study", nargs="?", type=Path, help="the study's YAML file")
    chosen = parser.add_argument_group("which cells, and where")
    chosen.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=a,b",
        help="only these cells; commas are 'or', repeats are 'and'",
    )
    chosen.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="any key of the schema, e.g. protocol.epochs=2; VALUE is YAML",
    )
    chosen.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    chosen.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    return parser


def run_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """The command line of a script that runs the cells of a study."""
    parser = study_parser(prog, description)
    parser.set_defaults(skip=frozenset(), report=False)  # keys of cells; only of run_grid.py
    shown = parser.add_argument_group("show, and run nothing")
    one = shown.add_mutually_exclusive_group()
    one.add_argument("--plan", action="store_true", help="what would run, and how long it may take")
    one.add_argument("--status", action="store_true", help="how the study stands now")
    one.add_argument("--watch", action="store_true", help="the same, until all cells have ended")
    one.add_argument("--dry-run", action="store_true", help="print what would be sent to SLURM")
    one.add_argument("--cancel", action="store_true", help="cancel what is in SLURM's queue")
    one.add_argument("--logs", metavar="CELL", help="where a cell's logs are and how they end")
    shown.add_argument(
        "--cells", action="store_true", help="with --plan or --status: every cell, not a matrix"
    )
    shown.add_argument(
        "--list",
        nargs="+",
        metavar=("KIND", "NAME"),
        help=f"what a study can name: {', '.join(CATALOGUES)}; or the parameters of one of them",
    )
    how = parser.add_argument_group("how they run")
    how.add_argument("--workers", help="worker processes (default: one a core, or one a GPU)")
    how.add_argument("--device", help="auto, cpu or cuda")
    how.add_argument("--backend", help="local, or slurm: submit job arrays and return")
    how.add_argument("--wait", action="store_true", help="stay until what was submitted has ended")
    again = parser.add_argument_group("run again what has ended")
    again.add_argument("--retry-failed", action="store_true", help="what failed before")
    again.add_argument("--rerun-stale", action="store_true", help="what other code has run")
    again.add_argument("--rerun-damaged", action="store_true", help="whose record is damaged")
    return parser


def all_overrides(options: argparse.Namespace) -> list[str]:
    """What the command line changes in the study: `--set`, and options that are keys of `run`."""
    given = {key: getattr(options, key) for key in ("backend", "workers", "device")}
    own = [f"run.{key}={value}" for key, value in given.items() if value is not None]
    return [*options.overrides, *own]


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; mistakes, a full disk and Ctrl-C end in a sentence and an exit code."""
    safe_streams()
    try:
        with ended_by_sigterm():
            release_signals()
            code = command()
            sys.stdout.flush()
            return code
    except (DataError, UserError) as error:
        for problem in getattr(error, "problems", [str(error)]):
            print(problem, file=sys.stderr)
        return 2
    except FullDisk as error:
        return _stopped(str(error))
    except BrokenPipeError:  # `--status | head`
        _drop_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        if is_full_disk(error):
            return _stopped(f"{error.filename or 'standard output'}: {error.strerror}")
        if error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}: must be readable and writable", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        kept = "finished cells are kept, others resume from their checkpoints"
        print(f"\nstopped; {kept}; resume with: {command_line()}", file=sys.stderr)
        return stop_code(error)


def stop_code(error: KeyboardInterrupt) -> int:
    """The exit code of a command that was asked to end."""
    return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)


def _stopped(sentence: str) -> int:
    _drop_output()
    print(
        f"stopped, nothing more can be written: {sentence}; what is finished is kept, the rest "
        f"resumes from its checkpoints; make room, then resume with: {command_line()}",
        file=sys.stderr,
    )
    return 1


def _drop_output() -> None:
    """Sends what standard output still holds nowhere, if it cannot be written where it belongs."""
    try:
        sys.stdout.flush()
    except OSError:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
