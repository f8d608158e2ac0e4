"""What a method is told as noise rate where the truth is not known: stated, or estimated."""

from pathlib import Path

import numpy as np
import pytest

from runners.cell import confident_joint

SHARED = Path(__file__).resolve().parents[3] / "shared" / "reference" / "confident_joint.npz"


def sampled(count=400, classes=4, seed=0):
    """Given labels, and probabilities that lean to the true class."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, count)
    labels = np.where(rng.random(count) < 0.3, (truth + 1) % classes, truth)
    scores = rng.random((count, classes)) + np.eye(classes)[truth] * (1 + rng.random((count, 1)))
    return truth, labels, scores / scores.sum(1, keepdims=True)


def by_definition(labels, probabilities):
    """The confident joint, one sample after another."""
    classes = probabilities.shape[1]
    threshold = [probabilities[labels == c, c].mean() for c in range(classes)]
    joint = np.zeros((classes, classes), int)
    for label, row in zip(labels, probabilities, strict=True):
        above = [c for c in range(classes) if row[c] >= threshold[c]]
        if above:
            joint[label, above[0] if len(above) == 1 else int(row.argmax())] += 1
    return joint


@pytest.mark.parametrize("seed", range(3))
def test_the_confident_joint_is_that_of_its_definition(seed):
    _, labels, probabilities = sampled(seed=seed)
    joint = confident_joint.confident_joint(labels, probabilities)
    np.testing.assert_array_equal(joint, by_definition(labels, probabilities))


def test_the_estimated_joint_has_the_given_labels_as_margin_and_finds_the_noise():
    truth, labels, probabilities = sampled(4000)
    joint = confident_joint.joint(labels, probabilities)
    np.testing.assert_allclose(joint.sum(1), np.bincount(labels) / 4000, atol=1e-12)
    rate = confident_joint.noise_rate(labels, probabilities)
    assert rate == pytest.approx(np.mean(labels != truth), abs=0.03)


def test_a_class_that_nobody_is_labelled_as_is_no_problem():
    _, labels, probabilities = sampled()
    labels = np.where(labels == 2, 1, labels)
    assert 0 < confident_joint.noise_rate(labels, probabilities) < 1


@pytest.mark.skipif(not SHARED.is_file(), reason="the official vectors are not on this machine")
def test_the_confident_joint_is_that_of_cleanlab():
    with np.load(SHARED) as v:
        labels, probabilities = v["labels"], v["pred_probs"]
        found = confident_joint.thresholds(labels, probabilities)
        np.testing.assert_allclose(found, v["thresholds"], atol=1e-12)
        counts = confident_joint.confident_joint(labels, probabilities)
        np.testing.assert_array_equal(counts, v["confident_joint_uncalibrated"])
        scaled = confident_joint.joint(labels, probabilities) * len(labels)
        expected = v["confident_joint_calibrated_before_rounding"]
        np.testing.assert_allclose(scaled, expected, atol=1e-9)
