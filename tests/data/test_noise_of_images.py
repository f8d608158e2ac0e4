"""Noise models beyond the class alone: images, scores, people, other data sets, fewer images."""

from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import noise
from datasets.base import DataError
from datasets.noise import feature_scores, instance_dependent
from datasets.noise.statistics import labels_sha256
from runners.cell.noisy_labels import noisy_labels

SHARED = Path(__file__).resolve().parents[3] / "shared"
SIMULATED = datasets.get("simulated")
MINI = datasets.get("fashion_mnist_mini")
EXAMPLES = {  # name -> data set, parameters, whether labels depend on the seed
    "asymmetric_blocks": ("fashion_mnist_mini", {"rate": 0.4}, True),
    "dividemix": ("fashion_mnist_mini", {"rate": 0.4, "kind": "asymmetric"}, True),
    "feature_dependent": ("fashion_mnist_mini", {"rate": 0.4}, False),
    "imbalanced": (
        "fashion_mnist_mini", {"factor": 0.1, "noise": {"name": "symmetric", "rate": 0.4}}, True,
    ),
    "instance_dependent": ("fashion_mnist_mini", {"rate": 0.4}, True),
    "open_set": ("simulated", {"from": "fashion_mnist_mini", "rate": 0.4}, True),
}  # fmt: skip
PINNED = {
    "asymmetric_blocks": "53f1e3c544af",
    "dividemix": "063cb646f658",
    "feature_dependent": "a075ab5c8119",
    "imbalanced": "4b835f3548a0",
    "instance_dependent": "5eafd001a8d5",
}
"""First digits of the labels' checksum at seed 0: another NumPy or machine must give the same."""


@pytest.fixture(scope="module")
def loaded():
    return {name: datasets.get(name).load(None) for name in ("simulated", "fashion_mnist_mini")}


def drawn(loaded, name, seed=0, **changes):
    where, parameters, _ = EXAMPLES[name]
    entry = {"name": name, **parameters, **changes}
    return noisy_labels(datasets.get(where), where, loaded[where], entry, seed)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_seed_gives_its_labels_and_another_seed_others(loaded, name):
    one, again, other = (drawn(loaded, name, seed) for seed in (0, 0, 1))
    assert one.sha256 == again.sha256 == labels_sha256(one.labels)
    np.testing.assert_array_equal(one.images, again.images)
    same = one.sha256 == other.sha256 and np.array_equal(one.images, other.images)
    assert same != EXAMPLES[name][2]
    assert one.sha256.startswith(PINNED.get(name, ""))


@pytest.mark.parametrize("name", ["asymmetric_blocks", "feature_dependent", "instance_dependent"])
def test_the_realised_rate_is_the_nominal_one(loaded, name):
    spread = 4 * (0.4 * 0.6 / 12_000) ** 0.5
    assert drawn(loaded, name).rate == pytest.approx(0.4, abs=spread)


@pytest.mark.parametrize("weights", ["per_class", "shared"])
@pytest.mark.parametrize("scaling", ["normalised", "pixels"])
def test_an_image_has_its_own_wrong_classes_and_with_raw_pixels_only_one(loaded, weights, scaling):
    model = noise.get("instance_dependent")(rate=0.4, weights=weights, scaling=scaling)
    image = loaded["fashion_mnist_mini"].train_images[:1]
    images = np.repeat(image, 3000, 0)
    images[1500:] = 255 - image[0]
    labels = np.zeros(3000, np.int64)
    noisy = model.corrupt(labels, MINI, np.random.default_rng(0), images=images)
    shares = [np.bincount(part, minlength=10)[1:] / 1500 for part in (noisy[:1500], noisy[1500:])]
    assert (noisy != 0).mean() == pytest.approx(0.4, abs=0.04)
    largest = max(share.max() / share.sum() for share in shares)
    assert largest > 0.99 if scaling == "pixels" else largest < 0.9
    assert np.abs(shares[0] - shares[1]).max() > 0.03


def test_probabilities_are_those_of_the_definition():
    rng = np.random.default_rng(5)
    features, labels = rng.random((6, 4)), np.array([0, 1, 2, 0, 1, 2])
    rates, weights = rng.random(6), rng.standard_normal((3, 4, 3))
    found = instance_dependent.probabilities(features, labels, rates, weights)
    for row, x, label, rate in zip(found, features, labels, rates, strict=True):
        scores = np.exp(x @ weights[label])
        scores[label] = 0
        expected = rate * scores / scores.sum()
        expected[label] = 1 - rate
        np.testing.assert_allclose(row, expected, atol=1e-12)
    np.testing.assert_allclose(found.sum(1), 1)


