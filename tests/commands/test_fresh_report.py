"""`--report` keeps a page about the study fresh, and nothing of it touches the study."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.helpers.cli import command, environment, run_grid, write_study
from tests.helpers.reports import data_of, shown


def test_a_study_leaves_a_page_with_all_its_cells(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy", "gce"], epochs=1)
    run = run_grid(study, tmp_path / "results", "--report", folder=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    path = tmp_path / "results" / "s" / "report.html"
    assert run.stdout.splitlines()[-1] == f"report: {path}" and run.stderr == ""
    page = path.read_text(encoding="utf-8")
    assert "2 of 2 cells finished" in shown(page)
    assert [entry["done"] for entry in data_of(page)["entries"]] == [1, 1]
    assert data_of(page)["command"][0] == f"python runners/run_grid.py {study}"


def test_a_page_that_cannot_be_written_is_a_sentence_and_no_failure(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy"], epochs=1)
    (tmp_path / "results" / "s" / "report.html").mkdir(parents=True)
    run = run_grid(study, tmp_path / "results", "--report", folder=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    (said,) = run.stderr.splitlines()
    assert said.startswith("--report: report.py: cannot use ") and "report.html" in said


def test_the_page_is_there_while_cells_run_and_ctrl_c_ends_both(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy", "misbehaving:Paused"], epochs=1)
    go = tmp_path / "go"
    line = command(study, tmp_path / "results", "--report", "--workers", "2")
    more = {"GO": str(go), "NOTES": str(tmp_path / "notes")}
    with subprocess.Popen(
        line, cwd=tmp_path, env=environment(tmp_path, **more), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as run:  # fmt: skip
        page = tmp_path / "results" / "s" / "report.html"
        until = time.monotonic() + 60
        while not page.exists() and time.monotonic() < until:
            time.sleep(0.1)
        assert page.exists() and run.poll() is None
        assert "of 2 cells finished" in shown(page.read_text(encoding="utf-8"))
        run.send_signal(signal.SIGINT)
        assert run.wait(60) == 130
    assert not list(page.parent.glob("report.html.tmp*"))


@pytest.mark.parametrize("option", ["--plan", "--status", "--dry-run", "--logs=x"])
def test_what_runs_nothing_makes_no_page(tmp_path, option):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy"], epochs=1)
    run = run_grid(study, tmp_path / "results", "--report", option, folder=tmp_path)
    assert run.returncode == 2 and not Path(tmp_path / "results").exists()
    name = option.partition("=")[0]
    assert run.stderr.strip() == (
        f"--report: not with {name}, which runs nothing: python analysis/report.py makes a page"
    )


def test_the_last_look_of_watch_leaves_a_page(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy"], epochs=1)
    assert run_grid(study, tmp_path / "results", folder=tmp_path).returncode == 0
    run = run_grid(study, tmp_path / "results", "--watch", "--report", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    page = (tmp_path / "results" / "s" / "report.html").read_text(encoding="utf-8")
    assert "1 of 1 cells finished" in shown(page)
