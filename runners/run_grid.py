"""Runs a study: `python runners/run_grid.py benchmark.yaml`. See README.md, or --help."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)

import datasets  # noqa: E402
import datasets.noise  # noqa: E402
import methods  # noqa: E402
import networks  # noqa: E402
from datasets.base import DataError  # noqa: E402
from runners.config import ConfigError, Study, load_study  # noqa: E402
from runners.grid import Cell, cells, select, study_json  # noqa: E402
from runners.launch import run_in_pool, run_in_process  # noqa: E402
from runners.place import Place  # noqa: E402
from runners.plan import Plan, describe, make_plan  # noqa: E402
from runners.progress import Progress  # noqa: E402
from runners.store import State, StudyFolder  # noqa: E402

CATALOGUES = {
    "methods": methods.names,
    "datasets": datasets.names,
    "noise": datasets.noise.names,
    "networks": networks.names,
}


class UserError(Exception):
    """Something the user can mend; printed as it is, exit code 2."""


def study_parser(prog: str, description: str) -> argparse.ArgumentParser:
    """Arguments that every command on a study has: its file, its cells and the folders."""
    made = argparse.ArgumentParser(prog=prog, description=description)
    made.add_argument("study", nargs="?", type=Path, help="the study's YAML file")
    made.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="AXIS=a,b",
        help="only these cells; commas are 'or', repeats are 'and'",
    )
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="any key of the schema, e.g. protocol.epochs=2; VALUE is YAML",
    )
    made.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    made.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    return made


def parser() -> argparse.ArgumentParser:
    """The command line of `run_grid.py`."""
    made = study_parser("run_grid.py", __doc__)
    made.add_argument("--plan", action="store_true", help="list cells and states, run nothing")
    made.add_argument("--retry-failed", action="store_true", help="also run what failed before")
    made.add_argument("--workers", help="worker processes (default: one a core, or one a GPU)")
    made.add_argument("--device", help="auto, cpu or cuda")
    made.add_argument("--list", choices=CATALOGUES, help="list what a study can name")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code (0 done, 1 cells failed, 2 user error)."""
    options = parser().parse_args(arguments)
    if options.list:
        print("\n".join(CATALOGUES[options.list]()))
        return 0
    return guarded(lambda: run(options))


