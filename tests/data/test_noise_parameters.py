"""Parameters of noise models: what is refused, and the names that they give."""

import pytest
from pydantic import ValidationError

from datasets import noise

CLASS_MODELS = ["symmetric", "asymmetric", "pair_flip"]


@pytest.mark.parametrize(
    "rate", [1, 1.5, -0.1, float("nan"), float("inf"), "nan", "much", True, False, None, [0.4]]
)
@pytest.mark.parametrize("name", CLASS_MODELS)
def test_rates_outside_the_interval_are_refused(name, rate):
    with pytest.raises(ValidationError):
        noise.get(name)(rate=rate)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"rate": 0.4, "rat": 1}, {"rate": 0.4, "exact": 1}, {"rate": 0.4, "name": "clean"}],
)
def test_missing_unknown_and_mistyped_parameters_are_refused(parameters):
    with pytest.raises(ValidationError):
        noise.get("symmetric")(**parameters)


def test_a_rate_that_yaml_takes_for_text_is_a_number():
    assert noise.get("symmetric")(rate="1e-4").nominal_rate == 1e-4


@pytest.mark.parametrize(
    ("name", "parameters", "slug", "display"),
    [
        ("symmetric", {"rate": 0.4}, "symmetric-0.4", "Symmetric 0.4"),
        ("pair_flip", {"rate": 0.45}, "pair_flip-0.45", "Pair flip 0.45"),
        (
            "asymmetric",
            {"rate": 0.4, "exact": True},
            "asymmetric-0.4-exact",
            "Asymmetric 0.4 exact",
        ),
        (
            "symmetric",
            {"rate": 0.2, "include_true_class": True},
            "symmetric-0.2-include-true-class",
            "Symmetric 0.2 include true class",
        ),
    ],
)
def test_names_say_the_parameters_that_are_not_defaults(name, parameters, slug, display):
    model = noise.get(name)(**parameters)
    assert (model.slug, model.display) == (slug, display)


def test_zero_has_one_name():
    assert noise.get("symmetric")(rate=-0.0).slug == noise.get("symmetric")(rate=0).slug


def test_parameters_cannot_be_changed_afterwards():
    model = noise.get("symmetric")(rate=0.4)
    with pytest.raises(ValidationError):
        model.rate = 0.6
