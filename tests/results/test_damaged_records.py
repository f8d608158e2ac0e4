"""Records that were edited, cut off or made by other code: named, left alone, rerun if asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runners.results.store import CellFolder
from runners.run_grid import main
from tests.helpers import records
from tests.helpers.cli import cell_folder, write_study

METHODS = ["cross_entropy", "clean_only"]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> tuple[Path, dict[str, Any]]:
    """A study of two cells and the record of the first, as it was written."""
    folder = tmp_path_factory.mktemp("damaged")
    study = write_study(folder / "study.yaml", METHODS, epochs=1, batch_size=400)
    assert grid(folder) == 0
    record = (cell_folder(folder / "results", "cross_entropy") / "record.json").read_text()
    return study, json.loads(record)


@pytest.fixture
def folder(original) -> CellFolder:
    """The folder of the first cell with its original record."""
    made = CellFolder(cell_folder(original[0].parent / "results", "cross_entropy"))
    made.record.write_text(json.dumps(original[1]))
    made.failed.unlink(missing_ok=True)
    return made


def grid(folder: Path, *arguments: str) -> int:
    line = [str(folder / "study.yaml"), "--results", str(folder / "results"), "--workers", "0"]
    return main([*line, *arguments])


def signed(record: dict[str, Any]) -> str:
    """The record as text with the checksum that fits it."""
    return json.dumps(records.signed(record))


def without(record: dict[str, Any], part: str) -> str:
    return signed({name: value for name, value in record.items() if name != part})


DAMAGE: dict[str, tuple[Callable[[dict[str, Any]], str], str]] = {
    "edited": (lambda r: json.dumps({**r, "track": "paper"}), "does not match its checksum"),
    "cut off": (lambda r: json.dumps(r)[:-500], "is no whole JSON document"),
    "empty": (lambda r: "", "is no whole JSON document"),
    "not a record": (lambda r: "[1, 2]", "is no whole JSON document"),
    "nested": (lambda r: "[" * 100_000, "is no whole JSON document"),
    "not a number": (lambda r: json.dumps({**r, "timing": float("nan")}), "its checksum"),
    "older": (lambda r: signed({**r, "schema": 0}), "has schema 0; this version of the suite rea"),
    "newer": (lambda r: signed({**r, "schema": "2"}), "has schema '2'; this version"),
    "of another cell": (lambda r: signed({**r, "key": "0" * 64}), "is the record of another cell"),
    "without timing": (
        lambda r: without(r, "timing"),
        "records are: timing: field required",
    ),
    "without accuracy": (
        lambda r: without(r, "accuracy"),
        "accuracy: field required",
    ),
    "without provenance": (
        lambda r: without(r, "provenance"),
        "provenance: field required",
    ),
    "odd accuracy": (lambda r: signed({**r, "accuracy": {"last": {"test": "0.9"}}}), "accuracy"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_named_with_what_is_wrong(kind, original, folder, capsys):
    spoil, words = DAMAGE[kind]
    folder.record.write_text(spoil(original[1]))
    assert grid(original[0].parent, "--status") == 0
    said = capsys.readouterr().out
    (line,) = [s for s in said.splitlines() if s.startswith(f"{folder.path.name}  damaged")]
    assert f"{folder.record} " in line and words in line
    assert "2 cells: 1 done, 1 damaged" in said and "--rerun-damaged  # reruns" in said


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_record_is_left_alone_until_it_is_asked_for(kind, original, folder, capsys):
    content = DAMAGE[kind][0](original[1])
    folder.record.write_text(content)
    for options in ([], ["--retry-failed"], ["--rerun-stale"]):
        assert grid(original[0].parent, *options) == 1
        out, err = capsys.readouterr()
        assert folder.record.read_text() == content
        assert f"damaged: {folder.record} " in err and "1 of 2 cells done" in out
    assert grid(original[0].parent, "--rerun-damaged") == 0
    assert folder.read_record()["final_weights_sha256"] == original[1]["final_weights_sha256"]


def test_a_record_of_other_code_is_stale_and_still_counts(original, folder, capsys):
    folder.record.write_text(other_code(original[1]))
    for option in ("--status", "--plan"):
        assert grid(original[0].parent, option) == 0
        said = capsys.readouterr().out
        assert "2 cells: 1 done, 1 stale" in said
        assert any(s.startswith(f"{folder.path.name}  stale") for s in said.splitlines())
    assert grid(original[0].parent) == 0
    assert "2 of 2 cells done already" in capsys.readouterr().out


def other_code(record: dict[str, Any]) -> str:
    origin = {**record["provenance"], "fingerprint": "f" * 64}
    return signed({**record, "provenance": origin})


def test_a_stale_record_is_run_anew_only_if_it_is_asked_for(original, folder):
    folder.record.write_text(other_code(original[1]))
    for options in ([], ["--retry-failed"], ["--rerun-damaged"]):
        assert grid(original[0].parent, *options) == 0
        assert folder.record.read_text() == other_code(original[1])
    assert grid(original[0].parent, "--rerun-stale") == 0
    new = folder.read_record()
    assert new["provenance"]["fingerprint"] == original[1]["provenance"]["fingerprint"]
    assert new["final_weights_sha256"] == original[1]["final_weights_sha256"]


class Stop(BaseException):
    """Ends a run where no code of the suite catches it."""


@pytest.mark.parametrize("option", ["--rerun-damaged", "--rerun-stale"])
def test_until_the_new_record_is_whole_the_old_one_stays(option, original, folder, monkeypatch):
    old = {
        "--rerun-damaged": json.dumps(original[1])[:-9],
        "--rerun-stale": other_code(original[1]),
    }
    folder.record.write_text(old[option])

    def stop(path: Path, target: Path) -> Path:
        if Path(target) == folder.record:
            raise Stop
        return rename(path, target)

    rename = Path.replace
    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(Stop):
        grid(original[0].parent, option)
    assert folder.record.read_text() == old[option]


def test_a_stale_cell_that_fails_when_it_is_run_anew_keeps_its_record(
    original, folder, monkeypatch, capsys
):
    folder.record.write_text(other_code(original[1]))
    monkeypatch.setattr("runners.cell.trainer.fit", lambda *a, **k: 1 / 0)
    assert grid(original[0].parent, "--rerun-stale") == 1
    assert f"failed: {folder.path.name}: ZeroDivisionError" in capsys.readouterr().err
    assert folder.record.read_text() == other_code(original[1])
