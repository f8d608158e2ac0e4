"""A runner waits for the cells of others, also for those that it would not run itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.helpers.lease_processes import wait_for
from tests.helpers.runners import WAITS, Site, site


@pytest.fixture
def retried(tmp_path) -> Iterator[Site]:
    """A runner that tries the only cell, which has failed, again, and one that would not."""
    with site(tmp_path, "misbehaving:Paused") as made:
        made.say("raise")
        made.start("--workers", "0").ends(1)
        made.go.unlink()
        made.start("--workers", "0", "--retry-failed")
        wait_for(lambda: len(made.notes()) == 2, 60)
        other = made.start()
        wait_for(lambda: WAITS in other.said(), 60)
        yield made


@pytest.mark.parametrize(("word", "code"), [("on", 0), ("raise", 1)])
def test_a_cell_that_only_the_other_one_tries_again_is_waited_for(retried, word, code):
    retried.say(word)
    first, second = (runner.ends(code) for runner in retried.runners[1:])
    outcome = (
        "FAILED at another runner: RuntimeError: told to fail" if code else "by another runner"
    )
    assert outcome in second and "waiting for 1 at other runners" in second
    assert all(f"{1 - code} of 1 cell done" in said for said in (first, second))
    assert len(retried.notes()) == 2
    retried.assert_clean()


def test_a_failed_cell_is_not_tried_again_for_one_who_was_killed_at_it(retried):
    _, first, second = retried.runners
    os.killpg(first.process.pid, signal.SIGKILL)
    assert "0 of 1 cell done" in second.ends(1)
    assert len(retried.notes()) == 2
