"""Formulas that methods share which learn from images with and without a trusted label."""

from methods.semi_supervised.mixmatch import (
    class_balance,
    linear_ramp,
    mean_prediction,
    negative_entropy,
    refined,
    sharpened,
    squared_error,
)
from methods.semi_supervised.mixture import fit_mixture, lower_component, normalised

__all__ = [
    "class_balance",
    "fit_mixture",
    "linear_ramp",
    "lower_component",
    "mean_prediction",
    "negative_entropy",
    "normalised",
    "refined",
    "sharpened",
    "squared_error",
]
