"""A study file is accepted, or every mistake of it is explained in a sentence."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import pytest

import datasets
import methods
import networks
from datasets import noise
from runners.cell.schedule import learning_rate
from runners.study.config import load_study
from runners.study.grid import cells
from runners.study.presets import OF_DATASET, PRESETS
from runners.system.errors import ConfigError
from tests.helpers.study_files import STUDY, load, problems

ROOT = Path(__file__).resolve().parents[2]
BAD = Path(__file__).parent / "bad_configs"


@pytest.mark.parametrize("name", sorted(path.stem for path in BAD.glob("*.yaml")))
def test_each_bad_study_is_refused_with_exactly_its_sentences(name, monkeypatch):
    monkeypatch.chdir(BAD)
    expected = Path(f"{name}.txt").read_text(encoding="utf-8")
    for word, known in {
        "{methods}": methods.names(),
        "{datasets}": datasets.names(),
        "{noises}": noise.names(),
        "{networks}": networks.names(),
    }.items():
        expected = expected.replace(word, ", ".join(known))
    with pytest.raises(ConfigError) as caught:
        load_study(Path(f"{name}.yaml"), [])
    assert caught.value.problems == expected.splitlines()


def test_the_default_study_is_accepted_and_has_105_cells():
    study = load_study(ROOT / "benchmark.yaml", [])
    assert study.name == "default"
    assert len(cells(study)) == 105


def test_planning_imports_neither_torch_nor_pandas_nor_matplotlib():
    code = (
        "import sys; from pathlib import Path;"
        "import runners.study.config as c, runners.study.grid as g;"
        "g.cells(c.load_study(Path('benchmark.yaml'), []));"
        "print({'torch', 'pandas', 'matplotlib'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr


def test_numbers_that_yaml_reads_as_text_are_numbers(tmp_path):
    study = load(
        tmp_path,
        "study: s\naxes:\n  dataset: simulated\n  noise: {name: symmetric, rate: 4e-1}\n"
        "  method: {name: gce, q: 5e-1}\n  seed: 2e0\nprotocol: {lr: 1e-4, epochs: 1e1}\n",
    )
    assert (study.protocol.lr, study.protocol.epochs, study.seeds) == (1e-4, 10, (0, 1))
    assert study.noises[0].params["rate"] == 0.4
    assert study.methods[0].named == {"q": 0.5}


def test_an_override_wins_over_the_file_before_anything_is_checked(tmp_path):
    text = f"{STUDY}protocol: {{epochs: 0}}\nrun:\n"
    study = load(tmp_path, text, "protocol.epochs=2", "run.workers=0", "axes.method=[mw_net]")
    assert (study.protocol.epochs, study.run.workers) == (2, 0)
    assert [entry.method for entry in study.methods] == ["mw_net"]


def test_mistakes_of_an_override_name_set_as_their_source(tmp_path):
    found = problems(
        tmp_path,
        STUDY,
        "protocol.epoch=2",
        "protocol.lr=0",
        "axes.method=[gce",
        "axes.noise=cleen",
        "run.workers",
    )
    assert len(found) == 5 and all(sentence.startswith("--set") for sentence in found)
    assert any("protocol.epoch" in s and "did you mean protocol.epochs?" in s for s in found)
    assert any(s.startswith("--set: protocol.lr: 0 is not allowed: must be") for s in found)


def test_labels_name_what_a_variant_sets(tmp_path):
    entries = "[{name: gce, q: [0.5, 1]}, {name: gce, label: mine, q: [0.25, 0.75]}, gce]"
    study = load(tmp_path, STUDY, f"axes.method={entries}")
    shown = [(entry.label, entry.display) for entry in study.methods]
    assert shown == [
        ("gce-q0.5", "gce-q0.5"),
        ("gce-q1", "gce-q1"),
        ("mine-q0.25", "mine-q0.25"),
        ("mine-q0.75", "mine-q0.75"),
        ("gce", methods.declaration("gce").display),
    ]


def test_a_list_without_brackets_is_told_how_to_write_it(tmp_path):
    found = problems(tmp_path, STUDY, "axes.noise=[{name: symmetric, rate: 0.4, 0.6}]")
    assert found == [
        "--set: axes.noise[0].0.6: is no key: for several values write rate: [0.4, 0.6]"
    ]


def test_a_variant_has_a_name_for_tables(tmp_path):
    entry = "axes.method=[{name: gce, q: 0.5, display: 'GCE, q = 0.5'}, {name: gce, q: [0.6, 0.8], "
    made = cells(load(tmp_path, STUDY, entry + "display: GCE}]"))
    shown = [cell.display for cell in made]
    assert shown == ["GCE, q = 0.5", "GCE q=0.6", "GCE q=0.8"]
    assert [cell.label for cell in made] == ["gce-q0.5", "gce-q0.6", "gce-q0.8"]
    found = problems(tmp_path, STUDY, 'axes.method=[{name: gce, display: "a\\nb"}]')
    assert len(found) == 1 and "the name in tables" in found[0]


def test_lists_inside_entries_multiply(tmp_path):
    study = load(tmp_path, STUDY, "axes.noise={name: [symmetric, pair_flip], rate: [0.1, 0.2]}")
    assert [(entry.params["name"], entry.params["rate"]) for entry in study.noises] == [
        ("symmetric", 0.1),
        ("symmetric", 0.2),
        ("pair_flip", 0.1),
        ("pair_flip", 0.2),
    ]


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_preset_is_the_paper_track_and_the_study_wins_over_it(tmp_path, preset):
    text = f"study: s\naxes: {{dataset: simulated, noise: clean, method: {preset}, seed: 1}}\n"
    small = ["protocol.clean_subset=8", "protocol.epochs=110"]
    (cell,) = cells(load(tmp_path, text, f"protocol.preset={preset}", *small))
    assert (cell.track, set(cell.hparams_source.values())) == ("paper", {"paper"})
    assert cell.protocol["network"] == PRESETS[preset]["network"]
    assert (cell.protocol["epochs"], cell.protocol["clean_subset"]) == (110, 8)
    (cell,) = cells(load(tmp_path, text, f"protocol.preset={preset}", "protocol.schedule=cosine",
                         "protocol.hparams=default", *small))  # fmt: skip
    assert (cell.track, cell.protocol["milestones"]) == ("paper", [])
    assert set(cell.hparams_source.values()) == {"default"}


@pytest.mark.parametrize("name", sorted(OF_DATASET["metalabelnet"]))
def test_the_papers_preset_has_its_own_splits_and_transforms_of_photographs(tmp_path, name):
    protocol, parameters = OF_DATASET["metalabelnet"][name]
    text = f"study: s\naxes: {{dataset: {name}, noise: given, method: metalabelnet, seed: 1}}\n"
    (cell,) = cells(load(tmp_path, text, "protocol.preset=metalabelnet"))
    assert parameters.items() <= cell.dataset_config.items()
    assert protocol.items() <= cell.protocol.items()
    assert (cell.protocol["augment"], cell.protocol["noisy_val"]) == ("flip", 0.0)
    named = f"axes.dataset=[{{name: {name}, fit: short}}]"
    (cell,) = cells(load(tmp_path, text, "protocol.preset=metalabelnet", named, "protocol.lr=0.5"))
    assert cell.dataset_config["fit"] == "short" and cell.protocol["lr"] == 0.5
    two = f"axes.dataset=[{name}, fashion_mnist_mini]"
    sentence, *_ = problems(tmp_path, text, "protocol.preset=metalabelnet", two)
    assert "protocol.preset" in sentence and "one data set a study" in sentence


def test_resized_crops_are_for_packed_images_only(tmp_path):
    (sentence,) = problems(tmp_path, STUDY, "protocol.augment=resized_crop_flip")
    assert "protocol.augment" in sentence and "packed images only" in sentence


def test_a_development_set_is_accepted_in_tuning_runs_only(tmp_path):
    assert load(tmp_path, STUDY, "protocol.dev=40", tuning=True).protocol.dev == 40
    (sentence,) = problems(tmp_path, STUDY, "protocol.dev=40")
    assert "tuning" in sentence


def test_asymmetric_noise_is_refused_where_a_data_set_has_no_map(tmp_path, monkeypatch):
    monkeypatch.setattr(type(datasets.get("simulated")), "asymmetric_map", {})
    (sentence,) = problems(tmp_path, STUDY, "axes.noise={name: asymmetric, rate: 0.4}")
    assert "axes.noise: asymmetric-0.4 is not allowed" in sentence
    assert "not defined for simulated" in sentence


def test_an_outside_method_is_imported_and_labelled_by_its_class(tmp_path, monkeypatch):
    (tmp_path / "outside_for_test.py").write_text(
        "from methods.declaration import Declaration, Hyperparameters, hparam\n"
        "class Hparams(Hyperparameters):\n    q: float = hparam(0.7, gt=0, le=1)\n"
        "class Mine:\n    declaration = Declaration('mine', 'Mine', Hparams)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    entry = "axes.method=[{name: 'outside_for_test:Mine', q: [0.5, 0.6]}, 'outside_for_test:Mine']"
    study = load(tmp_path, STUDY, entry)
    assert [entry.label for entry in study.methods] == ["Mine-q0.5", "Mine-q0.6", "Mine"]
    (sentence,) = problems(tmp_path, STUDY, "axes.method='outside_for_test:Missing'")
    assert "AttributeError" in sentence


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_study(tmp_path / "none.yaml", [])
    assert caught.value.problems == [f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory"]  # noqa: E501  # fmt: skip


def test_numbers_beyond_any_bound_are_refused(tmp_path):
    found = problems(tmp_path, STUDY, "axes.method={name: mw_net, hidden: 1e300}", "axes.seed=1e18")
    assert [sentence.split(" is not allowed")[0] for sentence in found] == [
        "--set: axes.method[0].hidden: 1e+300",
        "--set: axes.seed: 1e+18",
    ]


def test_learning_rates_follow_their_schedules():
    base = {"lr": 0.2, "epochs": 10, "milestones": [], "gamma": 0.1}
    cosine = [learning_rate(base | {"schedule": "cosine"}, epoch) for epoch in range(10)]
    assert cosine[0] == 0.2 and cosine[5] == pytest.approx(0.1)
    assert cosine[9] == pytest.approx(0.1 * (1 + math.cos(0.9 * math.pi)))
    step = base | {"schedule": "step", "milestones": [4, 8]}
    assert [learning_rate(step, epoch) for epoch in (3, 4, 8)] == pytest.approx([0.2, 0.02, 0.002])
    linear = base | {"schedule": "linear", "milestones": [5]}
    assert [learning_rate(linear, e) for e in (4, 5, 6, 9)] == pytest.approx([0.2, 0.2, 0.16, 0.04])
    assert learning_rate(base | {"schedule": "constant"}, 9) == 0.2
