"""MLNT: neighbours, synthetic labels, the teacher, the rise of its weight and its gradient."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from methods import mlnt
from tests.helpers.cells import batch, same_state, tiny_method, tiny_task

WIDTH = 5


class Small(nn.Module):
    """linear - BatchNorm - tanh - linear, 4 -> 3, in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.first, self.norm = nn.Linear(4, WIDTH), nn.BatchNorm1d(WIDTH)
        self.head, self.feature_width = nn.Linear(WIDTH, 3), WIDTH
        self.double()

    def features(self, x):
        return self.norm(self.first(x)).tanh()

    def forward(self, x):
        return self.head(self.features(x))


def learner(**hparams) -> mlnt.MLNT:
    """After the warm-up of one epoch of two; one update an epoch before, six after it."""
    task = tiny_task(epochs=2, steps_per_epoch=6, n_train=36)
    settings = {"perturbations": 3, "warmup": 0.5, **hparams}
    method = tiny_method("mlnt", Small, task=task, **settings).train()
    method.begin_epoch(0)
    method.step(batch())
    method.end_epoch(0)
    method.begin_epoch(1)
    return method


def test_neighbours_are_the_nearest_others():
    features = torch.tensor([[0.0], [1.0], [3.0], [7.0], [7.0]])
    near = mlnt.neighbours(features, 2)
    assert [sorted(row) for row in near.tolist()] == [[1, 2], [0, 2], [0, 1], [2, 4], [2, 3]]
    assert mlnt.neighbours(features, 10).shape == (5, 4)  # all others
    assert mlnt.neighbours(features[:1], 10).tolist() == [[0]]
    same = mlnt.neighbours(torch.zeros(4, 2), 10)
    assert all(k not in row for k, row in enumerate(same.tolist()))


def test_a_share_of_the_labels_becomes_that_of_a_neighbour():
    labels = torch.tensor([0, 1, 2, 3])
    near = torch.tensor([[1, 2], [2, 3], [3, 0], [0, 1]])
    keys = torch.tensor([[0.9, 0.1, 0.5, 0.2], [0.3, 0.7, 0.1, 0.2]])
    picks = torch.tensor([[0.0, 0.4, 0.6, 0.999], [0.5, 0.0, 0.0, 0.49]])
    # Two of four change, those with the smallest keys: 1 and 3, then 2 and 3.
    expected = [[0, 2, 2, 1], [0, 1, 3, 0]]
    assert mlnt.synthetic_labels(labels, near, 0.5, keys, picks).tolist() == expected
    assert mlnt.synthetic_labels(labels, near, 0.0, keys, picks).tolist() == [[0, 1, 2, 3]] * 2
    one = (labels[:1], torch.zeros(1, 1).long(), 1.0, keys[:, :1], picks[:, :1])
    assert mlnt.synthetic_labels(*one).tolist() == [[0], [0]]


def test_the_divergence_is_a_mean_over_samples_and_classes():
    teacher = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
    student = torch.tensor([[0.25, 0.5, 0.25], [0.2, 0.2, 0.6]])
    found = mlnt.divergence(student.log(), teacher)
    assert found.item() == pytest.approx(0.5 * math.log(2) / 6, abs=1e-7)


def test_after_the_warm_up_teacher_and_encoder_are_the_student():
    method = learner()
    assert same_state(method.teacher, method.network)
    assert same_state(method.encoder, method.network)
    frozen = copy.deepcopy(method.encoder)
    method.step(batch())
    assert same_state(method.encoder, frozen) and not method.encoder.training
    assert not same_state(method.teacher, method.network)
    method.end_epoch(1)
    assert not same_state(method.teacher, method.network)


