"""One SLURM for all tests, and a second one with accounting, each started when first asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.slurm.cluster import Cluster, running
from tests.slurm.configuration import Settings
from tests.slurm.install import Unavailable


@pytest.fixture(scope="session")
def slurm() -> Iterator[Cluster]:
    """A cluster without accounting: the harder case."""
    yield from _cluster(Settings())


@pytest.fixture(scope="session")
def accounted_slurm() -> Iterator[Cluster]:
    """A cluster with sacct, accounts and QOS."""
    yield from _cluster(Settings(accounting=True))


def _cluster(settings: Settings) -> Iterator[Cluster]:
    try:
        with running(settings) as cluster:
            yield cluster
    except Unavailable as error:
        if os.environ.get("CI") == "true":  # there it must run
            pytest.fail(f"no SLURM here: {error}", pytrace=False)
        pytest.skip(f"no SLURM here: {error}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """A failed test shows what the daemons said: their logs are gone when all tests are over."""
    report = (yield).get_result()
    if report.failed:
        for cluster in item.funcargs.values() if hasattr(item, "funcargs") else ():
            if isinstance(cluster, Cluster):
                for name in ("slurmctld", "slurmd"):
                    report.sections.append((f"log of {name}", cluster.log(name)))
