"""The code's fingerprint notices what can change a number, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from datasets import noise
from datasets.base import DataError
from runners.results import provenance
from runners.results.plan import Fingerprints
from runners.results.store import CellFolder, State, with_stamp
from runners.study.config import load_study
from runners.study.grid import cells
from tests.helpers.records import SYMMETRIC, cell, record

CODE = '''"""A module."""
from methods.helper import factor

LIMIT = 3
"""An attribute's docstring."""


def double(x):
    """Twice x."""
    return factor * x
'''
HELPER = "factor = 2\n"


def fingerprint_of(folder: Path, monkeypatch, code: str = CODE, helper: str = HELPER) -> str:
    """Fingerprint of `methods/main.py` in a made-up repository."""
    (folder / "methods").mkdir(parents=True)
    (folder / "methods" / "__init__.py").touch()
    (folder / "methods" / "main.py").write_text(code)
    (folder / "methods" / "helper.py").write_text(helper)
    (folder / "methods" / "other.py").write_text(folder.name)
    monkeypatch.setattr(provenance, "ROOT", folder)
    return provenance.fingerprint(["methods/main.py"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another text."""\n# and a comment'),
        ('"""An attribute\'s docstring."""\n', ""),
        ('    """Twice x."""\n', ""),
        ("factor * x", "(factor  *  x)  # twice"),
    ],
    ids=["module docstring and comment", "attribute docstring", "docstring", "formatting"],
)
def test_words_and_formatting_leave_the_fingerprint_alone(old, new, tmp_path, monkeypatch):
    assert old in CODE
    before = fingerprint_of(tmp_path / "a", monkeypatch)
    assert fingerprint_of(tmp_path / "b", monkeypatch, CODE.replace(old, new)) == before


@pytest.mark.parametrize(
    ("code", "helper"),
    [
        (CODE.replace("factor * x", "factor + x"), HELPER),
        (CODE.replace("LIMIT = 3", "LIMIT = 4"), HELPER),
        (CODE, "factor = 2.0\n"),
    ],
    ids=["an operator", "a constant", "a file that is imported"],
)
def test_what_can_change_a_number_changes_the_fingerprint(code, helper, tmp_path, monkeypatch):
    before = fingerprint_of(tmp_path / "a", monkeypatch)
    assert fingerprint_of(tmp_path / "b", monkeypatch, code, helper) != before


def test_a_file_that_nothing_imports_does_not_count(tmp_path, monkeypatch):
    # `methods/other.py` holds the folder's name, so it differs.
    one, two = (fingerprint_of(tmp_path / name, monkeypatch) for name in "ab")
    assert one == two


@pytest.mark.parametrize(
    "code",
    [
        "from .helper import factor",
        "from . import helper",
        "import importlib\nhelper = importlib.import_module('methods.helper')",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from x import y\nelse:\n"
        "    from methods.helper import factor",
    ],
    ids=["relative", "relative package", "importlib", "else of TYPE_CHECKING"],
)
def test_every_way_of_importing_is_seen(code, tmp_path, monkeypatch):
    one = fingerprint_of(tmp_path / "a", monkeypatch, code)
    assert fingerprint_of(tmp_path / "b", monkeypatch, code, "factor = 3\n") != one


def test_a_package_from_outside_may_move(tmp_path):
    prints = []
    for place, row in (("a", "1,2"), ("z/deeper", "1,2"), ("c", "1,3")):
        folder = tmp_path / place / "plugin"
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("from .helper import factor\n")
        (folder / "helper.py").write_text(HELPER)
        (folder / "table.csv").write_text(row)
        prints.append(provenance.fingerprint([str(folder)]))
    assert prints[0] == prints[1] != prints[2]


def test_sources_without_end_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "MOST_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.py").touch()
    for source, reason in (("/dev/zero", "no file of code"), (str(tmp_path), "more than 2 files")):
        with pytest.raises(ValueError, match=reason):
            provenance.fingerprint([source])


def test_methods_share_no_fingerprint_but_seeds_and_rates_do(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "study: s\naxes: {dataset: simulated, noise: {name: symmetric, rate: [0.2, 0.4]}, "
        "method: [gce, co_teaching], seed: 2}\n"
    )
    fingerprints = Fingerprints(None)
    found = {(cell.method, fingerprints[cell]) for cell in cells(load_study(file))}
    assert len(found) == 2


def test_a_file_behind_a_noise_entry_counts_and_without_it_nobody_can_tell(tmp_path, monkeypatch):
    file = tmp_path / "study.yaml"
    file.write_text(
        "study: s\naxes: {dataset: simulated, noise: pair_flip, method: gce, seed: 1}\n"
    )
    file.write_text(file.read_text().replace("pair_flip", "{name: pair_flip, rate: 0.2}"))
    (planned,) = cells(load_study(file))
    prints = [Fingerprints(None)[planned]]
    for content in ("one", "two", None):

        def stamp(self, root, content=content) -> str:
            if content is None:
                raise DataError("the file is gone")
            return content

        monkeypatch.setattr(type(noise.of(planned.noise)), "stamp", stamp)
        prints.append(Fingerprints(None)[planned])
    assert len(set(prints)) == 4
    assert prints[3] == with_stamp(prints[0], None)


def test_a_record_made_by_other_code_is_stale_and_an_altered_one_damaged(tmp_path):
    folder = CellFolder(tmp_path / "cell__0123abcd")
    folder.path.mkdir()
    assert folder.status("today").state == State.MISSING
    planned = cell("gce", SYMMETRIC, 0, key=f"0123abcd{'0' * 56}", fingerprint="yesterday")
    made = record(planned, 0.8, timing={"total_s": 0.5}, key=f"0123abcd{'0' * 56}")
    folder.write_record({name: part for name, part in made.items() if name != "record_sha256"})
    assert folder.status("yesterday").state == State.DONE
    assert folder.status("today").state == State.STALE
    assert folder.status("yesterday of other data").state == State.STALE
    assert folder.status("yesterday ?").state == State.DONE  # the data are gone: who knows
    folder.record.write_text(folder.record.read_text().replace('"total_s":0.5', '"total_s":0.9'))
    assert folder.status("yesterday").state == State.DAMAGED
