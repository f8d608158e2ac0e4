"""The environment of the suite's workers, and one finished study for the tests of runs."""

from __future__ import annotations

import os
import signal

import pytest

from runners.pool.worker import ENVIRONMENT
from tests.helpers.cli import Finished, finished_study, records

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
    os.environ.setdefault(name, ENVIRONMENT[name])  # before torch is imported

# Started in the background of a script, this process ignores Ctrl-C, as would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Finished:
    """A small study that `run_grid.py` has run to its end, once for all tests."""
    return finished_study(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def found(finished) -> dict[str, dict]:
    """The records by label."""
    return records(finished.results)
