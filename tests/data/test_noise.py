"""Noise models: what each promises about the labels that it draws."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import datasets
from datasets import noise
from datasets.noise import statistics

ROOT = Path(__file__).resolve().parents[2]
MNIST10 = datasets.get("fashion_mnist_mini")
CLASS_MODELS = ["symmetric", "asymmetric", "pair_flip"]
DATASETS = ["fashion_mnist_mini", "cifar10", "simulated"]
rates = st.floats(0, 0.99)
seeds = st.integers(0, 2**32)
few = settings(max_examples=25, deadline=None)


def many_labels(dataset, per_class=2000):
    return np.repeat(np.arange(dataset.classes), per_class)


def corrupt(model, labels, dataset, seed=0):
    return model.corrupt(labels, dataset, np.random.default_rng(seed))


@st.composite
def models(draw):
    name = draw(st.sampled_from(CLASS_MODELS))
    parameters = {"rate": draw(rates), "exact": draw(st.booleans())}
    if name == "symmetric":
        parameters["include_true_class"] = draw(st.booleans())
    return noise.get(name)(**parameters)


def test_every_promised_model_is_found():
    of_class = ["asymmetric", "asymmetric_blocks", "asymmetric_superclass", "clean", "dividemix"]
    of_class += ["human_twin", "imbalanced", "pair_flip", "symmetric"]
    by_hand = ["class_map", "given", "labels_file", "matrix"]
    of_images = ["feature_dependent", "feature_dependent_official", "human", "instance_dependent"]
    assert noise.names() == sorted([*of_class, *by_hand, *of_images, "open_set"])


def test_source_names_the_file_of_the_model():
    assert noise.source("pair_flip") == ROOT / "datasets" / "noise" / "pair_flip.py"


def test_noise_and_data_sets_need_no_torch():
    code = (
        "import sys, datasets.noise, runners.cell.splits; datasets.names(); datasets.noise.names();"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@few
@given(models(), st.sampled_from(DATASETS))
def test_rows_of_the_transition_matrix_are_distributions(model, name):
    dataset = datasets.get(name)
    matrix = model.transition_matrix(dataset)
    assert matrix.shape == (dataset.classes, dataset.classes) and matrix.dtype == np.float64
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@few
@given(models(), seeds)
def test_drawn_labels_agree_with_the_transition_matrix(model, seed):
    labels = many_labels(MNIST10)
    _, found = statistics.realised(labels, corrupt(model, labels, MNIST10, seed), 10)
    expected = model.transition_matrix(MNIST10)
    # Bernstein's bound of 2,000 draws: a share is beyond it with a probability of 2 exp(-18). The
    # six images, which count at small rates, hold that of exact rounding too.
    slack = 6 * np.sqrt(expected * (1 - expected) / 2000) + 6 / 2000
    assert (np.abs(found - expected) <= slack).all()
    assert (found[expected == 0] == 0).all()


@few
@given(models(), seeds, st.lists(st.integers(0, 9), max_size=50))
def test_labels_stay_labels(model, seed, labels):
    labels = np.array(labels, dtype=np.int64)
    before = labels.copy()
    noisy = corrupt(model, labels, MNIST10, seed)
    assert noisy.dtype == np.int64 and noisy.shape == labels.shape
    assert ((noisy >= 0) & (noisy < 10)).all()
    np.testing.assert_array_equal(labels, before)


@few
@given(models(), seeds)
def test_the_same_stream_gives_the_same_labels(model, seed):
    labels = many_labels(MNIST10, 20)
    first, second = (corrupt(model, labels, MNIST10, seed) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", CLASS_MODELS)
def test_different_streams_give_different_labels(name, exact):
    model, labels = noise.get(name)(rate=0.4, exact=exact), many_labels(MNIST10, 100)
    assert (corrupt(model, labels, MNIST10, 0) != corrupt(model, labels, MNIST10, 1)).any()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", CLASS_MODELS)
def test_an_images_place_in_the_file_does_not_change_its_risk(name, exact):
    model = noise.get(name)(rate=0.4, exact=exact)
    ordered = many_labels(MNIST10, 400)
    shuffled = np.random.default_rng(5).permutation(ordered)
    for labels in (ordered, shuffled):
        wrong = np.mean([corrupt(model, labels, MNIST10, s) != labels for s in range(60)], axis=0)
        affected = model.transition_matrix(MNIST10)[labels, labels] < 1
        wrong = wrong[affected]
        halves = [wrong[: len(wrong) // 2].mean(), wrong[len(wrong) // 2 :].mean()]
        assert halves == pytest.approx([0.4, 0.4], abs=0.01)
        assert wrong.min() > 0.05 and wrong.max() < 0.8


ROWS = [[0.7, 0.3, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5], [1, 0, 0, 0]]
IMAGE_INDEPENDENT = {
    "class_map": ("cifar10", {"map": {"cat": "dog", "ship": "truck"}, "rate": 0.4}),
    "matrix": ("simulated", {"rows": ROWS}),
    "asymmetric_superclass": ("cifar100", {"rate": 0.4}),
    "asymmetric_blocks": ("cifar100", {"rate": 0.4}),
    "dividemix": ("cifar10", {"rate": 0.4}),
    "human_twin": ("cifar10", {"labels": "worst"}),
}


@pytest.mark.parametrize("name", IMAGE_INDEPENDENT)
def test_noise_that_looks_at_no_image_is_the_same_wherever_an_image_stands(name):
    dataset, parameters = IMAGE_INDEPENDENT[name]
    dataset, model = datasets.get(dataset), noise.of({"name": name, **parameters})
    ordered = np.repeat(np.arange(dataset.classes), 200)
    shuffled = np.random.default_rng(5).permutation(ordered)
    found = []
    for labels in (ordered, shuffled):
        first = np.zeros(len(labels), bool)  # the first half of each class, by position
        for k in range(dataset.classes):
            first[np.flatnonzero(labels == k)[:100]] = True
        draws = [model.corrupt(labels, dataset, np.random.default_rng(s)) for s in range(40)]
        for half in (first, ~first):
            drawn = np.concatenate([each[half] for each in draws])
            _, matrix = statistics.realised(np.tile(labels[half], 40), drawn, dataset.classes)
            found.append(matrix)
    for matrix in found[1:]:
        assert np.abs(matrix - found[0]).max() < 0.06


@few
@given(st.sampled_from(CLASS_MODELS), rates, seeds, st.integers(1, 300))
def test_exact_noise_flips_the_rounded_number_of_every_affected_class(name, rate, seed, per_class):
    labels = np.random.default_rng(1).permutation(many_labels(MNIST10, per_class))
    model = noise.get(name)(rate=rate, exact=True)
    noisy = corrupt(model, labels, MNIST10, seed)
    affected = MNIST10.asymmetric_map if name == "asymmetric" else range(10)
    for true_class in range(10):
        expected = round(rate * per_class) if true_class in affected else 0
        assert (noisy[labels == true_class] != true_class).sum() == expected


def test_symmetric_noise_is_uniform_over_the_wrong_classes():
    matrix = noise.get("symmetric")(rate=0.45).transition_matrix(MNIST10)
    np.testing.assert_allclose(np.diag(matrix), 0.55)
    np.testing.assert_allclose(matrix[~np.eye(10, dtype=bool)], 0.05)


def test_exact_symmetric_noise_is_uniform_over_the_wrong_classes():
    labels = many_labels(MNIST10, 9000)
    model = noise.get("symmetric")(rate=0.5, exact=True)
    _, matrix = statistics.realised(labels, corrupt(model, labels, MNIST10), 10)
    np.testing.assert_allclose(matrix[~np.eye(10, dtype=bool)], 0.5 / 9, atol=0.012)


@pytest.mark.parametrize("exact", [False, True])
def test_with_the_true_class_among_the_targets_fewer_labels_are_wrong(exact):
    labels = many_labels(MNIST10, 6000)
    model = noise.get("symmetric")(rate=0.5, include_true_class=True, exact=exact)
    rate, _ = statistics.realised(labels, corrupt(model, labels, MNIST10), 10)
    assert rate == pytest.approx(0.5 * (1 - 1 / 10), abs=0.01)


@pytest.mark.parametrize("exact", [False, True])
def test_pair_flip_goes_to_the_next_class_only(exact):
    labels = many_labels(MNIST10)
    noisy = corrupt(noise.get("pair_flip")(rate=0.45, exact=exact), labels, MNIST10)
    flipped = noisy != labels
    assert flipped.mean() == pytest.approx(0.45, abs=0.02)
    np.testing.assert_array_equal(noisy[flipped], (labels[flipped] + 1) % 10)


@pytest.mark.parametrize(
    ("name", "pairs"),
    [
        ("fashion_mnist", {(9, 7), (7, 5), (2, 6), (4, 3), (3, 4)}),
        ("fashion_mnist_mini", {(9, 7), (7, 5), (2, 6), (4, 3), (3, 4)}),
        ("cifar10", {(9, 1), (2, 0), (4, 7), (3, 5), (5, 3)}),
    ],
)
def test_asymmetric_noise_follows_the_published_map(name, pairs):
    dataset = datasets.get(name)
    labels = many_labels(dataset, 200)
    noisy = corrupt(noise.get("asymmetric")(rate=0.4), labels, dataset)
    flipped = noisy != labels
    assert set(zip(labels[flipped].tolist(), noisy[flipped].tolist(), strict=True)) == pairs
    assert flipped.mean() == pytest.approx(0.2, abs=0.03)


def test_asymmetric_noise_needs_a_map(monkeypatch):
    dataset = datasets.get("simulated")
    monkeypatch.setattr(type(dataset), "asymmetric_map", {})
    with pytest.raises(ValueError, match="asymmetric noise is not defined for simulated"):
        noise.get("asymmetric")(rate=0.4).transition_matrix(dataset)


def test_clean_labels_are_the_labels():
    labels = many_labels(MNIST10, 3)
    model = noise.get("clean")()
    np.testing.assert_array_equal(corrupt(model, labels, MNIST10), labels)
    np.testing.assert_array_equal(model.transition_matrix(MNIST10), np.eye(10))
    assert (model.nominal_rate, model.slug, model.display) == (0.0, "clean", "Clean")


@pytest.mark.parametrize("labels", [[0, 10], [-1], [0.5], [[1, 2]]])
@pytest.mark.parametrize("name", ["clean", "symmetric"])
def test_labels_that_do_not_fit_the_data_set_are_refused(name, labels):
    model = noise.get(name)(**({} if name == "clean" else {"rate": 0.4}))
    with pytest.raises(ValueError, match="labels"):
        corrupt(model, np.array(labels), MNIST10)


@few
@given(models(), models())
def test_models_with_different_parameters_have_different_slugs(one, other):
    assert (one.slug == other.slug) == (one == other)


def test_realised_rate_and_matrix_count_what_happened():
    rate, matrix = statistics.realised(np.array([0, 0, 0, 0, 1]), np.array([0, 0, 0, 1, 0]), 3)
    assert rate == pytest.approx(0.4)
    np.testing.assert_allclose(matrix, [[0.75, 0.25, 0], [1, 0, 0], [0, 0, 1]])


def test_the_fingerprint_of_labels_depends_on_values_and_order_alone():
    reference = statistics.labels_sha256(np.array([1, 2, 3]))
    assert reference == "e2e2033ae7e19d680599d4eb0a1359a2b48ec5baac75066c317fbf85159c54ef"
    assert statistics.labels_sha256(np.array([1, 2, 3], dtype=np.uint8)) == reference
    assert statistics.labels_sha256(np.array([1, 2, 3], dtype=">i4")) == reference
    assert statistics.labels_sha256(np.array([1, 3, 2])) != reference
