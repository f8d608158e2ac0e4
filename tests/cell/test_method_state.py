"""What a method holds comes back from a checkpoint exactly, or is refused by name."""

from __future__ import annotations

import enum
import functools
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import methods
from methods.base import Method, register
from methods.declaration import Declaration, Privileges
from runners.cell.checkpoint import Checkpointer
from runners.cell.method_state import UnrestorableState
from runners.cell.trainer import TrainState
from tests.helpers.cells import ready
from tests.helpers.cli import records, run_grid, write_study
from tests.helpers.interruptions import (
    EPOCHS,
    assert_same,
    cell_of,
    interrupted,
)


@register(Declaration("hoarder", "Hoarder", privileges=Privileges.CLEAN_SUBSET))
class Hoarder(Method):
    """Keeps state in every way there is, and lets all of it change its weights."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.peers = [new_network()]
        self.network.add_module("peer", self.peers[0])
        self.optimizers = [task.make_optimizer(self.peers[0].parameters())]
        self.register_buffer("unsaved", torch.zeros(()), persistent=False)
        self.count, self.means = 0, {"loss": np.zeros(2)}
        self.own = torch.Generator().manual_seed(3)
        self.history: list[torch.Tensor] = []

    def step(self, batch):
        self.count += 1
        factor = 1 + self.rng.random() + float(torch.rand(())) + self.count / 100
        factor += float(torch.rand((), generator=self.own)) + float(self.means["loss"][0])
        factor += float(self.unsaved) + (float(self.history[-1]) if self.history else 0)
        clean = self.task.clean_batch(augment=True)
        loss = self.network(clean.images).logsumexp(1).mean()
        loss = 1e-3 * factor * (loss + self.peers[0](batch.images).logsumexp(1).mean())
        self.optimizers[0].zero_grad()
        self.update(loss)
        self.optimizers[0].step()
        self.means["loss"][0] = 0.5 * float(loss.detach())
        self.unsaved += 0.01
        self.history = [*self.history[-2:], torch.tensor(0.1 * self.count)]
        return {"loss": loss.detach()}


@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["between steps", "between epochs"])
def test_whatever_a_method_holds_is_in_its_checkpoint(seconds, tmp_path, monkeypatch):
    monkeypatch.setattr(methods, "load", lambda name: Hoarder)
    monkeypatch.setattr(methods, "declaration", lambda name: Hoarder.declaration)
    cell = cell_of("hoarder")
    whole = ready(cell)
    history = whole.train()
    assert_same(*interrupted(cell, tmp_path / "c.pt", 3, 1, seconds), whole, history)


class Pair(NamedTuple):
    a: int
    b: int


class Level(enum.IntEnum):
    HIGH = 1


@dataclass
class Own:
    a: int = 0


class OwnList(list):
    """Looks like a list and may be more."""


KEPT = {
    "numbers": [1, 2.5, True, None, "text"],
    "tuple in dict": {"a": (1, [2, 3]), 4: {5, 6}},
    "frozenset": frozenset({1, 2}),
    "OrderedDict": OrderedDict(b=1, a=2),
    "torch.Size": torch.Size([2, 3]),
    "np.float32": np.float32(0.1),
    "np.int64": [np.int64(3)],
    "array, reversed": np.arange(6.0)[::-1],
    "array of booleans": np.array([True, False]),
    "tensor": [torch.arange(3), torch.zeros(2, dtype=torch.bfloat16)],
}


REFUSED = {
    "lambda": lambda: None,
    "partial": functools.partial(print, 1),
    "NamedTuple": Pair(1, 2),
    "defaultdict": defaultdict(int, a=1),
    "Counter": Counter("aab"),
    "deque": deque([1, 2], maxlen=2),
    "dataclass": Own(3),
    "IntEnum": Level.HIGH,
    "a list of another class": OwnList([1]),
    "deep inside": {"a": [(1, deque())]},
    "bytes": b"abc",
    "object": object(),
    "array of objects": np.array([None], dtype=object),
    "array of texts": np.array(["a"]),
    "np.str_": np.str_("a"),
    "a tensor that wants a gradient": torch.zeros(2, requires_grad=True),
    "an optimiser made later": torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1),
    "a generator made later": np.random.default_rng(0),
    "a dict with odd keys": {(1, 2): 3},
}


@pytest.mark.parametrize("kind", KEPT)
def test_what_a_checkpoint_keeps_comes_back_with_its_type_and_value(kind, tmp_path):
    first, second = (ready(cell_of("gce")) for _ in range(2))
    settings = (tmp_path / "c.pt", {}, 1, 1e9)
    one, two = Checkpointer(*settings), Checkpointer(*settings)
    one.restore(first.method, first.sets)
    first.method.kept = KEPT[kind]
    one.save(first.method, first.sets, TrainState())
    two.restore(second.method, second.sets)
    assert same(second.method.kept, KEPT[kind])


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, torch.Tensor):
        return one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


@pytest.mark.parametrize("kind", REFUSED)
def test_what_a_checkpoint_cannot_restore_exactly_is_an_error_that_names_it(kind, tmp_path):
    run = ready(cell_of("gce"))
    begin = run.method.begin_epoch

    def begin_epoch(epoch: int) -> None:
        begin(epoch)
        run.method.odd = REFUSED[kind]

    run.method.begin_epoch = begin_epoch
    with pytest.raises(UnrestorableState, match=r"^GCE\.odd.* cannot restore exactly"):
        run.train(checkpointer=Checkpointer(tmp_path / "c.pt", {}, 1, 1e9))
    assert not (tmp_path / "c.pt").exists()


def test_one_tensor_under_two_names_is_refused_and_functions_of_the_constructor_are_not(tmp_path):
    run = ready(cell_of("gce"))
    run.method.function, run.method.kind = abs, torch.float32
    checkpointer = Checkpointer(tmp_path / "c.pt", {}, 1, 1e9)
    assert len(run.train(checkpointer=checkpointer)) == EPOCHS
    run.method.one = torch.zeros(2)
    run.method.other = run.method.one[:1]
    with pytest.raises(UnrestorableState, match=r"GCE\.other shares its memory"):
        checkpointer.save(run.method, run.sets, TrainState())


def test_a_cell_whose_method_cannot_be_kept_fails_with_the_name_of_what_it_holds(tmp_path):
    study = write_study(tmp_path / "study.yaml", ["misbehaving:Hoards", "gce"], epochs=1)
    run = run_grid(study, tmp_path / "results", folder=tmp_path)
    assert run.returncode == 1 and set(records(tmp_path / "results")) == {"gce"}
    assert "UnrestorableState: Hoards.seen holds a deque" in run.stderr
