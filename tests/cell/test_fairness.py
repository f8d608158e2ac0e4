"""Methods of a setting meet the same things, and none meets what it must not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import methods
import networks
from methods.base import Batch
from runners.cell.seeds import torch_seed
from runners.study.cell import Cell
from tests.helpers.cells import Ready, make_cell, ready, same_state

ALL = methods.names()
GARBAGE = -7


def states(case: Ready) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in case.method.state_dict().items()}


def equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def recorded(case: Ready) -> list[Batch]:
    """The batches that a method is handed in training, as they come."""
    seen, step = [], case.method.step

    def watch(batch: Batch):
        seen.append(batch)
        return step(batch)

    case.method.step = watch
    case.train()
    return seen


def test_a_batch_has_no_field_for_clean_labels():
    assert Batch._fields == ("images", "labels", "index", "further")


@pytest.mark.parametrize("name", [name for name in ALL if name != "oracle"])
def test_true_labels_of_the_training_set_change_no_weight(name):
    cell = make_cell(name, epochs=2, batch_size=64)
    one = ready(cell)
    truth = one.data.arrays.train_labels.copy()
    hidden = np.setdiff1d(np.arange(len(truth)), one.data.split.clean_subset)
    truth[hidden] = (truth[hidden] + 1) % 4
    arrays = replace(one.data.arrays, train_labels=truth)
    noisy = replace(one.data.noisy, truth=truth)
    other = ready(cell, replace(one.data, arrays=arrays, noisy=noisy))
    history, changed = one.train(), other.train()
    assert history[-1]["memorisation"] != changed[-1]["memorisation"]
    assert history[-1]["train"] == changed[-1]["train"]
    assert equal(states(one), states(other))


@pytest.mark.parametrize("name", ALL)
def test_the_test_set_changes_no_weight(name):
    cell = make_cell(name, epochs=2, batch_size=64)
    one = ready(cell)
    old = one.data.arrays
    arrays = replace(old, test_images=255 - old.test_images, test_labels=3 - old.test_labels)
    other = ready(cell, replace(one.data, arrays=arrays))
    assert [entry["test"] for entry in one.train()] != [entry["test"] for entry in other.train()]
    assert equal(states(one), states(other))


@pytest.fixture(scope="module")
def setting() -> dict[str, tuple[Ready, dict, list[Batch]]]:
    """Every method on one setting with augmentation: cell, initial network, batches."""
    made = {}
    for name in ALL:
        case = ready(make_cell(name, epochs=2, batch_size=64, augment="crop_flip", clean_val=8))
        initial = {k: v.clone() for k, v in case.method.network.state_dict().items()}
        made[name] = (case, initial, recorded(case))
    return made


def test_all_methods_of_a_setting_have_the_same_labels_and_split(setting):
    first = setting[ALL[0]][0].data
    for case, *_ in setting.values():
        assert case.data.noisy.sha256 == first.noisy.sha256
        assert np.array_equal(case.data.noisy.labels, first.noisy.labels)
        for part in ("train", "noisy_val", "clean_subset", "clean_val", "dev"):
            ours, theirs = getattr(case.data.split, part), getattr(first.split, part)
            assert np.array_equal(ours, theirs)


def test_all_methods_of_a_setting_start_from_the_same_network_0(setting):
    first = setting[ALL[0]][1]
    assert all(equal(initial, first) for _, initial, _ in setting.values())


def test_all_methods_of_a_setting_meet_the_same_batches_in_the_same_views(setting):
    first = setting[ALL[0]][2]
    for *_, seen in setting.values():
        for ours, theirs in zip(seen, first, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(ours[:3], theirs[:3], strict=True))
    orders = [batch.index for batch in first]
    assert not torch.equal(torch.cat(orders[:7]), torch.cat(orders[7:]))  # reshuffled


def test_every_method_is_given_noisy_labels_of_training_images_only(setting):
    for case, _, seen in setting.values():
        split, noisy = case.data.split, case.data.noisy.labels
        given = torch.from_numpy(noisy[split.train])
        assert torch.equal(case.method.task.noisy_labels, given)
        for batch in seen:
            assert torch.equal(batch.labels, given[batch.index])
        assert (given != case.sets.train_truth).float().mean() > 0.25


@pytest.mark.parametrize("name", ALL)
def test_an_epoch_is_the_same_number_of_updates_for_every_method(name):
    case = ready(make_cell(name, epochs=3, batch_size=100))
    updates, ends = [], []
    case.method.optimizer.register_step_post_hook(lambda *_: updates.append(1))
    case.train(on_epoch=lambda entry: ends.append(len(updates)))
    assert len(case.sets.train) == 454
    assert ends == [4, 8, 12]


def test_the_clean_subset_is_disjoint_from_everything_else(setting):
    case = setting["clean_only"][0]
    split = case.data.split
    parts = (split.train, split.noisy_val, split.clean_subset, split.clean_val, split.dev)
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together) == 512
    assert len(split.clean_subset) == len(split.clean_val) == 8


@pytest.mark.parametrize("name", [n for n in ALL if "clean_subset" in make_cell(n).privileges])
def test_clean_batches_are_the_clean_subset_with_true_labels_in_one_order_for_all(
    name,
):
    cell = make_cell(name, clean_subset=10, batch_size=4)
    case, reference = ready(cell), ready(make_cell_like(cell))
    chosen, arrays = case.data.split.clean_subset, case.data.arrays
    seen = []
    for _ in range(5):
        clean = case.method.task.clean_batch(augment=False)
        official = chosen[clean.index]
        assert clean.labels.tolist() == arrays.train_labels[official].tolist()
        raw = (arrays.train_images[official] / 255 - 0.304) / 0.196
        np.testing.assert_allclose(clean.images, raw, atol=1e-5)
        assert torch.equal(clean.index, reference.method.task.clean_batch(augment=False).index)
        seen += clean.index.tolist()
    assert sorted(seen) == sorted([*range(10)] * 2)


def make_cell_like(cell: Cell) -> Cell:
    return replace(make_cell("clean_only"), protocol=cell.protocol)


def test_network_k_starts_from_its_own_stream():
    method = ready(make_cell("co_teaching", seed=3)).method
    built = []
    for k in range(2):
        torch.manual_seed(torch_seed("init", "small_cnn", 3, k))
        built.append(networks.build("small_cnn", 1, 8, 4))
    assert same_state(method.network, built[0]) and same_state(method.peer, built[1])
    assert not torch.equal(built[0].head.weight, built[1].head.weight)


def test_fine_tune_and_metalabelnet_leave_their_warm_up_bit_for_bit_alike():
    weights = {}
    for name in ("metalabelnet", "fine_tune", "cross_entropy"):
        case, after = ready(make_cell(name, epochs=6, batch_size=64)), []
        network = case.method.network
        case.train(
            lambda entry, network=network, after=after: after.append(
                {k: v.clone() for k, v in network.state_dict().items()}
            )
        )
        weights[name] = after
    for epoch in range(6):
        same = equal(weights["metalabelnet"][epoch], weights["fine_tune"][epoch])
        assert same == (epoch < 2)  # round(6 * 44 / 120) epochs
        assert equal(weights["fine_tune"][epoch], weights["cross_entropy"][epoch]) == (epoch < 2)


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
@pytest.mark.parametrize("stage", [1, 2])
def test_stage_2_of_metalabelnet_reads_no_noisy_label_and_stage_1_does(augment, stage):
    cell = make_cell("metalabelnet", epochs=3, batch_size=64, augment=augment)
    untouched, blinded = ready(cell), ready(cell)
    method, step = blinded.method, blinded.method.step

    def blind(batch: Batch):
        if method.in_stage2 == (stage == 2):
            wrong = torch.full_like(batch.labels, GARBAGE) if stage == 2 else 3 - batch.labels
            batch = batch._replace(labels=wrong)
            method.task = replace(method.task, noisy_labels=wrong)
        return step(batch)

    method.step = blind
    untouched.train()
    blinded.train()
    assert method.in_stage2
    assert equal(states(untouched), states(blinded)) == (stage == 2)
    labels = untouched.method.corrected_labels(), method.corrected_labels()
    assert torch.equal(*labels) == (stage == 2)
