"""Where hyper-parameters come from, and under what they were tuned."""

from __future__ import annotations

import json

import pytest

from runners.study.grid import cells
from tests.helpers.study_files import STUDY, load, problems


def test_hyper_parameters_come_from_study_then_tuned_then_defaults(tmp_path):
    entries = (
        "axes.method=[gce, {name: gce, label: a, truncated: true}, {name: gce, q: 0.5}, mw_net]"
    )
    made = cells(load(tmp_path, STUDY, entries, tuned="gce: {q: 4e-1}\nmw_net: {lr: 0.01}\n"))
    assert [c.hparams_source.get("q") for c in made] == ["tuned", "default", "study", None]
    assert [c.hparams.get("q") for c in made] == [0.4, 0.7, 0.5, None]
    assert [c.hparams["lr"] for c in made[3:]] == [0.01]
    made = cells(load(tmp_path, STUDY, entries, "protocol.hparams=default"))
    assert [c.hparams_source.get("q") for c in made] == ["default", "default", "study", None]
    assert [c.hparams.get("q") for c in made] == [0.7, 0.7, 0.5, None]


def test_a_variant_of_another_loss_takes_no_tuned_values_and_a_value_of_its_own_says_so(tmp_path):
    entries = (
        "axes.method=[{name: metalabelnet, alpha: 3}, {name: metalabelnet, stage2_schedule: "
        "protocol}]"
    )
    tuned = "metalabelnet: {alpha: 2, beta: 0.02, stage2_lr_factor: 0.3}\n"
    searched, other = cells(load(tmp_path, STUDY, entries, tuned=tuned))
    assert (searched.hparams["alpha"], searched.hparams["beta"]) == (3, 0.02)
    assert searched.hparams_source["alpha"] == "study"
    assert searched.hparams_source["beta"] == "tuned"
    assert searched.hparams_source["warmup"] == "default"
    assert searched.origin == "study (alpha), tuned (beta, stage2_lr_factor) at unknown conditions"
    assert other.hparams["beta"] == 0.01 and "tuned" not in other.hparams_source.values()
    assert other.origin == "study"


UNDER = {
    "network": "small_cnn", "epochs": 12, "lr": 0.05, "batch_size": 128, "clean_subset": 8,
    "noises": ["symmetric-0.4"], "seeds": [100, 101], "draws": 13, "results_version": 2,
}  # fmt: skip


def with_under(**changes) -> str:
    return json.dumps({"tuned_under": {"gce": UNDER | changes}, "gce": {"q": 0.4}})


@pytest.mark.parametrize(
    ("under", "protocol", "words"),
    [
        ({}, "protocol.epochs=12", ""),
        ({}, "protocol.epochs=3", "12 epochs"),
        ({"lr": 0.1, "network": "cnn8"}, "protocol.epochs=12", "cnn8, lr 0.1"),
        ({"clean_subset": 40}, "protocol.epochs=12", ""),  # gce sees no clean images
        ({"results_version": 1}, "protocol.epochs=12", "results version 1"),
        ({"fixed": {"truncated": True}}, "protocol.epochs=12", "truncated True"),
        ({"fixed": {"truncated": False}}, "protocol.epochs=12", ""),
    ],
)
def test_values_that_were_tuned_under_another_protocol_are_marked(tmp_path, under, protocol, words):
    overrides = ("axes.method=[gce]", "protocol.batch_size=128", protocol)
    study = load(tmp_path, STUDY, *overrides, tuned=with_under(**under))
    cell = cells(study)[0]
    assert (cell.tuned_at, cell.hparams_source["q"]) == (words, "tuned")
    assert cell.origin == ("tuned" if not words else f"tuned at {words}")
    assert cell.tuned_under == UNDER | under


@pytest.mark.parametrize(
    ("entry", "source"),
    [
        ("gce", "tuned"),  # and marked
        ("{name: gce, truncated: true}", "tuned"),
        ("{name: gce, truncated: true, k: 0.3}", "default"),
    ],
)
def test_values_are_taken_by_the_form_of_the_method_they_were_tuned_with(tmp_path, entry, source):
    tuned = with_under(fixed={"truncated": True})
    (cell,) = cells(load(tmp_path, STUDY, f"axes.method=[{entry}]", "axes.seed=1", tuned=tuned))
    assert cell.hparams_source["q"] == source


def test_a_study_that_reports_tuning_seeds_is_refused(tmp_path):
    found = problems(tmp_path, STUDY, "axes.method=[gce]", "axes.seed=[7, 101]", tuned=with_under())
    expected = "axes.seed: 101 is not allowed: must be a seed on which gce was not tuned"
    assert len(found) == 1 and expected in found[0]
    others = "axes.method=[cross_entropy, {name: gce, truncated: true}]"  # take nothing tuned
    load(tmp_path, STUDY, others, "axes.seed=[7, 101]", tuned=with_under())


def test_mistakes_of_a_tuned_file_name_that_file(tmp_path):
    tuned = "gce: {q: 3, r: 1}\nmwnet: {}\nmw_net: 4\n"
    found = problems(tmp_path, STUDY, tuned=tuned)
    file = tmp_path / "tuned" / "simulated.yaml"
    assert len(found) == 4 and all(sentence.startswith(f"{file}: ") for sentence in found)
    assert any("mwnet" in sentence and "did you mean mw_net?" in sentence for sentence in found)
