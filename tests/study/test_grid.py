"""Cells and their keys: same numbers, same key; anything that changes a number, another key."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from runners.study.cell import Cell
from runners.study.config import Study, load_study
from runners.study.grid import cells, select, study_json
from runners.system.errors import ConfigError

TEXT = """
study: grid
axes:
  dataset: simulated
  noise: [{name: symmetric, rate: [0.28, 0.29]}, clean]
  method: [{name: gce, label: a, q: 0.7, truncated: false}, mw_net, co_teaching]
  seed: 2
protocol: {schedule: step, milestones: [4]}
"""
PROTOCOL = {
    "network": "cnn8",
    "epochs": 13,
    "batch_size": 64,
    "optimizer": "adam",
    "lr": 0.051,
    "momentum": 0.8,
    "weight_decay": 0.0,
    "schedule": "linear",
    "milestones": [5],
    "gamma": 0.2,
    "augment": "crop_flip",
    "clean_subset": 12,
    "clean_val": 4,
    "dev": 4,
    "noisy_val": 0.2,
    "deterministic": False,
    "amp": "bf16",
    "tf32": True,
}


def study(tmp_path: Path, *overrides: str, text: str = TEXT) -> Study:
    (tmp_path / "grid.yaml").write_text(text)
    return load_study(tmp_path / "grid.yaml", overrides, tuning=True, tuned_folder=tmp_path)


def one_key(tmp_path: Path, *overrides: str) -> str:
    first = ["axes.noise={name: symmetric, rate: 0.4}", "axes.method=gce", "axes.seed=1"]
    (cell,) = cells(study(tmp_path, *first, *overrides))
    return cell.key


@pytest.fixture
def grid(tmp_path: Path) -> list[Cell]:
    return cells(study(tmp_path))


def test_the_grid_is_every_combination_with_a_key_of_its_own(grid):
    assert len(grid) == 1 * 3 * 3 * 2
    assert len({cell.key for cell in grid}) == len({cell.name for cell in grid}) == len(grid)


def test_a_cell_is_named_by_its_setting_label_seed_and_key(grid):
    cell = grid[0]
    assert cell.name == f"simulated__{cell.noise_slug}__a__s0__{cell.key[:8]}"


def test_cells_hold_a_fully_resolved_protocol_and_the_privileges(grid):
    protocol = grid[0].protocol
    decided = (protocol["network"], protocol["augment"], protocol["clean_subset"])
    assert decided == ("small_cnn", "none", 8)
    told = {cell.method: cell.privileges for cell in grid}
    assert told == {"gce": [], "mw_net": ["clean_subset"], "co_teaching": ["noise_rate"]}


def test_keys_do_not_depend_on_order_label_workers_or_paths(tmp_path, grid):
    (tmp_path / "elsewhere").mkdir()
    other = cells(
        study(
            tmp_path / "elsewhere",
            "axes.noise=[clean, {rate: [0.29, 0.28], name: symmetric}]",
            "axes.method=[co_teaching, mw_net, gce]",
            "axes.seed=[1, 0]",
            "run={workers: 3, device: cpu, data_root: /somewhere}",
            "study=another",
        )
    )
    assert {cell.key for cell in other} == {cell.key for cell in grid}


def test_naming_what_is_automatic_anyway_keeps_the_key(tmp_path):
    named = ["protocol.network=small_cnn", "protocol.augment=none", "protocol.clean_subset=0"]
    assert one_key(tmp_path, *named) == one_key(tmp_path)


def test_a_clean_subset_is_drawn_where_a_method_of_the_study_needs_it_or_its_size_is_named(
    tmp_path,
):
    def sizes(*overrides: str) -> set[int]:
        return {cell.protocol["clean_subset"] for cell in cells(study(tmp_path, *overrides))}

    assert sizes("axes.method=[cross_entropy, gce]") == {0}
    assert sizes("axes.method=[cross_entropy, fine_tune]") == {8}  # of all methods alike
    assert sizes("axes.method=[cross_entropy, gce]", "protocol.clean_subset=40") == {40}


def test_an_axis_of_clean_subsets_makes_settings_whose_names_say_the_size(tmp_path):
    several = cells(study(tmp_path, "axes.clean_subset=[4, 100]", "axes.seed=1"))
    assert [(c.noise_slug, c.noise_display, c.protocol["clean_subset"]) for c in several[::3]] == [
        ("symmetric-0.28-clean4", "Symmetric 0.28, 4 clean images", 4),
        ("symmetric-0.28-clean100", "Symmetric 0.28, 100 clean images", 100),
        ("symmetric-0.29-clean4", "Symmetric 0.29, 4 clean images", 4),
        ("symmetric-0.29-clean100", "Symmetric 0.29, 100 clean images", 100),
        ("clean-clean4", "Clean, 4 clean images", 4),
        ("clean-clean100", "Clean, 100 clean images", 100),
    ]
    one = cells(study(tmp_path, "protocol.clean_subset=4", "axes.seed=1"))
    assert {c.key for c in one} == {c.key for c in several if c.protocol["clean_subset"] == 4}


def test_one_and_1_0_are_one_value_where_a_float_belongs(tmp_path):
    whole = ["axes.method={name: gce, q: 1}", "protocol.lr=1", "protocol.noisy_val=-0.0"]
    point = ["axes.method={name: gce, q: 1.0}", "protocol.lr=1.0", "protocol.noisy_val=0"]
    assert one_key(tmp_path, *whole) == one_key(tmp_path, *point)


@pytest.mark.parametrize("name", PROTOCOL)
def test_every_value_of_the_protocol_is_in_the_key(tmp_path, name):
    assert set(cells(study(tmp_path))[0].protocol) == set(PROTOCOL)
    change = f"protocol.{name}={json.dumps(PROTOCOL[name])}"
    assert one_key(tmp_path, change) != one_key(tmp_path)


def test_every_hyper_parameter_seed_and_noise_parameter_is_in_the_key(tmp_path):
    changed = [
        one_key(tmp_path),
        one_key(tmp_path, "axes.method={name: gce, q: 0.28}"),
        one_key(tmp_path, "axes.method={name: gce, q: 0.29}"),
        one_key(tmp_path, "axes.method={name: gce, truncated: true}"),
        one_key(tmp_path, "axes.seed=[1]"),
        one_key(tmp_path, "axes.noise={name: symmetric, rate: 0.28}"),
        one_key(tmp_path, "axes.noise={name: symmetric, rate: 0.29}"),
        one_key(tmp_path, "axes.noise={name: symmetric, rate: 0.4, include_true_class: true}"),
        one_key(tmp_path, "axes.noise={name: symmetric, rate: 0.4, exact: true}"),
    ]
    assert len(set(changed)) == len(changed)


def test_the_preset_itself_is_not_in_the_key_but_the_track_is_told(tmp_path):
    text = "study: s\naxes: {dataset: simulated, noise: clean, method: gce, seed: 1}\n"
    (paper,) = cells(study(tmp_path, "protocol.preset=gce", text=text))
    values = {k: v for k, v in paper.protocol.items() if k != "dev"}
    (fair,) = cells(study(tmp_path, f"protocol={json.dumps(values)}", text=text))
    assert (paper.track, fair.track) == ("paper", "fair")
    assert paper.key == fair.key


def test_only_takes_commas_as_or_and_repeats_as_and(grid):
    assert len(select(grid, [])) == len(grid)
    assert len(select(grid, ["noise=symmetric"])) == 12
    assert len(select(grid, ["noise=symmetric-0.28,clean"])) == 12
    assert {cell.label for cell in select(grid, ["method=gce"])} == {"a"}
    assert {cell.label for cell in select(grid, ["method=a,mw_net"])} == {"a", "mw_net"}
    assert len(select(grid, ["method=a,mw_net", "method=gce", "seed=1"])) == 3
    assert len(select(grid, ["dataset=simulated", "noise=clean", "seed=0, 1"])) == 6


@pytest.mark.parametrize(
    "only, word",
    [
        (["methods=gce"], "did you mean method?"),
        (["method"], "AXIS=a,b"),
        (["method=mwnet"], "did you mean mw_net?"),
        (["method=a,elr"], '"elr"'),
        (["seed=2"], "must be one of 0, 1"),
        (["noise="], "symmetric-0.28"),
        (["method=a", "method=mw_net"], "no cell fits"),
    ],
)
def test_only_that_matches_nothing_is_one_sentence(grid, only, word):
    with pytest.raises(ConfigError) as caught:
        select(grid, only)
    (sentence,) = caught.value.problems
    assert sentence.startswith("--only: ") and word in sentence


def test_study_json_lists_the_whole_grid_and_no_path(tmp_path, grid):
    made = study(tmp_path, "run.data_root=/secret/folder")
    content = json.loads(json.dumps(study_json(made, cells(made)), allow_nan=False))
    assert (content["schema"], content["study"]) == (2, "grid")
    assert [entry["key"] for entry in content["cells"]] == [cell.key for cell in grid]
    assert content["config"]["axes"]["seed"] == [0, 1]
    assert "/secret/folder" not in json.dumps(content)


def test_ten_thousand_cells_take_less_than_two_seconds(tmp_path):
    started = time.process_time()
    made = cells(study(tmp_path, "axes.seed=1112"))
    assert len({cell.key for cell in made}) == 10_008
    assert time.process_time() - started < 2