@pytest.mark.parametrize(
    "name", ["instance_noise", "instance_noise_pixels", "shared_weights_instance_noise"]
)
def test_probabilities_and_labels_are_those_of_the_official_codes(name):
    path = SHARED / "reference" / f"{name}.npz"
    if not path.is_file():
        pytest.skip("the official vectors are not on this machine")
    with np.load(path) as v:
        weights = v["weights"] if v["weights"].ndim == 3 else v["weights"][None]
        arguments = (v["features"], v["labels"], v["flip_rates"], weights)
        found = instance_dependent.probabilities(*arguments)
        np.testing.assert_allclose(found, v["probabilities"], atol=1e-9)
        labels = instance_dependent.drawn(found, v["uniform_draws"])
        np.testing.assert_array_equal(labels, v["noisy_labels"])


SCORES = np.array(
    [
        [0.9, 0.1, 0.0],  # right, and sure
        [0.5, 0.4, 0.1],  # right, a near miss: 1
        [0.2, 0.8, 0.0],  # taken for 1, sure
        [0.4, 0.6, 0.0],  # taken for 1
        [0.6, 0.2, 0.2],  # right, second place tied: 1 by the rule
    ]
)


@pytest.mark.parametrize(
    ("count", "labels", "ties"),
    [
        (0, [0, 0, 0, 0, 0], 0),
        (1, [0, 0, 1, 0, 0], 0),
        (2, [0, 0, 1, 1, 0], 0),
        (3, [0, 1, 1, 1, 0], 0),
        (4, [0, 1, 1, 1, 1], 1 / 4),
    ],
)
def test_mistaken_images_are_mislabelled_first_and_then_the_closest(count, labels, ties):
    best = feature_scores.best_two(SCORES)
    found, tied = feature_scores.flipped(np.zeros(5, np.int64), best, count)
    assert (found.tolist(), tied) == (labels, ties)
    again, _ = feature_scores.flipped(
        np.zeros(5, np.int64), feature_scores.unpacked(feature_scores.packed(best)), count
    )
    assert again.tolist() == labels


def test_scores_of_a_file_are_used_and_one_that_does_not_fit_is_named(loaded, tmp_path):
    truth = loaded["simulated"].train_labels
    scores = np.random.default_rng(0).random((len(truth), 4))
    np.save(tmp_path / "scores.npy", scores)
    model = noise.get("feature_dependent")(rate=0.3, scores=str(tmp_path / "scores.npy"))
    found = model.corrupt(truth, SIMULATED, np.random.default_rng(0), data_root=None)
    wrong = found.labels != truth
    assert wrong.sum() == round(0.3 * len(truth))
    np.testing.assert_array_equal(found.labels[wrong], scores[wrong].argmax(1))
    before = model.stamp(None)
    np.save(tmp_path / "scores.npy", scores[:9])
    assert model.stamp(None) != before
    with pytest.raises(DataError, match="has scores of 9 images: simulated has 512"):
        model.corrupt(truth, SIMULATED, np.random.default_rng(0), data_root=None)
    with pytest.raises(DataError, match="makes a file of them"):
        noise.get("feature_dependent")(rate=0.3).corrupt(
            truth, SIMULATED, np.random.default_rng(0), data_root=tmp_path
        )


def test_the_scores_that_ship_are_small_and_mislabel_what_looks_alike(loaded):
    assert (feature_scores.EMBEDDED / "fashion_mnist_mini_scores.xz").stat().st_size < 150_000
    found = drawn(loaded, "feature_dependent")
    shirt, bag = MINI.class_names.index("Shirt"), MINI.class_names.index("Bag")
    assert found.matrix[shirt, shirt] < 0.4 < 0.7 < found.matrix[bag, bag]
    assert found.facts["tied_share"] < 0.01 < found.facts["student_error"]


@pytest.mark.parametrize("percent", [20, 40, 60, 80])
def test_the_official_labels_are_taken_by_checksum(tmp_path, percent, monkeypatch):
    path = SHARED / "data" / "cifar10_jpeg" / "student_logits.npz"
    if not path.is_file():
        pytest.skip("the official labels are not on this machine")
    with np.load(path) as file:
        labels = file[f"official_fd_{percent}"].astype(np.int64)
    (tmp_path / "feature_dependent").mkdir()
    np.save(tmp_path / "feature_dependent" / f"fd_{percent}.npy", labels)
    model = noise.get("feature_dependent_official")(rate=percent / 100)
    cifar = datasets.get("cifar10")
    found = model.corrupt(labels, cifar, np.random.default_rng(0), data_root=tmp_path)
    np.testing.assert_array_equal(found, labels)
    np.save(tmp_path / "feature_dependent" / f"fd_{percent}.npy", np.roll(labels, 1))
    with pytest.raises(DataError, match="md5"):
        model.corrupt(labels, cifar, np.random.default_rng(0), data_root=tmp_path)


