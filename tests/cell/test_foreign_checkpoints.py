"""A checkpoint that cannot be gone on with is set aside; one that can is, whatever the memory."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from methods.base import Method
from runners.cell.record import weights_sha256
from runners.system.files import write_checked
from tests.helpers.cells import ready
from tests.helpers.interruptions import cell_of, context_in, cut_off, finish


class Evil:
    """Runs a command where its pickle is loaded carelessly."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return (Path.touch, (self.file,))


def foreign(key: str) -> Callable[[Path], None]:
    return altered(lambda state: state["identity"].update({key: "another"}))


def altered(change: Callable[[dict], object]) -> Callable[[Path], None]:
    """Writes a checkpoint anew, whole, with another content."""

    def spoil(path: Path) -> None:
        state = torch.load(io.BytesIO(path.read_bytes()[64:]), weights_only=True)
        change(state)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        write_checked(path, buffer.getvalue())

    return spoil


SPOILT = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "an evil pickle": lambda path: write_checked(
        path, pickle.dumps(Evil(path.with_name("executed")))
    ),
    "of another cell": foreign("key"),
    "of other code": foreign("fingerprint"),
    "of another format": foreign("format"),
    "without an identity": altered(lambda state: state.update(identity=None)),
    "with another note": altered(lambda state: state["notes"].update(weather="fine")),
    "with odd notes": altered(lambda state: state["notes"].update(attempts=9, seconds=[])),
    "with another part of its standing": altered(lambda state: state["standing"].update(pose=1)),
    "without random state": altered(lambda state: state.pop("random")),
    "without a method": altered(lambda state: state.pop("method")),
    "without a position": altered(lambda state: state.update(clean_position=None)),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_a_damaged_or_foreign_checkpoint_is_set_aside_with_a_warning(spoil, tmp_path, caplog):
    cell, place = cell_of("fine_tune"), context_in(tmp_path)
    folder = cut_off(cell, place, 3)
    spoil(folder.checkpoint)
    with caplog.at_level(logging.WARNING):
        record, seen = finish(cell, place)
    (said,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert "set aside as checkpoint.pt.unusable and the cell starts over" in said
    assert seen == [1, 2, 3, 4] and folder.record.exists()
    assert not (folder.path / "executed").exists() and not folder.checkpoint.exists()
    assert (folder.path / "checkpoint.pt.unusable").exists()
    assert record["provenance"]["attempts"] == 1  # nothing is kept of what it tells
    whole = ready(cell)
    whole.train()
    assert record["final_weights_sha256"] == weights_sha256(whole.method.network)


def test_a_checkpoint_for_which_the_memory_does_not_suffice_stands(tmp_path, monkeypatch):
    cell, place = cell_of("fine_tune"), context_in(tmp_path)
    folder = cut_off(cell, place, 3)

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with monkeypatch.context() as crowded:
        crowded.setattr(Method, "load_state_dict", full)
        with pytest.raises(torch.OutOfMemoryError):
            finish(cell, place)
    assert finish(cell, place)[1] == [1, 2, 3, 4] and not list(folder.path.glob("checkpoint*"))
