"""`--list KIND` and `--list KIND NAME`: what a study can name, and what can be set of it."""

from __future__ import annotations

import pytest

from runners.commands.catalogue import CATALOGUES
from runners.run_grid import main


@pytest.mark.parametrize("kind", CATALOGUES)
def test_every_entry_has_a_line_with_its_name_and_what_it_is(kind, capsys):
    assert main(["--list", kind]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == CATALOGUES[kind].names()
    assert all(len(line.split("  ", 1)[1].strip()) > 10 for line in lines)


def test_privileges_are_told_beside_what_a_method_is(capsys):
    assert main(["--list", "methods"]) == 0
    said = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert said["metalabelnet"].endswith("[meta-learning, clean_subset]")
    assert said["gce"].endswith("[robust loss]")


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        (["methods", "gce"], ["q: default 0.7; a finite number above 0 and at most 1; tuned over"]),
        (["methods", "metalabelnet"], ["stage2_schedule: default constant; one of constant, prot"]),
        (["methods", "cross_entropy"], ["no parameters"]),
        (["noise", "symmetric"], ["rate: required; a finite number at least 0 and below 1"]),
        (["datasets", "simulated"], ["no parameters"]),
        (["datasets", "examples.npz_images:NpzImages"], ["classes: required; a whole number"]),
        (["methods", "examples.two_networks:TwoNetworks"], ["trust: default 0.5; a finite"]),
        (["noise", "examples.dark_images:DarkImages"], ["foreign: default 0; a finite number"]),
        (["networks", "examples.perceptron:perceptron"], ["no parameters"]),
    ],
)
def test_an_entry_tells_its_parameters_with_default_bounds_and_search_range(asked, lines, capsys):
    assert main(["--list", *asked]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{asked[1]}: ")
    for line in lines:
        assert line in said


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["colours"], "must be one of methods, datasets, noise, networks"),
        (["methods", "gcc"], "did you mean gce?"),
        (["methods", "gce", "q"], "must be a kind and one name"),
        (["noise", "nowhere:Noise"], "No module named 'nowhere'"),
        (["networks", "examples.dark_images:np"], "is not a network"),
    ],
)
def test_what_cannot_be_listed_is_one_sentence(asked, words, capsys):
    assert main(["--list", *asked]) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_the_help_begins_with_three_commands_and_groups_the_options(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    first, rest = said.split("usage:", 1)
    assert first.count("python runners/run_grid.py benchmark.yaml") == 3 + 1
    order = [rest.index(f"\n{group}:") for group in GROUPS]
    assert order == sorted(order)


GROUPS = ("which cells, and where", "show, and run nothing", "how they run")