def guarded(command: Callable[[], int]) -> int:
    """Runs a command; mistakes of the user and Ctrl-C end in a sentence and an exit code."""
    try:
        return command()
    except (ConfigError, DataError, UserError) as error:
        for problem in getattr(error, "problems", [str(error)]):
            print(problem, file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{error.filename}: {error.strerror}: must be readable and writable", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = shlex.join(["python", *sys.argv])
        print(f"\nstopped; finished cells are kept; go on with: {again}", file=sys.stderr)
        return 130


def run(options: argparse.Namespace) -> int:
    """Plans or runs the study that the command line names."""
    if options.study is None:
        raise UserError("run_grid.py: no study given: must be a YAML file, such as benchmark.yaml")
    study = load_study(options.study, all_overrides(options))
    return run_study(study, options, cells(study))


def all_overrides(options: argparse.Namespace) -> list[str]:
    """What the command line changes in the study: `--set`, and options that are keys of `run`."""
    given = {key: getattr(options, key) for key in ("workers", "device")}
    own = [f"run.{key}={value}" for key, value in given.items() if value is not None]
    return [*options.overrides, *own]


def run_study(study: Study, options: argparse.Namespace, grid: Sequence[Cell]) -> int:
    """Plans or runs the selected cells of a checked study."""
    selected = select(grid, options.only)
    root = data_root(options.data, study)
    devices = choose_devices(study)
    for name in dict.fromkeys(cell.dataset for cell in selected):
        try:
            datasets.get(name).check(root)
        except DataError as error:
            raise UserError(f"{options.study}: axes.dataset: {error}") from error
    folder = StudyFolder(options.results.resolve(), study.name)
    plan = make_plan(selected, folder)
    if options.plan:
        print(describe(plan, len(devices)))
        return 0
    if study.run.backend == "slurm":
        raise UserError(f"{options.study}: run.backend: slurm cannot be run yet: must be local")
    wanted = [State.MISSING, *([State.FAILED] if options.retry_failed else [])]
    todo = plan.with_state(*wanted)
    try:
        folder.prepare(study_json(study, grid))
    except OSError as error:
        raise UserError(
            f"--results: {str(options.results)!r} cannot be written ({error.strerror}): "
            "must be a folder that you may write to"
        ) from error
    place = Place(folder, root, study.run.share_warmup)
    failed = execute(todo, plan, place, devices, in_pool=study.run.workers != 0)
    return closing_words(plan, todo, failed, folder)


def data_root(given: Path | None, study: Study) -> Path | None:
    """Where data sets are looked for first: --data, DATA_ROOT, run.data_root, else nowhere."""
    named = given or os.environ.get("DATA_ROOT") or study.run.data_root
    return Path(named).expanduser().resolve() if named else None


def choose_devices(study: Study) -> list[str]:
    """One device a worker: "cpu" per core, or "cuda:i" for every slot of every GPU.

    Raises:
        UserError: `cuda` is asked for and there is none.
    """
    wanted, workers = study.run.device, study.run.workers
    gpus = count_gpus() if wanted in ("auto", "cuda") else 0
    if wanted == "cuda" and gpus == 0:
        raise UserError(
            'run.device: "cuda" is not allowed here, torch sees no GPU: must be auto or cpu'
        )
    slots = [f"cuda:{i}" for _ in range(study.run.cells_per_gpu) for i in range(gpus)]
    if not slots:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        slots = ["cpu"] * (cores or 1)
    count = len(slots) if workers == "auto" else max(1, workers)
    return [slots[i % len(slots)] for i in range(count)]


def count_gpus() -> int:
    """CUDA devices that torch sees. Asked in a process of its own: planning needs no torch."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    code = "import torch; print(torch.cuda.device_count())"
    asked = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    return int(asked.stdout or 0) if asked.returncode == 0 else 0


def execute(
    todo: Sequence[Cell],
    plan: Plan,
    place: Place,
    devices: Sequence[str],
    in_pool: bool,
) -> dict[str, str]:
    """Runs cells and shows the progress; returns reasons by name of the cells that failed."""
    if not todo:
        return {}
    workers = min(len(devices), len(todo)) if in_pool else 1
    seconds = {cell.name: plan.seconds[cell.name] for cell in todo}
    how = f"{workers} worker{'s' if workers > 1 else ''} on {devices[0].partition(':')[0]}"
    print(f"{len(plan.cells)} cells: {plan.counts()}; running {len(todo)} with {how}", flush=True)
    progress = Progress(seconds, workers, sum(s == State.DONE for s in plan.states.values()))
    try:
        if in_pool:
            run_in_pool(todo, place, devices, progress.take)
        else:
            run_in_process(todo, place, devices[0], progress.take)
    finally:
        progress.close()
    return progress.failed


def closing_words(
    plan: Plan, todo: Sequence[Cell], failed: dict[str, str], folder: StudyFolder
) -> int:
    """Says how the selection stands; returns the exit code."""
    tried = {cell.name for cell in todo}
    before = [c.name for c in plan.with_state(State.FAILED) if c.name not in tried]
    damaged = plan.with_state(State.DAMAGED)
    for name, reason in failed.items():
        cell = folder.cell(name)
        seen = f"log: {cell.log}" if cell.log.exists() else f"see {cell.failed}"
        print(f"failed: {name}: {reason} ({seen})", file=sys.stderr)
    for name in before:
        print(f"failed before: {name} (see {folder.cell(name).failed})", file=sys.stderr)
    for cell in damaged:
        record = folder.cell(cell.name).record
        print(
            f"damaged: {record} does not match its checksum; delete it to run the cell again",
            file=sys.stderr,
        )
    if failed or before:
        retry = [] if "--retry-failed" in sys.argv else ["--retry-failed"]
        again = ["python", *sys.argv, *retry]
        count = len(failed) + len(before)
        print(f"{count} cells failed; try them again: {shlex.join(again)}", file=sys.stderr)
    if stale := plan.with_state(State.STALE):
        print(f"{len(stale)} cells are stale: they were run by other code than today's")
    done = len(plan.with_state(State.DONE, State.STALE)) + len(todo) - len(failed)
    said = "done" if todo or done < len(plan.cells) else "done already, nothing to run"
    print(f"{done} of {len(plan.cells)} cells {said}; results in {folder.path}")
    return int(bool(failed or before or damaged))


if __name__ == "__main__":
    sys.exit(main())
