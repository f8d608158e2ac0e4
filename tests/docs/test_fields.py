"""docs/records.md names every field that cells write, and none that they do not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from analysis import records
from tests.helpers.cli import ROOT, cell_folder

PAGE = (ROOT / "docs" / "records.md").read_text(encoding="utf-8")


def documented(file: str) -> dict[str, str]:
    """Field -> its line, of one file's list."""
    part = PAGE.split(f"<!-- fields of {file} -->")[1].split("<!--")[0]
    lines = [line for line in part.splitlines() if line.startswith("| `")][1:]
    return {field: line for line in lines for field in re.findall(r"`(\S+?)`", line.split("|")[1])}


def fields(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Dotted paths of all leaves; an empty mapping and null are leaves."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from fields(inner, (*path, name.replace(".", "_")))
    else:
        yield ".".join(path)


def pattern(field: str) -> str:
    return re.escape(field).replace(r"\*\*", ".+").replace(r"\*", r"[^.]+")


def compare(file: str, found: Iterable[str]) -> None:
    known, found = documented(file), set(found)
    explained = re.compile("|".join(map(pattern, known)))
    assert not [field for field in found if not explained.fullmatch(field)]
    parents = {f.rpartition(".")[0] for f in found}
    used = {k for k in known if any(re.fullmatch(pattern(k), f) for f in found | parents)}
    assert not [name for name in set(known) - used if "only" not in known[name]]


@pytest.fixture
def packed() -> list[dict[str, Any]]:
    """Records of the committed default study, whose methods fill all parts."""
    lines = (ROOT / "results/reference/default/records.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in lines.splitlines()]


def test_every_field_of_a_record_is_explained(found, packed):
    own = [{k: v for k, v in r.items() if k != "epochs"} for r in [*found.values(), *packed]]
    compare("record.json", [field for record in own for field in fields(record)])


def test_every_field_of_an_epoch_is_explained(packed):
    compare("epochs.jsonl", [f for r in packed for line in r["epochs"] for f in fields(line)])


def test_every_column_of_samples_is_explained(finished, found):
    columns = {}
    for label in found:
        with np.load(cell_folder(finished.results, label) / "samples.npz") as file:
            columns |= {name: file[name].dtype.name for name in file.files}
    compare("samples.npz", columns)
    for name, line in documented("samples.npz").items():
        assert name not in columns or columns[name] in line


@pytest.mark.parametrize(
    ("name", "load"),
    [("the frame", records.load), ("the frame of epochs", records.load_epochs)],
)
def test_every_column_of_a_frame_is_explained(name, load):
    compare(name, load(ROOT / "results" / "reference" / "default").columns)


def test_the_plot_of_the_page_is_drawn(tmp_path, monkeypatch):
    page = (ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
    code = page.partition("```python\n")[2].partition("```")[0]
    assert len([line for line in code.splitlines() if line]) == 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    exec(code.replace("results/reference", f"{ROOT}/results/reference"), {})
    assert (tmp_path / "lost.png").read_bytes()[:4] == b"\x89PNG"
