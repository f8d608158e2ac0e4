"""The list of committed studies is what its command makes of their records."""

from __future__ import annotations

import subprocess
import sys

import pytest

from analysis import list_reference
from tests.helpers.cli import ROOT

REFERENCE = ROOT / "results" / "reference"


def test_the_page_is_what_its_command_makes_today():
    page = (REFERENCE / "README.md").read_text(encoding="utf-8")
    assert list_reference.page(REFERENCE) == page, "run: python analysis/list_reference.py"


def test_a_folder_without_studies_is_one_sentence(tmp_path):
    line = [sys.executable, ROOT / "analysis" / "list_reference.py", "--results", tmp_path]
    refused = subprocess.run(line, capture_output=True, text=True)
    assert refused.returncode == 2 and not list(tmp_path.iterdir())
    assert f"--results {tmp_path}: holds no study" in refused.stderr


@pytest.mark.parametrize("folder", [path.parent for path in REFERENCE.glob("*/study.json")])
def test_the_page_of_a_committed_study_is_what_its_command_makes_today(folder, tmp_path):
    line = [sys.executable, ROOT / "analysis" / "report.py", folder, "--out", tmp_path]
    done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    made, committed = (place / "report.html" for place in (tmp_path, folder))
    again = f"run: python analysis/report.py {folder.relative_to(ROOT)}"
    assert made.read_bytes() == committed.read_bytes(), again
    assert len(committed.read_bytes()) < 600_000
    assert str(ROOT).encode() not in committed.read_bytes()
