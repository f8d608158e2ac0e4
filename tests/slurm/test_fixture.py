"""Where no SLURM can be had, its tests are skipped with the reason; under CI they fail."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.slurm import conftest, install
from tests.slurm.configuration import Settings


def outcome() -> BaseException:
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception)) as caught:
        next(conftest._cluster(Settings()))
    return caught.value


@pytest.mark.parametrize(
    ("ci", "kind"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_without_root_tests_are_skipped_and_under_ci_they_fail(monkeypatch, ci, kind):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    said = outcome()
    assert isinstance(said, kind) and "needs root" in str(said)


def test_without_programs_and_apt_the_reason_names_what_is_missing(monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    assert "slurmctld, slurmd missing, and no apt-get" in str(outcome())


def test_what_apt_says_is_told(monkeypatch, tmp_path):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None if "slurm" in name else name)
    monkeypatch.setattr(install, "_apt", lambda *words: "no network")
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy")
    assert "apt-get cannot install slurmctld, slurmd: no network" in str(outcome())
    assert not list(tmp_path.iterdir())
