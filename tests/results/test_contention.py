"""Many processes want the same leases, are killed, or their file server fails: one holds each."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from runners.results import leases as module
from runners.results.leases import Leases
from tests.helpers.lease_processes import (
    NAMES,
    OTHER_NODE,
    UNWRITTEN_S,
    one_round,
    wait_for,
    why_no_other_node,
)


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Leases that were cut off unwritten are dead as soon here as for the contenders."""
    monkeypatch.setattr(module, "UNWRITTEN_S", UNWRITTEN_S)


def contended(folder: Path, seed: int) -> None:
    """A round, after which everything can be taken and nothing is left."""
    one_round(folder, seed)
    leases = Leases(folder / "leases")
    wait_for(lambda: not leases.live())
    for name in NAMES:
        leases.take(name).release()
    assert not list(leases.folder.iterdir())


def test_a_file_server_that_fails_for_a_moment_costs_no_lease(tmp_path, monkeypatch):
    lease = Leases(tmp_path).take(NAMES[0])
    opened, codes = Path.open, [errno.EIO, errno.ETIMEDOUT]

    def fails_at_first(path: Path, *arguments, **named):
        if path == lease.path and codes:
            raise OSError(codes.pop(), "for a moment")
        return opened(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, "PAUSES_S", (0.0, 0.0))
        patched.setattr(Path, "open", fails_at_first)
        lease.check()
        assert not codes
        codes += [errno.EIO] * 3
        with pytest.raises(OSError, match="for a moment"):
            lease.check()
    lease.release()


@pytest.mark.parametrize("seed", range(3))
def test_of_contenders_that_are_killed_at_any_time_one_holds_a_name(tmp_path, seed):
    contended(tmp_path, seed)


@pytest.mark.slow
def test_a_hundred_rounds_of_contention(tmp_path):
    for seed in range(100, 200):
        contended(tmp_path / str(seed), seed)


@pytest.mark.skipif(bool(why_no_other_node()), reason=why_no_other_node())
def test_nobody_of_two_machines_holds_a_name_at_the_same_time(tmp_path):
    one_round(tmp_path, seed=0, survivors=((), (), OTHER_NODE, OTHER_NODE))
