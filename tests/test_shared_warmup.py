"""A warm-up taken from another method leaves a record of the same bits."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from runners import provenance
from runners.warmups import SharedWarmup
from tests.interruptions import cut_off, finish, place_in
from tests.made_cells import Ready, make_cell, ready, same_state

PROTOCOL: dict[str, Any] = {"epochs": 6, "batch_size": 64}


def cell_of(name: str, augment: str = "none", **changes: Any) -> Any:
    return make_cell(name, augment=augment, **{**PROTOCOL, **changes})


def without_seconds(history: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in entry.items() if "seconds" not in k} for entry in history]


def shared(run: Ready, folder) -> SharedWarmup:
    return SharedWarmup.of(run.cell, run.method, folder / "warmups")


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize(
    ("first", "second"), [("fine_tune", "metalabelnet"), ("metalabelnet", "fine_tune")]
)
def test_the_second_method_of_a_setting_is_the_same_bits_with_a_shared_warm_up(
    first, second, augment, tmp_path
):
    giver = ready(cell_of(first, augment))
    giver.train(warmup=shared(giver, tmp_path))
    alone, taker = (ready(cell_of(second, augment)) for _ in range(2))
    assert shared(taker, tmp_path).path.exists()
    updates = []
    taker.method.optimizer.register_step_post_hook(lambda *_: updates.append(1))
    history = taker.train(warmup=shared(taker, tmp_path))
    assert without_seconds(history) == without_seconds(alone.train())
    assert same_state(taker.method, alone.method)
    assert len(updates) == 4 * taker.method.task.steps_per_epoch  # 6 epochs less 2 of warm-up


def test_a_damaged_warm_up_is_trained_anew(tmp_path):
    giver = ready(cell_of("fine_tune"))
    history = giver.train(warmup=shared(giver, tmp_path))
    path = shared(giver, tmp_path).path
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    again = ready(cell_of("fine_tune"))
    assert shared(again, tmp_path).restore(again.method) is None
    assert without_seconds(again.train(warmup=shared(again, tmp_path))) == without_seconds(history)
    assert path.read_bytes() != content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "changes", [{"lr": 0.04}, {"seed": 1}, {"noise": "pair_flip"}, {"epochs": 9}]
)
def test_warm_ups_that_differ_in_anything_are_not_shared(changes, tmp_path):
    one = ready(cell_of("fine_tune"))
    other = ready(cell_of("fine_tune", **changes))
    assert shared(one, tmp_path).path != shared(other, tmp_path).path


@pytest.mark.parametrize("changed", ["model", "instructions"])
def test_warm_ups_of_other_processors_are_not_shared(changed, tmp_path, monkeypatch):
    run = ready(cell_of("fine_tune"))
    here = shared(run, tmp_path).path
    if changed == "model":
        monkeypatch.setattr(provenance, "processor", lambda: "another model")
    else:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SSE9")
    assert shared(run, tmp_path).path != here


@pytest.mark.parametrize(("instructions", "left"), [("SSE9", 0), (None, 1)])
def test_a_warm_up_of_two_processors_is_left_to_nobody(instructions, left, tmp_path, monkeypatch):
    place, cell = place_in(tmp_path), cell_of("fine_tune", epochs=9)
    with monkeypatch.context() as elsewhere:
        if instructions:
            elsewhere.setattr(torch.backends.cpu, "get_cpu_capability", lambda: instructions)
        assert cut_off(cell, place, 2).checkpoint.exists()
        assert not place.study.warmups.exists()  # it has three epochs
    finish(cell, place)
    assert len(list(place.study.warmups.glob("*"))) == left


def test_methods_without_a_warm_up_share_nothing(tmp_path):
    assert shared(ready(cell_of("mw_net")), tmp_path) is None
