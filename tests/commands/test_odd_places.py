"""Streams, folders and homes that are not as one expects end in a sentence, or do not matter."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runners.pool.devices import count_cores, lacks_bf16
from tests.helpers.cli import ROOT, environment, run_grid, write_study

TABLES = ROOT / "analysis" / "make_tables.py"
RUN = ROOT / "runners" / "run_grid.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("odd")
    study = write_study(made / "study.yaml", ["cross_entropy", "gce"], epochs=1)
    assert run_grid(study, made / "results", folder=made).returncode == 0
    return made


def shell(folder: Path, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    python = f"{sys.executable} "
    text = line.replace("TABLES", f"{python}{TABLES}").replace("RUN", f"{python}{RUN}")
    return subprocess.run(
        ["bash", "-c", text], cwd=folder, env=environment(folder, **more), text=True,
        capture_output=True,
    )  # fmt: skip


@pytest.mark.parametrize("line", ["TABLES --results results", "RUN study.yaml --results results"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_fail_nothing(folder, line, closed):
    done = shell(folder, f"{line} {closed}")
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_letters_that_the_terminal_lacks_fail_nothing(folder):
    done = shell(folder, "TABLES --results results", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "Tables of study" in done.stdout


def test_a_safe_path_drops_no_folder_of_a_person(folder, tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Says"], epochs=1)
    line = f"RUN {study} --results {tmp_path / 'results'}"
    done = shell(folder, line, PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr


def test_an_unknown_home_is_a_sentence(folder):
    done = shell(folder, "RUN study.yaml --results other --set run.data_root=~nosuchuser/x")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert "run.data_root: '~nosuchuser/x' is not allowed: must be a folder" in done.stderr


def test_a_file_in_the_place_of_a_cell_is_named_and_passed_over(folder, tmp_path):
    study = write_study(tmp_path / "study.yaml", ["cross_entropy", "gce"], epochs=1)
    plan = run_grid(study, tmp_path / "results", "--plan", folder=tmp_path).stdout
    name = next(line.split()[0] for line in plan.splitlines() if "cross_entropy" in line)
    (place,) = {path.parent.name for path in folder.glob("results/*/study.json")}
    odd = tmp_path / "results" / place / "cells" / name
    odd.parent.mkdir(parents=True)
    odd.touch()
    done = run_grid(study, tmp_path / "results", folder=tmp_path)
    assert f"damaged: {odd} is no folder: move it away" in done.stderr
    assert "1 of 2 cells done" in done.stdout and done.returncode == 1


def test_a_broken_study_is_named_and_the_others_are_shown(folder):
    broken = folder / "results" / "broken"
    broken.mkdir()
    (broken / "study.json").write_text("{")
    done = shell(folder, "TABLES --results results")
    (broken / "study.json").unlink()
    broken.rmdir()
    assert done.returncode == 0 and "| Cross-entropy" in done.stdout
    assert "left out: results/broken/study.json is no valid JSON" in done.stderr


def test_tables_of_a_study_are_asked_for_by_its_file(folder):
    done = shell(folder, "TABLES study.yaml --results results")
    assert done.returncode == 0 and done.stdout.count("###") == 2
    (folder / "other.yaml").write_text("axes: {}\n")
    done = shell(folder, "TABLES other.yaml --results results")
    assert done.returncode == 2 and "other.yaml: names no study" in done.stderr


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "150000 100000"}, 2),
        ({"cpu.max": "50000 100000"}, 1),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"}, 1),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({}, None),
    ],
)
def test_the_quota_of_a_control_group_counts_as_cores(tmp_path, monkeypatch, files, expected):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert count_cores(tmp_path) == (8 if expected is None else expected)


@pytest.mark.parametrize(
    ("flags", "lacks"), [("fpu avx512_bf16", False), ("fp asimd bf16", False), ("fpu avx2", True)]
)
def test_a_plan_in_bf16_says_where_the_processor_lacks_it(tmp_path, flags, lacks):
    (tmp_path / "cpuinfo").write_text(f"flags : {flags}\n")
    assert lacks_bf16(tmp_path / "cpuinfo") == lacks
    assert not lacks_bf16(tmp_path / "nothing")  # unknown


def test_windows_is_refused_in_a_sentence(folder):
    code = f"import sys; sys.platform = 'win32'; sys.path.insert(0, {str(ROOT)!r}); import runners"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "Windows is not supported: use Linux, macOS or WSL\n"


def test_options_that_there_are_not_name_what_does_it(folder):
    for option, instead in (
        ("--methods gce", "--only method=a,b chooses, --set axes.method=VALUE changes it"),
        ("--epochs 3", "--set protocol.epochs=VALUE changes it"),
        ("--set epochs=3", "did you mean protocol.epochs?"),
    ):
        done = shell(folder, f"RUN study.yaml {option}")
        assert done.returncode == 2 and instead in done.stderr
