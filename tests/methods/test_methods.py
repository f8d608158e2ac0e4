"""Every method of the suite: it trains, says what it promises, and declares itself truly.

New methods are tested by being there; only the table of the papers' numbers is written by hand.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import methods
import networks
from methods.base import Method, overrides
from methods.declaration import Choice, Privileges
from runners.study.problems import Problems
from runners.study.values import checked
from tests.helpers.cells import Ready, batch, make_cell, ready, same_state, tiny_method

ROOT = Path(__file__).resolve().parents[2]
PAPERS = {  # privileges, defaults, what the paper track changes
    "cross_entropy": ([], {}, {}),
    "gce": (
        [],
        {
            "q": 0.7,
            "truncated": False,
            "k": 0.5,
            "prune_from": 40 / 120,
            "prune_every": 10 / 120,
        },
        {},
    ),
    "co_teaching": (
        ["noise_rate"],
        {"tau_factor": 1.0, "exponent": 1.0, "ramp": 1 / 3, "forget_rate": None},
        {"ramp": 10 / 200},
    ),
    "mw_net": (["clean_subset"], {"lr": 1e-3, "weight_decay": 1e-4, "hidden": 100}, {}),
    "metalabelnet": (
        ["clean_subset"],
        {
            "warmup": 44 / 120,
            "alpha": 1.0,
            "beta": 0.01,
            "weight_decay": 1e-4,
            "stage2_lr_factor": 0.1,
            "stage2_schedule": "constant",
            "official_batchnorm": False,
            "unlabelled": None,
        },
        {"stage2_schedule": "protocol", "official_batchnorm": True},
    ),
    "clean_only": (["clean_subset"], {}, {}),
    "fine_tune": (["clean_subset"], {"warmup": 44 / 120, "lr_factor": 0.1}, {}),
}
LIGHT = ["small_cnn", "cnn8", "resnet32"]  # the deeper ResNets are made of the same blocks
VARIANTS = {
    "gce-truncated": ("gce", {"truncated": True, "k": 0.25}),
    "metalabelnet-official": ("metalabelnet", PAPERS["metalabelnet"][2]),
}
CASES = {name: (name, {}) for name in methods.names()} | VARIANTS


@pytest.fixture(scope="module", params=CASES)
def trained(request) -> tuple[Ready, list]:
    """A method after two epochs on `simulated`, and its history."""
    name, hparams = CASES[request.param]
    cell = make_cell(name, hparams=hparams, epochs=2, batch_size=64)
    case = ready(cell)
    history = case.train()
    case.method.eval()
    return case, history


def test_two_epochs_log_finite_numbers_with_a_loss_among_them(trained):
    _, history = trained
    assert len(history) == 2
    for entry in history:
        assert "loss" in entry["train"]
        assert all(np.isfinite(value) for value in entry["train"].values())


def test_training_moves_the_reported_network(trained):
    case, _ = trained
    assert not same_state(ready(case.cell).method.network, case.method.network)


def test_predictions_are_probabilities_and_the_reported_network_comes_first(trained):
    case, _ = trained
    images = case.first_batch().images
    with torch.no_grad():
        predicted, members = case.method.predict(images), case.method.predict_members(images)
    assert predicted.shape == (64, 4) and members.shape[1:] == (64, 4)
    assert torch.all(members >= 0)
    torch.testing.assert_close(members.sum(2), torch.ones(members.shape[:2]))
    torch.testing.assert_close(members[0], predicted)


def test_who_overrides_the_members_reports_an_ensemble_beside_network_0(trained):
    case, history = trained
    assert ("ensemble_test" in history[-1]) == overrides(type(case.method), "predict_members")


def test_label_and_clean_probabilities_cover_the_training_set(trained):
    case, _ = trained
    labels, clean = case.method.corrected_labels(), case.method.clean_probability()
    assert (labels is not None) == overrides(type(case.method), "corrected_labels")
    declines = case.cell.hparams.get("truncated") is False  # GCE selects only where it prunes
    overridden = overrides(type(case.method), "clean_probability")
    assert (clean is not None) == (overridden and not declines)
    if labels is not None:
        assert labels.shape == (len(case.sets.train), 4)
        torch.testing.assert_close(labels.sum(1), torch.ones(len(labels)))
    if clean is not None:
        assert clean.shape == (len(case.sets.train),)
        assert torch.all((clean >= 0) & (clean <= 1)) and 0 < clean.mean() < 1


def test_the_state_dict_holds_all_that_predictions_and_selections_need(trained):
    case, _ = trained
    other = ready(case.cell).method.eval()
    other.load_state_dict(case.method.state_dict())
    images = case.first_batch().images
    with torch.no_grad():
        assert torch.equal(other.predict_members(images), case.method.predict_members(images))
    mine, theirs = case.method.clean_probability(), other.clean_probability()
    assert (mine is None and theirs is None) or torch.equal(mine, theirs)


@pytest.mark.parametrize("network", networks.names())
def test_every_network_serves_features_that_its_logits_are_linear_in(network):
    torch.manual_seed(0)
    size = 8
    if network in networks.NEEDED:
        pytest.importorskip(networks.NEEDED[network])
        size = 75
    built = networks.build(network, 3, size, 5).eval()
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        features, logits = built.features(images), built(images)
        assert features.shape == (2, built.feature_width) and logits.shape == (2, 5)
        torch.testing.assert_close(built.head(features), logits)


@pytest.mark.parametrize("network", LIGHT)
@pytest.mark.parametrize("name", methods.names())
def test_every_method_steps_on_every_network(name, network):
    cell = make_cell(name, network=network, epochs=2, batch_size=16, augment="crop_flip")
    case = ready(cell)
    case.method.train()
    for epoch in range(2):
        case.method.begin_epoch(epoch)
        logged = case.method.step(case.first_batch())
        assert all(torch.isfinite(value) and value.ndim == 0 for value in logged.values())


def accessors(method: Method) -> dict:
    return {
        Privileges.CLEAN_SUBSET: lambda: method.task.clean_batch(augment=False),
        Privileges.NOISE_RATE: lambda: method.task.noise_rate,
        Privileges.TRANSITION_MATRIX: lambda: method.task.transition_matrix,
    }


@pytest.mark.parametrize("name", methods.names())
def test_a_method_meets_what_its_privileges_grant_and_no_more(name):
    method = ready(make_cell(name)).method
    for privilege, ask in accessors(method).items():
        if privilege in method.declaration.privileges:
            assert ask() is not None
        else:
            with pytest.raises(PermissionError, match=privilege.names[0]):
                ask()
    task, granted = method.task, method.declaration.privileges
    withheld = {
        Privileges.CLEAN_SUBSET: task.clean_source,
        Privileges.NOISE_RATE: task.realised_rate,
        Privileges.TRANSITION_MATRIX: task.matrix,
    }
    assert all(value is None for flag, value in withheld.items() if flag not in granted)


@pytest.mark.parametrize("name", [n for n in methods.names() if methods.declaration(n).privileges])
def test_a_method_without_the_privilege_it_declares_cannot_train(name):
    task = replace(tiny_method(name).task, granted=Privileges.NONE, epochs=2, augmented=True)
    with pytest.raises(PermissionError, match="did not declare the privilege"):
        method = tiny_method(name, task=task)
        for epoch in range(2):
            method.begin_epoch(epoch)
            method.step(batch())


def test_names_declarations_and_sources_need_no_torch():
    code = (
        "import sys, methods; d = [methods.declaration(n) for n in methods.names()];"
        "assert all(methods.source(x.name).is_file() for x in d);"
        "assert 'torch' not in sys.modules; print(len(d))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.strip() == str(len(methods.names())), run.stderr


def test_the_declaration_read_without_torch_is_that_of_the_class():
    for name in methods.names():
        read, own = methods.declaration(name), methods.load(name).declaration
        assert (read.name, read.display, read.privileges) == (name, own.display, own.privileges)
        assert (read.defaults, read.paper, read.cost) == (own.defaults, own.paper, own.cost)


@pytest.mark.parametrize("name", PAPERS)
def test_defaults_are_the_papers_numbers(name):
    declared = methods.declaration(name)
    assert (declared.privileges.names, declared.defaults, dict(declared.paper)) == PAPERS[name]


@pytest.mark.parametrize("name", methods.names())
def test_defaults_paper_values_and_draws_are_allowed_and_of_the_defaults_type(name):
    declared, rng = methods.declaration(name), np.random.default_rng(0)

    def drawn() -> dict[str, Any]:
        return {key: search.at(rng.random()) for key, search in declared.searched.items()}

    assert set(declared.paper) <= set(declared.fields)
    searched = declared.searched
    for values in [declared.defaults, declared.paper, *(drawn() for _ in range(300))]:
        for key, value in values.items():
            assert getattr(declared.hparams(**{key: value}), key) == value
            assert type(value) is type(declared.defaults[key])
            if key in searched and values is not declared.defaults:
                assert inside(searched[key], value), (key, value)


def inside(search, value) -> bool:
    if isinstance(search, Choice):
        return value in search.options
    return search.low <= value <= search.high


@pytest.mark.parametrize(
    ("method", "key", "value"),
    [
        ("gce", "q", 0),
        ("gce", "q", float("nan")),
        ("gce", "q", True),
        ("gce", "q", "a lot"),
        ("gce", "truncated", 1),
        ("mw_net", "hidden", 10.5),
        ("mw_net", "lr", -1e-3),
        ("metalabelnet", "stage2_schedule", "cosine"),
        ("fine_tune", "warmup", 1.01),
    ],
)
def test_values_beyond_the_bounds_get_a_sentence(method, key, value):
    problems = Problems("study.yaml")
    assert checked(methods.declaration(method).hparams, {key: value}, "x", problems) is None
    (sentence,) = problems.sentences
    assert sentence.startswith(f"study.yaml: x.{key}: ") and " is not allowed: must be " in sentence
