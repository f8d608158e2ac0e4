"""Labels that people gave, and their random twin: rates, files, order."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import noise
from datasets.base import DataError
from datasets.human_labels import SETS, HumanLabels, counts
from tests.helpers.human import label_file

SHARED = Path(__file__).resolve().parents[3] / "shared"
SIMULATED = datasets.get("simulated")
MINI = datasets.get("fashion_mnist_mini")
RATES = {"aggregate": 9.01, "random1": 17.23, "random2": 18.12, "random3": 17.64, "worst": 40.21}
RATES |= {"fine": 40.20, "coarse": 26.40}


@pytest.mark.parametrize("name", SETS)
def test_human_labels_have_their_published_rates_and_a_random_twin(name):
    assert round(100 * noise.get("human")(labels=name).nominal_rate, 2) == RATES[name]
    where = {"fine": "cifar100", "coarse": "cifar100_coarse"}.get(name, "cifar10")
    dataset = datasets.get(where)
    twin = noise.get("human_twin")(labels=name)
    matrix = twin.transition_matrix(dataset)
    np.testing.assert_allclose(matrix.sum(1), 1)
    labels = np.repeat(np.arange(dataset.classes), 20_000 // dataset.classes)
    draw = twin.corrupt(labels, dataset, np.random.default_rng(0))
    assert (draw != labels).mean() == pytest.approx(RATES[name] / 100, abs=0.02)
    with pytest.raises(ValueError, match="there are none of it"):
        twin.transition_matrix(MINI)


def test_the_counts_that_ship_are_those_of_the_label_files():
    folder = SHARED / "data" / "cifar10_jpeg"
    if not (folder / "CIFAR-10_human.pt").is_file():
        pytest.skip("the label files are not on this machine")
    from datasets.make_human_counts import count

    for name, table in count(folder).items():
        np.testing.assert_array_equal(counts(name), table)


def test_human_labels_are_read_by_checksum_and_only_in_the_order_of_the_images(
    tmp_path, monkeypatch
):
    truth = SIMULATED.load(None).train_labels
    noisy = (truth + (np.arange(len(truth)) % 3 == 0)) % 4
    content = label_file(truth, noisy)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "labels.pt").write_bytes(content)
    md5 = hashlib.md5(content).hexdigest()
    human = HumanLabels("labels.pt", md5, "own", "clean_label", {"worst": "worse_label"})
    monkeypatch.setattr(type(SIMULATED), "human_labels", human, raising=False)
    model = noise.get("human")(labels="worst")
    rng = np.random.default_rng(0)
    found = model.corrupt(truth, SIMULATED, rng, data_root=tmp_path)
    np.testing.assert_array_equal(found, noisy)
    with pytest.raises(DataError, match="in another order"):
        model.corrupt(np.roll(truth, 1), SIMULATED, rng, data_root=tmp_path)
    with pytest.raises(DataError, match="are not there: looked in"):
        model.corrupt(truth, SIMULATED, rng, data_root=tmp_path / "none")
    (tmp_path / "own" / "labels.pt").write_bytes(content + b"x")
    with pytest.raises(DataError, match="is corrupt"):
        model.corrupt(truth, SIMULATED, rng, data_root=tmp_path)
