"""`--status` and `--watch` tell from the files alone how a study stands, and what to type next."""

from __future__ import annotations

import hashlib
import json
import math
import re
import resource
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runners.results.store import StudyFolder
from runners.run_grid import main, parser
from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.canonical import sha256_of
from tests.helpers.cli import cell_folder, command, environment, write_study

METHODS = ["cross_entropy", "fine_tune", "clean_only", "gce"]
METHODS += ["misbehaving:Raises", "misbehaving:Endless"]
RUNNING = ["--only", "method=Endless"]


@dataclass(frozen=True)
class Made:
    """A study with a cell in every state; one of them is being run by a process.

    `inside` names those of its cells that need no method from outside, and so no torch.
    """

    folder: Path
    study: Path
    inside: Path
    results: Path
    process: subprocess.Popen
    worker: int


def say(line: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(line, env=environment(folder), capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("status")
    known = environment(folder, PID_FILE=str(folder / "pid"))
    study = write_study(folder / "study.yaml", METHODS, epochs=3, batch_size=400)
    inside = write_study(folder / "inside.yaml", METHODS[:4], epochs=3, batch_size=400)
    results = folder / "results"
    process = subprocess.Popen(command(study, results, *RUNNING), env=known)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(folder)
            some = "method=cross_entropy,fine_tune,clean_only,Raises"
            line = [str(study), "--results", str(results), "--workers", "0", "--only", some]
            assert main(line) == 1
        (cell_folder(results, "Raises") / "log.txt").write_text("what a worker would leave\n")
        stale, damaged = (cell_folder(results, name) for name in ("fine_tune", "clean_only"))
        rewrite(stale / "record.json", fingerprint="f" * 64)
        (damaged / "record.json").write_text("{")
        end = time.monotonic() + 60
        while not (folder / "pid").exists() or not (folder / "pid").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        line = json.dumps({"epoch": 1, "seconds": 120.0})
        (cell_folder(results, "Endless") / "epochs.running.jsonl").write_text(
            f'{line}\n{{"epoch": 2, "s'
        )
        yield Made(folder, study, inside, results, process, int((folder / "pid").read_text()))
    finally:
        process.kill()
        process.wait()


def rewrite(path: Path, fingerprint: str) -> None:
    record = json.loads(path.read_text())
    record["provenance"]["fingerprint"] = fingerprint
    del record["record_sha256"]
    path.write_text(json.dumps({**record, "record_sha256": sha256_of(record)}))


@pytest.fixture(scope="module")
def status(made) -> list[str]:
    """The lines of `--status`."""
    done = say(command(made.study, made.results, "--status"), made.folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("cross_entropy", r"done +\d+\.\d\d %  \d+ s"),
        ("fine_tune", r"stale +\d+\.\d\d %  \d+ s"),
        ("clean_only", r"damaged +{folder}/record.json cannot be read: .*"),
        ("Raises", r"failed +RuntimeError: no luck with this batch; log: {folder}/log.txt"),
        (
            "Endless",
            r"running +epoch 1 of 3, 4 min left; on {host} \(process {worker}, cpu\)"
            r"(; silent for \d+ s)?",  # on a machine that is too busy for its heart
        ),
        ("gce", "missing"),
    ],
)
def test_every_state_is_told_with_what_one_wants_to_know_of_it(made, status, label, words):
    names = [c.name for c in planned(made) if c.label == label]
    (line,) = [line for line in status if line.startswith(f"{names[0]} ")]
    parts = {"folder": made.results / "s" / "cells" / names[0], "worker": made.worker}
    expected = words.format(host=re.escape(socket.gethostname()), **parts)
    assert re.fullmatch(rf"\S+ +{expected}", line)


def planned(made: Made) -> list:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(made.folder)
        return cells(load_study(made.study))


def test_the_sums_and_the_time_left_come_last(status):
    sums = "6 cells: 1 missing, 1 running, 1 failed, 1 done, 1 stale, 1 damaged; about 4 min left"
    assert status[-2] == sums and len(status) == 6 + 2


def test_what_to_type_next_is_accepted_and_does_what_it_says(made, status, tmp_path):
    assert typed([status[-1].removeprefix("watch it: ")])[0].watch
    some = ["--only", "method=gce,Raises,fine_tune,clean_only"]
    idle = say(command(made.study, made.results, "--status", *some), made.folder).stdout
    lines = [s.removeprefix("next: ") for s in idle.splitlines() if s.startswith("next: ")]
    plain, *rest = typed(lines)
    assert not (plain.retry_failed or plain.rerun_stale or plain.rerun_damaged)
    assert [rest[0].retry_failed, rest[1].rerun_stale, rest[2].rerun_damaged] == [True] * 3
    assert not any(each.status or each.watch or each.plan for each in [plain, *rest])


def typed(lines: list[str]) -> list:
    """The options of command lines as a shell would split them."""
    words = [shlex.split(line, comments=True) for line in lines]
    assert all(line[0] == "python" and Path(line[1]).is_file() for line in words)
    return [parser().parse_args(line[2:]) for line in words]


def test_a_status_imports_no_torch_and_changes_no_file(made):
    before = {path: path.lstat().st_mtime_ns for path in files(made.results)}
    line = command(made.inside, made.results, "--status")
    done = say([line[0], "-X", "importtime", *line[1:]], made.folder)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "runners.monitor.status" in imported and not {"torch", "pandas", "matplotlib"} & imported
    ours = {path: path.lstat().st_mtime_ns for path in files(made.results)}
    leases = made.results / "s" / "leases"  # their time is the heartbeat
    assert {p: t for p, t in before.items() if leases not in p.parents} == {
        p: t for p, t in ours.items() if leases not in p.parents
    }


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_status_of_what_was_never_run_makes_no_folder(made, tmp_path):
    done = say(command(made.inside, tmp_path / "none", "--status"), made.folder)
    assert done.returncode == 0 and "4 cells: 4 missing" in done.stdout
    assert not (tmp_path / "none").exists()


def test_a_watch_prints_changes_alone_and_ends_with_the_cells(made, tmp_path):
    line = command(made.inside, tmp_path, "--watch", "--only", "method=cross_entropy")
    watched = subprocess.Popen(
        line, env=environment(made.folder), stdout=subprocess.PIPE, text=True
    )
    assert "1 cell: 1 missing" in watched.stdout.readline()
    time.sleep(2.5)  # more than the time between two looks
    source = cell_folder(made.results, "cross_entropy")
    folder = StudyFolder(tmp_path, "s").cell(source.name)
    folder.path.mkdir(parents=True)
    aside = tmp_path / "aside"  # as runs do: a look at a record that is half written would end it
    aside.write_bytes((source / "record.json").read_bytes())
    aside.replace(folder.record)
    said, _ = watched.communicate(timeout=20)
    assert watched.returncode == 0
    assert [s for s in said.splitlines() if s.startswith("1 cell: ")] == ["1 cell: 1 done"]


def test_ctrl_c_ends_a_watch_and_not_the_run(made):
    line = command(made.inside, made.results, "--watch")
    watched = subprocess.Popen(
        line,
        env=environment(made.folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while "next: " not in watched.stdout.readline():
            assert watched.poll() is None
        watched.send_signal(signal.SIGINT)
        _, said = watched.communicate(timeout=20)
    finally:
        watched.kill()
    assert (watched.returncode, said) == (0, "")
    assert made.process.poll() is None and Path(f"/proc/{made.worker}").exists()


@pytest.fixture(scope="module")
def many(made, tmp_path_factory) -> Path:
    """A study file beside the records of its 10,000 cells."""
    folder = tmp_path_factory.mktemp("many")
    study = write_study(folder / "study.yaml", ["cross_entropy"], epochs=3, batch_size=400)
    write_many(made, study, StudyFolder(folder, "s"))
    return study


@pytest.mark.parametrize("option", ["--status", "--plan"])
def test_ten_thousand_cells_are_told_and_planned_in_five_seconds_without_torch(many, option):
    line = command(many, many.parent, option, "--set", "axes.seed=10000")
    seconds = math.inf
    for _ in range(3):  # the best of up to three: what else the machine does only adds
        before = used()
        done = say([line[0], "-X", "importtime", *line[1:]], many.parent)
        seconds = min(seconds, used() - before)
        print(f"10,000 cells: {seconds:.1f} s of CPU")
        if seconds < 5:
            break
    assert "10000 cells: 10000 done" in done.stdout
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "runners.results.plan" in imported and "torch" not in imported
    assert seconds < 5


def write_many(made: Made, study: Path, folder: StudyFolder) -> None:
    """The record of a finished cell, with the key and the checksum of each cell of the study."""
    text = (cell_folder(made.results, "cross_entropy") / "record.json").read_text()
    key = json.loads(text)["key"]
    content = text.rpartition(',"record_sha256"')[0]
    for cell in cells(load_study(study, ["axes.seed=10000"])):
        own = content.replace(key, cell.key)
        digest = hashlib.sha256((own.replace("\n", "") + "}").encode()).hexdigest()
        path = folder.cell(cell.name).record
        path.parent.mkdir(parents=True)
        path.write_text(f'{own},"record_sha256":"{digest}"\n}}\n')


def used() -> float:
    """CPU seconds of the child processes that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime
