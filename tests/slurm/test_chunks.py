"""Cells are divided into tasks and arrays: none is lost, none is there twice, limits hold."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.slurm.chunks import (
    SIMILAR,
    Work,
    array_limit,
    make_arrays,
    make_tasks,
    task_seconds,
)

seconds = st.floats(0, 1e6) | st.sampled_from([0.0, 1.0, 60.0, 3600.0])
many = st.lists(st.tuples(st.sampled_from("abc"), seconds), max_size=60).map(
    lambda drawn: [Work(f"cell{i}", *each) for i, each in enumerate(drawn)]
)


def works(*durations: float, dataset: str = "a") -> list[Work]:
    return [Work(f"{dataset}{i}", dataset, each) for i, each in enumerate(durations)]


@given(many, st.none() | st.integers(1, 20), st.integers(1, 8))
def test_every_cell_is_in_exactly_one_task_and_limits_hold(cells, cells_per_task, at_once):
    tasks = make_tasks(cells, cells_per_task, at_once)
    placed = [work for task in tasks for work in task]
    assert sorted(placed, key=repr) == sorted(cells, key=repr)
    for task in tasks:
        assert 1 <= len(task) <= (cells_per_task or at_once)
        assert len({work.dataset for work in task}) == 1
        durations = [work.seconds for work in task]
        assert max(durations) <= SIMILAR * min(durations)
    lasting = [task_seconds(task, at_once) for task in tasks]
    assert lasting == sorted(lasting, reverse=True)


@given(many, st.none() | st.integers(1, 20), st.integers(1, 8), st.randoms())
def test_the_order_of_the_cells_does_not_matter(cells, cells_per_task, at_once, random):
    shuffled = random.sample(cells, len(cells))
    tasks = make_tasks(cells, cells_per_task, at_once)
    assert set(make_tasks(shuffled, cells_per_task, at_once)) == set(tasks)


@given(many, st.integers(1, 20))
def test_arrays_keep_the_order_of_tasks_and_are_as_few_as_can_be(cells, most):
    tasks = make_tasks(cells, 1, 1)
    arrays = make_arrays(tasks, most)
    assert [task for array in arrays for task in array] == tasks
    assert all(1 <= len(array) <= most for array in arrays)
    assert len(arrays) == -(-len(tasks) // most)


@given(many.filter(bool), st.integers(1, 8))
def test_a_task_takes_at_least_its_longest_cell_and_its_share_of_the_sum(cells, at_once):
    longest, total = max(w.seconds for w in cells), sum(w.seconds for w in cells)
    lasting = task_seconds(tuple(cells), at_once)
    assert max(longest, total / at_once) * 0.999 <= lasting <= total * 1.001


def test_similar_cells_share_a_task_evenly_and_others_have_their_own():
    tasks = make_tasks(works(*[60] * 9, 600), cells_per_task=8, at_once=1)
    assert [len(task) for task in tasks] == [1, 5, 4]
    assert tasks[0][0].seconds == 600


def test_without_a_number_a_task_has_as_many_cells_as_run_at_once():
    assert [len(task) for task in make_tasks(works(*[60] * 8), None, at_once=4)] == [4, 4]
    assert [len(task) for task in make_tasks(works(*[60] * 3), None, at_once=1)] == [1, 1, 1]


@pytest.mark.parametrize(("size", "most"), [(1001, 1000), (16, 15), (2, 1), (1, 1), (0, 1)])
def test_an_array_stays_within_the_limit_of_the_cluster(size, most):
    assert array_limit(size) == most


def test_a_hundred_thousand_cells_are_divided_in_seconds():
    cells = [Work(f"cell{i}", "abc"[i % 3], i % 1000) for i in range(100_000)]
    start = time.perf_counter()
    arrays = make_arrays(make_tasks(cells, 8, 2), 1000)
    assert time.perf_counter() - start < 10
    assert sum(len(task) for array in arrays for task in array) == 100_000
