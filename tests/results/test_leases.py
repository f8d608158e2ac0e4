"""A lease has one holder at a time, whoever is killed, and outlives no holder that is dead."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from runners.results import leases as module
from runners.results.leases import SILENT_S, UNWRITTEN_S, Lease, LeaseLost, Leases
from runners.system.processes import ProcessId, this_process
from tests.helpers.lease_processes import (
    OTHER_NODE,
    can_take,
    holding,
    silence,
    wait_for,
    why_no_other_node,
)

CELL = "simulated__symmetric-0.4__gce__s0__0a1b2c3d"
FAR = ProcessId("far", "0" * 12, 1, "17")
proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")


@pytest.fixture
def leases(tmp_path: Path) -> Iterator[Leases]:
    """The leases of an empty folder, in which none may be left at the end."""
    made = Leases(tmp_path / "leases")
    yield made
    assert not list(made.folder.iterdir())


def test_a_heartbeat_far_ahead_of_the_present_is_nobodys(leases, monkeypatch):
    lease = taken_from_afar(leases, monkeypatch)
    lease._stop.set()
    assert not take(leases)
    later = time.time() + 10 * SILENT_S
    os.utime(only_file(leases), (later, later))
    assert take(leases)


def test_a_process_that_proc_hides_is_not_taken_for_dead(monkeypatch):
    def no_permission(pid: int, number: int) -> None:
        raise PermissionError

    hidden = replace(this_process(), pid=2**22 + 1)  # /proc has no such folder, as with hidepid=2
    assert hidden.lives() is False
    monkeypatch.setattr(os, "kill", no_permission)
    assert hidden.lives() is None


def only_file(leases: Leases) -> Path:
    (path,) = leases.folder.iterdir()
    return path


def take(leases: Leases) -> bool:
    """Whether the lease can be taken; it is given back."""
    with leases.take(CELL) or contextlib.nullcontext() as lease:
        return lease is not None


def taken_from_afar(leases: Leases, monkeypatch) -> Lease:
    """A lease whose holder is a process of another machine."""
    with monkeypatch.context() as there:
        there.setattr(module, "this_process", lambda: FAR)
        return leases.take(CELL)


@proc
def test_a_lease_names_host_process_start_device_and_job(leases, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    with leases.take(CELL, "cuda:1"):
        said = json.loads(only_file(leases).read_text())["holder"]
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        assert (said["host"], said["pid"]) == (socket.gethostname(), os.getpid())
        assert said["start"] == fields[19]
        (claim,) = leases.live().values()
        assert set(leases.live()) == {CELL} and claim.owner == this_process()
        assert (claim.device, claim.job) == ("cuda:1", "4711") and claim.silent_s < 5
    assert leases.live() == {}


def test_a_second_process_cannot_take_it_before_it_is_given_back(leases):
    with leases.take(CELL):
        assert leases.take(CELL) is None and not can_take(leases.folder, CELL)
        assert can_take(leases.folder, "another")
    assert can_take(leases.folder, CELL)


def test_the_lease_of_a_killed_process_can_be_taken_at_once(leases):
    with holding(leases.folder, CELL) as holder:
        assert not take(leases)
        holder.kill()
        holder.wait()
        assert leases.live() == {} and take(leases)


@proc
def test_a_process_that_only_waits_to_be_reaped_holds_nothing(leases):
    with holding(leases.folder, CELL) as holder:
        holder.kill()
        os.waitid(os.P_PID, holder.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{holder.pid}/stat").exists()  # a zombie
        assert take(leases)


def test_a_stopped_process_of_this_machine_keeps_its_lease_however_long(leases):
    with holding(leases.folder, CELL) as holder:
        holder.send_signal(signal.SIGSTOP)
        silence(only_file(leases), 1e6)
        assert not take(leases)
        holder.send_signal(signal.SIGCONT)
        holder.communicate()


@proc
def test_another_process_under_the_same_number_does_not_hold_it(leases):
    with holding(leases.folder, CELL) as holder:
        path = only_file(leases)
        said = json.loads(path.read_text())
        assert said["holder"]["pid"] == holder.pid
        said["holder"]["start"] = str(int(said["holder"]["start"]) - 1)
        path.write_text(json.dumps(said))
        assert take(leases)


def test_a_holder_of_another_machine_is_dead_when_its_heartbeat_has_been_still(leases, monkeypatch):
    lease = taken_from_afar(leases, monkeypatch)
    silence(lease.path, SILENT_S - 10)
    assert not take(leases)
    (claim,) = leases.live().values()
    assert claim.owner == FAR and claim.silent_s == pytest.approx(SILENT_S - 10, abs=5)
    silence(lease.path, SILENT_S + 10)
    assert leases.live() == {} and take(leases)


def test_the_heart_beats_as_long_as_the_lease_is_held(leases, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)
    with leases.take(CELL) as lease:
        for _ in range(2):
            silence(lease.path, 1000)
            wait_for(lambda: time.time() - lease.path.stat().st_mtime < 100)
    with leases.take(CELL) as other:
        silence(other.path, 1000)
        wait_for(lambda: time.time() - other.path.stat().st_mtime < 100)


@pytest.mark.parametrize("content", ["", '{"holder": {"host": "n', '{"holder": {"pid": 1}}', "[]"])
def test_a_lease_that_is_being_written_is_respected_for_a_while(leases, content):
    leases.folder.mkdir()
    path = leases.folder / f"{CELL}.3"
    path.write_text(content)
    silence(path, UNWRITTEN_S - 5)
    assert not take(leases) and leases.live()[CELL].owner is None
    silence(path, UNWRITTEN_S + 5)
    assert leases.live() == {} and take(leases)


def test_whoever_has_lost_a_lease_is_told_and_leaves_the_new_one_alone(leases, monkeypatch):
    old = taken_from_afar(leases, monkeypatch)
    old.check()
    silence(old.path, SILENT_S + 10)
    with leases.take(CELL) as new:
        with pytest.raises(LeaseLost, match="taken over by another runner"):
            old.check()
        old.release()
        new.check()
    with leases.take(CELL) as newer:  # its file may have the name of the old one
        with pytest.raises(LeaseLost):
            old.check()
        old.release()
        newer.check()


def test_a_lost_lease_does_not_keep_the_next_holder_of_its_name_alive(leases, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.02)
    before = set(threading.enumerate())
    old = taken_from_afar(leases, monkeypatch)
    (heart,) = set(threading.enumerate()) - before
    old.path.write_text(json.dumps({"holder": asdict(replace(FAR, pid=2))}))
    heart.join(timeout=10)  # a beat that had begun is over then
    assert not heart.is_alive()
    silence(old.path, SILENT_S + 10)
    assert take(leases)


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_of_this_host_that_is_wrong_changes_nothing(leases, monkeypatch, hours):
    lease = taken_from_afar(leases, monkeypatch)
    now, right = time.time(), time.time
    monkeypatch.setattr(time, "time", lambda: right() + 3600 * hours)
    assert not take(leases)
    assert leases.live()[CELL].silent_s < 10
    os.utime(lease.path, (now, now - SILENT_S - 10))
    assert leases.live() == {} and take(leases)


def test_who_was_too_slow_at_writing_its_lease_does_not_have_it(leases, monkeypatch):
    others = []
    right = os.write

    def slowly(descriptor: int, content: bytes) -> int:
        monkeypatch.undo()
        silence(only_file(leases), UNWRITTEN_S + 10)
        with leases.take(CELL):  # takes the empty lease for dead
            pass
        others.append(leases.take(CELL))  # a third one, under the first one's name
        return right(descriptor, content)

    monkeypatch.setattr(os, "write", slowly)
    assert leases.take(CELL) is None
    with others[0] as third:
        third.check()


def test_who_comes_too_late_with_an_old_look_at_the_folder_backs_off(leases, monkeypatch):
    dead = taken_from_afar(leases, monkeypatch)
    silence(dead.path, SILENT_S + 10)
    others = []
    right = os.open

    def late(path: Path, *flags: int) -> int:
        monkeypatch.undo()
        with leases.take(CELL) as second:
            assert second.path == path  # which is free again when `late` goes on
        others.append(leases.take(CELL))
        return right(path, *flags)

    monkeypatch.setattr(os, "open", late)
    assert leases.take(CELL) is None
    with others[0] as third:
        third.check()
        assert only_file(leases) == third.path


def test_dead_leases_beside_each_other_are_removed_by_the_next_holder(leases):
    said = {"holder": asdict(replace(this_process(), start="1"))}
    leases.folder.mkdir()
    for generation in (0, 9, 10):
        (leases.folder / f"{CELL}.{generation}").write_text(json.dumps(said))
    with leases.take(CELL) as lease:
        assert only_file(leases) == lease.path and lease.path.name == f"{CELL}.11"


@pytest.mark.skipif(bool(why_no_other_node()), reason=why_no_other_node())
def test_a_process_of_another_process_namespace_counts_as_another_machine(leases):
    with holding(leases.folder, CELL, before=OTHER_NODE) as holder:
        (claim,) = leases.live().values()
        assert claim.owner.machine != this_process().machine and claim.owner.lives() is None
        assert not take(leases)
        holder.kill()
        holder.wait()
        assert not take(leases)  # nobody can tell, but for its silence
        silence(only_file(leases), SILENT_S + 10)
        assert take(leases)