def test_replaced_images_have_no_true_class_and_all_others_are_untouched(loaded):
    found = drawn(loaded, "open_set")
    arrays = loaded["simulated"]
    replaced = found.truth == -1
    assert replaced.sum() == round(0.4 * 512) and found.rate == pytest.approx(0.4, abs=1e-3)
    np.testing.assert_array_equal(found.labels, arrays.train_labels)
    np.testing.assert_array_equal(found.images[~replaced], arrays.train_images[~replaced])
    assert found.images.shape == arrays.train_images.shape
    assert (found.images[replaced] != arrays.train_images[replaced]).any((1, 2, 3)).all()
    for other, sentence in (("simulated", "the data set itself"), ("nowhere", "must be one of")):
        model = noise.get("open_set")(**{"from": other, "rate": 0.2})
        with pytest.raises(ValueError, match=sentence):
            model.transition_matrix(SIMULATED)


@pytest.mark.parametrize("kind", ["exponential", "step"])
def test_an_imbalanced_set_leaves_images_out_before_its_noise(loaded, kind):
    found = drawn(loaded, "imbalanced", type=kind)
    sizes = np.bincount(found.truth[found.kept], minlength=10)
    shares = 0.1 ** (np.arange(10) / 9) if kind == "exponential" else [1.0] * 5 + [0.1] * 5
    np.testing.assert_array_equal(sizes, np.round(1200 * np.array(shares)))
    assert found.rate == pytest.approx(0.4, abs=0.03)
    with pytest.raises(ValueError, match="noise entry"):
        noise.get("imbalanced")(factor=0.5, noise={"name": "nothing"})


def test_dividemix_touches_an_exact_number_of_all_labels():
    labels = np.repeat(np.arange(10), 500)
    draw = noise.get("dividemix")(rate=0.5).corrupt(labels, MINI, np.random.default_rng(0))
    assert (draw != labels).mean() == pytest.approx(0.5 * 0.9, abs=0.02)
    model = noise.get("dividemix")(rate=0.4, kind="asymmetric")
    draw = model.corrupt(labels, MINI, np.random.default_rng(0))
    moved = set(zip(labels[draw != labels].tolist(), draw[draw != labels].tolist(), strict=True))
    assert moved == set(MINI.asymmetric_map.items())
    assert (draw != labels).mean() == pytest.approx(0.2, abs=0.02)


def test_superclasses_of_cifar100_are_true_ones_and_published_blocks_are_not():
    cifar = datasets.get("cifar100")
    names, group = cifar.class_names, np.array(cifar.superclasses)
    assert np.bincount(group).tolist() == [5] * 20
    trees = {names[k] for k in np.flatnonzero(group == group[names.index("oak_tree")])}
    assert trees == {"maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"}
    inside = {}
    for name in ("asymmetric_superclass", "asymmetric_blocks"):
        matrix = noise.get(name)(rate=0.4).transition_matrix(cifar)
        np.testing.assert_allclose(matrix.sum(1), 1)
        np.testing.assert_allclose(np.diagonal(matrix), 0.6)
        target = (matrix - 0.6 * np.eye(100)).argmax(1)
        assert len(set(target.tolist())) == 100
        inside[name] = int((group[target] == group).sum())
    assert inside == {"asymmetric_superclass": 100, "asymmetric_blocks": 6}
    with pytest.raises(ValueError, match="no superclasses"):
        noise.get("asymmetric_superclass")(rate=0.4).transition_matrix(MINI)


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - {"feature_dependent"}))
def test_a_class_may_be_empty(loaded, name):
    where, parameters, _ = EXAMPLES[name]
    arrays, dataset = loaded[where], datasets.get(where)
    some = arrays.train_labels != 1
    model = noise.of({"name": name, **parameters})
    inputs = {"images": arrays.train_images[some], "data_root": None}
    inputs = {need: inputs[need] for need in model.needs}
    found = model.corrupt(arrays.train_labels[some], dataset, np.random.default_rng(0), **inputs)
    assert len(getattr(found, "labels", found)) == some.sum()
