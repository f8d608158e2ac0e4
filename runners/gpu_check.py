"""Everything that this suite wants to know of a GPU, in six minutes: `python runners/gpu_check.py`.

Tests, steps, epoch, pool and cells of benchmarks/cifar10.yaml, each within its share of the time;
the same command with the same folder goes on where it stopped. See docs/gpu.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from runners.commands.arguments import guarded
from runners.pool.devices import count_gpus
from runners.speed.gpu_parts import gpu_parts, names
from runners.speed.parts import run_parts, table
from runners.system.errors import UserError


def parser() -> argparse.ArgumentParser:
    """The command line; its mistakes are one sentence."""
    command = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], usage=argparse.SUPPRESS, allow_abbrev=False
    )
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="for all files")
    command.add_argument("--seconds", type=float, default=330, help="for all parts (default 330)")
    command.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    command.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    command.add_argument("--parts", nargs="+", choices=names(), default=names())
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code (0 all finished, 1 not all, 2 user error)."""
    options = parser().parse_args(arguments)
    return guarded(lambda: check(options))


def check(options: argparse.Namespace) -> int:
    """Runs the parts and prints how they stand.

    Raises:
        UserError: the time, the device or the folder cannot be what was asked for.
    """
    if not 0 < options.seconds < float("inf"):
        raise UserError(f"--seconds: {options.seconds} is not allowed: must be a number above 0")
    if options.device == "cuda" and not count_gpus():
        raise UserError("--device: cuda is not possible: torch sees no GPU here; use cpu")
    if options.out.exists() and not options.out.is_dir():
        raise UserError(f"--out: {str(options.out)!r} is no folder: must be one, or not there")
    data = options.data.resolve() if options.data else None
    parts = gpu_parts(options.out.resolve(), options.device, data)
    chosen = [part for part in parts if part.name in options.parts]
    states = run_parts(chosen, options.out.resolve(), options.seconds, options.device)
    print(table(states))
    unfinished = [state.name for state in states if state.state != "finished"]
    if unfinished:
        told = f"{', '.join(unfinished)}: not finished; see {options.out / 'summary.txt'}; "
        print(f"{told}the same command goes on", file=sys.stderr)
    return int(bool(unfinished))


if __name__ == "__main__":
    sys.exit(main())
