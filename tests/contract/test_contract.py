"""`runners/check_component.py`: good components pass in under a minute, broken ones are named."""

from __future__ import annotations

import time

import pytest

from runners.check_component import main
from tests.study.test_outside import write_squares

GOOD = {
    "a method from outside": ["examples.two_networks:TwoNetworks"],
    "a noise model from outside": ["examples.dark_images:DarkImages", "rate=0.3", "foreign=0.1"],
    "a network from outside": ["examples.perceptron:perceptron"],
    "gce": ["--kind", "methods", "gce"],
    "metalabelnet": ["--kind", "methods", "metalabelnet"],
    "co_teaching": ["--kind", "methods", "co_teaching"],
    "symmetric": ["--kind", "noise", "symmetric", "rate=0.4"],
    "clean": ["--kind", "noise", "clean"],
    "open_set": ["--kind", "noise", "open_set", "from=simulated", "rate=0.3"],
    "simulated": ["--kind", "datasets", "simulated"],
    "fashion_mnist_mini": ["--kind", "datasets", "fashion_mnist_mini"],
    "small_cnn": ["--kind", "networks", "small_cnn"],
}


@pytest.mark.parametrize("arguments", GOOD.values(), ids=GOOD)
def test_what_keeps_to_the_contract_passes_in_under_a_minute(arguments, capsys):
    began = time.monotonic()
    assert main(arguments) == 0, capsys.readouterr().out
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == "all checks passed" and "WRONG" not in said
    assert time.monotonic() - began < 60


def test_a_data_set_with_parameters_and_files_is_checked_where_they_lie(tmp_path, capsys):
    write_squares(tmp_path)
    line = ["examples.npz_images:NpzImages", "file=squares.npz", "classes=3", "n_train=300"]
    assert main([*line, "--data", str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert said.count("WRONG") == 1 and "mean is (0.5,): the images have (0.3" in said


BROKEN = {
    "Still": "must update self.network",
    "Silent": "must log a scalar called loss",
    "Forgetful": "it ends elsewhere",
    "Odd": "random numbers must come from self.rng",
    "Unfair": "must be the first new_network()",
    "Claiming": "declares clean_subset and never asks for it",
    "Raw": "they must sum to 1",
    "Short": "must be (n_train,)",
    "Squares": "two classes have the same name",
    "TooFew": "train_images are (59, 1, 8, 8): must be (60, 1, 8, 8)",
    "EveryTimeOther": "the second load has another checksum",
    "Gone": "squares is not there: put it there",
    "Fixed": "nominal_rate is 1.5: must be a number from 0 to 1",
    "InPlace": "read-only",
    "Beyond": "must be from 0 to 9",
    "OwnRandomness": "all random numbers must come from rng",
    "headless": "the output is (4, 11): must be (B, C) = (4, 10)",
    "Unseeded": "weights must come from torch's global stream",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_a_promise_is_told_in_words(name, capsys):
    assert main([f"tests.contract.broken:{name}"]) == 1
    said = capsys.readouterr().out
    wrong = [line for line in said.splitlines() if line.startswith("WRONG")]
    assert any(BROKEN[name] in line for line in wrong), said
    assert "something is wrong" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Claiming", "unused is never read"),
        ("Squares", "mean is (0.9,): the images have (0."),
        ("Fixed", "two seeds give the same labels"),
        ("Fixed", "with rate 0 it changes labels"),
        ("Fixed", "slug is 'a/b'"),
        ("headless", "it has no features, feature_width, head"),
        ("Unseeded", "no gradient reaches unused"),
        ("Unseeded", "two passes differ"),
    ],
)
def test_further_faults_of_the_same_component_are_told_as_well(name, words, capsys):
    more = ["rate=0.2"] if name == "Fixed" else []
    assert main([f"tests.contract.broken:{name}", *more]) == 1
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere:Thing"], "No module named 'nowhere'"),
        (["gce"], "must be package.module:Class, or a name of the suite with --kind"),
        (["--kind", "methods", "gcc"], "must be one of bootstrap"),
        (["examples.dark_images:DarkImages", "rate=2"], "rate: Input should be less than 1"),
        (["examples.dark_images:DarkImages", "rate"], "must be PARAMETER=VALUE"),
        (["--kind", "noise", "examples.perceptron:perceptron"], "is not a noise model"),
    ],
)
def test_what_cannot_be_checked_is_one_sentence(arguments, words, capsys):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said