def test_the_teacher_is_an_average_whose_decay_changes_when_the_weight_has_risen():
    method = learner(ramp=2 / 6, decay_rising=0.9, decay=0.99)
    assert (method.rise, method.power) == (2.0, 31_250 / 6)
    method.power = 1.0
    for update in range(4):
        before = [p.clone() for p in method.teacher.parameters()]
        student = [p.clone() for p in method.network.parameters()]
        statistics = method.teacher.norm.num_batches_tracked.clone()
        method.step(batch())
        gamma = 0.9 if update < 2 else 0.99
        for mean, old, own in zip(method.teacher.parameters(), before, student, strict=True):
            torch.testing.assert_close(mean, gamma * old + (1 - gamma) * own)
        assert method.teacher.norm.num_batches_tracked == statistics + 1  # its own passes


def test_the_decay_belongs_to_the_papers_number_of_updates():
    method = learner(decay_rising=0.9)
    method.power = 0.5
    start = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        for p in method.network.parameters():
            p.add_(1.0)
    method.updates = 1
    with torch.no_grad():
        method.move_teacher()
    for mean, old in zip(method.teacher.parameters(), start, strict=True):
        torch.testing.assert_close(mean, old + 1 - 0.9**0.5)


def test_the_weight_of_the_consistency_rises_to_its_value():
    method = learner(ramp=4 / 6, weight=2.0)
    found = []
    for _ in range(6):
        method.step(batch())
        found.append(method.consistency_share())
    u = [0.25, 0.5, 0.75, 1, 1, 1]
    assert found == pytest.approx([2 / 3 * math.exp(-5 * (1 - x) ** 2) for x in u])


@pytest.mark.parametrize("second_order", [True, False])
def test_a_step_is_that_of_double_backward_through_all_synthetic_steps(second_order):
    method = learner(second_order=second_order, weight=30.0, ramp=1 / 6)
    synthetic = torch.tensor([[0, 1, 2, 2, 2, 2], [1, 1, 1, 0, 1, 2], [0, 0, 2, 0, 1, 0]])
    method.draw_labels = lambda labels, near: synthetic
    other, images, labels = copy.deepcopy(method.network), batch().images, batch().labels
    target = copy.deepcopy(method.teacher)(images).softmax(1).detach()
    theta = dict(other.named_parameters())
    logits, total = other(images), 0.0
    for false in synthetic:
        loss = F.cross_entropy(logits, false)
        slopes = torch.autograd.grad(loss, tuple(theta.values()), create_graph=True)
        if not second_order:
            slopes = [slope.detach() for slope in slopes]
        moved = {n: p - 0.2 * g for (n, p), g in zip(theta.items(), slopes, strict=True)}
        still = {name: b.clone() for name, b in other.named_buffers()}
        total = total + mlnt.divergence(functional_call(other, moved | still, images), target)
    loss = F.cross_entropy(logits, labels)
    expected = torch.autograd.grad(loss + 30 * total / 3, tuple(theta.values()))
    logged = method.step(batch())
    for parameter, slope in zip(method.network.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, slope)
    assert logged["loss"].item() == pytest.approx(loss.item())
    assert logged["consistency"].item() == pytest.approx(total.item() / 3)
    for name, buffer in other.named_buffers():  # moved by one ordinary pass
        torch.testing.assert_close(method.network.get_buffer(name), buffer)


def test_every_step_has_draws_of_its_own_and_small_batches_some_too():
    method = learner(rho=1.0, perturbations=8, second_order=False)
    seen, draw = [], method.draw_labels
    method.draw_labels = lambda labels, near: seen.append(draw(labels, near)) or seen[-1]
    for _ in range(3):
        method.step(batch())
    assert not torch.equal(seen[0], seen[1]) and not torch.equal(seen[1], seen[2])
    own = batch().labels.expand(8, -1)
    assert 0.5 < (seen[0] != own).double().mean() < 1  # of 5 others 4 have another label
    method.step(batch(3))
    assert seen[3].shape == (8, 3)


def test_the_teacher_is_the_second_member():
    method = learner().eval()
    for p in method.teacher.parameters():
        p.zero_()
    with torch.no_grad():
        members = method.predict_members(batch().images)
    assert torch.equal(members[0], method.predict(batch().images))
    torch.testing.assert_close(members[1], torch.full((6, 3), 1 / 3).double())
