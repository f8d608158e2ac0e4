"""The environment of the suite's workers, and one finished study for the tests of runs."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import pytest

from runners.pool.worker import ENVIRONMENT
from tests.helpers.cli import Finished, finished_study, records

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
    os.environ.setdefault(name, ENVIRONMENT[name])  # before torch is imported

# What is remembered of the images of tests is not for the user's own cache.
os.environ.setdefault("TORCH_HOME", f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/torch")
CACHE = tempfile.TemporaryDirectory(prefix="suite-tests-")
os.environ["XDG_CACHE_HOME"] = CACHE.name

# Started in the background of a script, this process ignores Ctrl-C, as would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


LONG = (
    *("pool", "contract", "slurm/test_scale.py", "slurm/test_asked_commands.py"),
    *("results/test_full_disk.py", "results/test_contention.py", "results/test_run_records.py"),
    *("results/test_damaged_records.py", "results/test_hostile_files.py", "results/test_reuse.py"),
    *("results/test_left_over_files.py", "results/test_lost_leases.py"),
    *("cell/test_resume.py", "cell/test_foreign_checkpoints.py"),
    *("methods/test_lookahead.py", "methods/test_reference.py", "methods/test_methods.py"),
    "methods/test_mixed_precision.py",
    *("commands/test_tune.py", "commands/test_status.py", "commands/test_runs.py"),
    *(
        "commands/test_export.py",
        "commands/test_odd_places.py",
        "commands/test_early_signals.py",
        "commands/test_matrix.py",
    ),
    *("commands/test_run_errors.py", "commands/test_bad_command_lines.py"),
    *(
        "analysis/test_figures",
        "analysis/test_unpack.py",
        "speed",
        "docs",
        "study/test_config_fuzz.py",
    ),
)
"""Folders and files whose tests start processes or train for seconds."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests that `make test-fast` leaves out."""
    tests = Path(__file__).parent
    for item in items:
        where = item.path.relative_to(tests).as_posix()
        if where.startswith(LONG):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Finished:
    """A small study that `run_grid.py` has run to its end, once for all tests."""
    return finished_study(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def found(finished) -> dict[str, dict]:
    """The records by label."""
    return records(finished.results)
