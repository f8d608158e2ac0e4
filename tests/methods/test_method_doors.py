"""What a method may ask for beside the usual batch: more views, batches of its own choosing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import methods
from methods.base import Method, overrides, register
from methods.declaration import Declaration
from tests.helpers.cells import Ready, make_cell, ready
from tests.helpers.interruptions import assert_same, interrupted


@register(Declaration("plain", "Plain"))
class Plain(Method):
    """Notes the batches that it is given."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.seen: list[list[torch.Tensor]] = []
        self.calls: list[str] = []

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.calls.append(f"begin {epoch}")

    def end_epoch(self, epoch: int) -> None:
        self.calls.append(f"end {epoch}")

    def predict(self, images):
        if self.calls[-1:] != ["predict"]:
            self.calls.append("predict")
        return super().predict(images)

    def step(self, batch):
        self.seen.append([part.clone() for part in (*batch[:3], *batch.further)])
        loss = sum(F.cross_entropy(self.network(view), batch.labels) for view in batch.views)
        self.update(loss)
        return {"loss": loss.detach()}


@register(Declaration("views", "Views", views=("weak", "strong", "weak")))
class Views(Plain):
    pass


@register(Declaration("chooser", "Chooser", views=("weak", "strong")))
class Chooser(Method):
    """Trains on the half of the samples that it fits best, and on draws by its own weights."""

    def __init__(self, task, hparams, rng, new_network) -> None:
        super().__init__(task, hparams, rng, new_network)
        self.labelled, self.mixture = task.sampler("labelled"), task.sampler("mixture")
        self.register_buffer("losses", torch.ones(task.n_train))

    def begin_epoch(self, epoch: int) -> None:
        super().begin_epoch(epoch)
        self.labelled.choose(self.losses <= self.losses.median())
        self.mixture.choose(self.losses)

    def step(self, batch):
        one, two = self.labelled.next(), self.mixture.next(7)
        losses = F.cross_entropy(self.network(batch.images), batch.labels, reduction="none")
        loss = losses.mean() + self.network(torch.cat([*one.views, *two.views])).logsumexp(1).mean()
        self.update(loss)
        self.losses[batch.index] = losses.detach()
        return {"loss": loss.detach()}


OWN = {"plain": Plain, "views": Views, "chooser": Chooser}


@pytest.fixture(autouse=True)
def own_methods(monkeypatch):
    """Makes the methods above known by name."""
    load, declaration = methods.load, methods.declaration
    monkeypatch.setattr(methods, "load", lambda n: OWN.get(n) or load(n))
    monkeypatch.setattr(
        methods, "declaration", lambda n: OWN[n].declaration if n in OWN else declaration(n)
    )


def case(name: str, augment: str = "crop_flip") -> Ready:
    return ready(make_cell(name, epochs=2, batch_size=100, augment=augment))


@pytest.mark.parametrize("augment", ["none", "crop_flip"])
def test_who_asks_for_more_views_meets_the_same_first_view_and_order(augment):
    plain, more = case("plain", augment), case("views", augment)
    plain.train()
    more.train()
    for one, other in zip(plain.method.seen, more.method.seen, strict=True):
        assert all(map(torch.equal, one, other[:3]))


def test_further_views_are_of_the_same_images_and_differ_from_the_first():
    run = case("views")
    run.train()
    images, _, index, strong, weak = run.method.seen[0]
    assert strong.shape == weak.shape == images.shape
    assert not torch.equal(weak, images) and not torch.equal(strong, weak)
    plain = run.sets.train.take(index)[0]
    # The background of a crop is black; where the weak view shows the image, it is the image.
    assert torch.isin(weak.flatten(), torch.cat([plain.flatten(), weak.min()[None]])).all()
    hidden = (strong == 0).all(1).flatten(1).float().mean(1)
    assert ((hidden > 0.05) & (hidden < 0.5)).float().mean() > 0.9  # up to a quarter of 8x8


def test_a_strong_view_is_strong_where_the_protocol_does_not_augment():
    run = case("views", "none")
    run.train()
    images, _, _, strong, weak = run.method.seen[0]
    assert torch.equal(weak, images) and not torch.equal(strong, images)


@pytest.mark.parametrize("views", [(), ("strong",), ("weak", "odd")])
def test_views_that_there_are_not_are_refused(views):
    with pytest.raises(ValueError, match="must be weak, then"):
        Declaration("x", "X", views=views)


@pytest.mark.parametrize("name", ["views", "chooser"])
@pytest.mark.parametrize("seconds", [0.0, 1e9], ids=["between steps", "between epochs"])
def test_a_method_with_views_and_samplers_resumes_to_the_same_bits(name, seconds, tmp_path):
    cell = make_cell(name, epochs=3, batch_size=100, augment="crop_flip")
    whole = ready(cell)
    history = whole.train()
    for after in (1, 2, 3):
        path = tmp_path / f"{after}.pt"
        assert_same(*interrupted(cell, path, after, 1, seconds), whole, history)


def test_a_sampler_passes_over_the_chosen_samples_and_carries_on_what_is_left():
    sampler = case("chooser").method.task.sampler("x")
    chosen = torch.zeros(sampler.n_train, dtype=torch.bool)
    chosen[10:20] = True
    sampler.choose(chosen)
    seen = torch.cat([sampler.next(4).index for _ in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10, 20))
    assert seen[:10].tolist() != seen[10:].tolist()


def test_a_sampler_draws_in_proportion_to_weights():
    sampler = case("chooser").method.task.sampler("x")
    weights = torch.zeros(sampler.n_train)
    weights[3], weights[5] = 3.0, 1.0
    sampler.choose(weights)
    drawn = torch.cat([sampler.next(100).index for _ in range(20)])
    assert set(drawn.tolist()) == {3, 5}
    assert (drawn == 3).float().mean() == pytest.approx(0.75, abs=0.04)


def test_samplers_of_two_methods_draw_the_same_under_the_same_name_and_seed():
    first, second = (case(name).method.task.sampler("x") for name in ("plain", "chooser"))
    other = case("plain").method.task.sampler("y")
    for sampler in (first, second, other):
        sampler.choose(torch.ones(sampler.n_train, dtype=torch.bool))
    one, two, three = (sampler.next().index for sampler in (first, second, other))
    assert torch.equal(one, two) and not torch.equal(one, three)


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        (torch.ones(3), "weights must be"),
        (torch.zeros(0), "weights must be"),
        (None, "no sample is chosen"),
        (float("nan"), "not finite"),
        (-1.0, "negative"),
    ],
)
def test_a_choice_that_cannot_be_drawn_from_is_refused(weights, words):
    sampler = case("plain").method.task.sampler("x")
    if not isinstance(weights, torch.Tensor):
        weights = torch.full((sampler.n_train,), weights or 0.0)
    with pytest.raises(ValueError, match=words):
        sampler.choose(weights)
    with pytest.raises(RuntimeError, match="call choose"):
        sampler.next()


def test_an_epoch_ends_after_its_last_step_and_before_it_is_evaluated():
    run = case("plain")
    run.train()
    assert run.method.calls == [
        *("begin 0", "end 0", "predict"),
        *("begin 1", "end 1", "predict"),
    ]


def test_what_a_method_has_is_told_by_what_its_class_overrides():
    names = ("predict_members", "corrected_labels", "clean_probability", "end_epoch")
    assert [overrides(Plain, name) for name in names] == [False, False, False, True]
    assert [overrides(methods.load("co_teaching"), name) for name in names[:3]] == [
        *(True, False, True)
    ]
