"""The meta-gradient of the look-ahead equals double backward, and disturbs nothing."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

import networks
from methods.lookahead import LookAhead
from methods.lookahead.traced import CHECKS, trace
from methods.metalabelnet import EPSILON, classification_loss
from runners.speed.double_backward import double_backward

CLASSES = 4

SEED = 2
"""Of weights. With some seeds a ReLU of resnet18 is so close to its kink that rounding to float32
chooses its side; then every meta-gradient, that of double backward too, is off by 1e-3."""


class DropoutNet(nn.Module):
    """Dropout, in-place ReLU, functional calls and a residual addition."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, bias=False)
        self.relu, self.dropout = nn.ReLU(inplace=True), nn.Dropout(0.3)
        self.scale = nn.Parameter(torch.ones(1))
        self.head = nn.Linear(8 * 16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.relu(self.bn(self.conv1(x))))
        x = F.max_pool2d(x + torch.tanh(self.conv2(x)) * self.scale, 2)
        return self.head(F.dropout2d(x, 0.2, self.training).reshape(x.size(0), -1))


class BranchingNet(nn.Module):
    """Control flow on values, which cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.dropout = nn.Linear(192, 9), nn.Dropout(0.3)
        self.second = nn.Linear(9, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.first(x.flatten(1)).tanh())
        return self.second(x if x.sum() > 1e9 else 2 * x)


class SplittingNet(nn.Module):
    """A node with several results, which is found only when the tangent meets it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(192, 10), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.first(x.flatten(1)).chunk(2, dim=1)
        return self.second(left.sigmoid() * right)


NETWORKS = {
    "small_cnn": lambda: networks.build("small_cnn", 3, 8, CLASSES),
    "cnn8": lambda: networks.build("cnn8", 3, 8, CLASSES),
    "resnet18": lambda: networks.build("resnet18", 3, 8, CLASSES),
    "dropout": DropoutNet,
    "branching": BranchingNet,
    "splitting": SplittingNet,
}


RULED = ("small_cnn", "cnn8", "resnet18")
"""Those of which every layer has a rule."""


def uses_rules(network: nn.Module) -> bool:
    """Whether its tangents are no longer compared with plain autograd, or replaced by it."""
    found = trace(network)
    return found is not None and found.checks == 0


class Setting:
    """A network, a batch, a clean batch and the two meta-learners, all of one dtype."""

    def __init__(self, name: str, dtype: torch.dtype, steps: int, channels_last: bool) -> None:
        torch.manual_seed(SEED)
        self.network = NETWORKS[name]().to(dtype).train()
        generator = torch.Generator().manual_seed(1)
        self.images = torch.randn(12, 3, 8, 8, generator=generator, dtype=dtype)
        self.labels = torch.randint(CLASSES, (12,), generator=generator)
        self.clean_images = torch.randn(9, 3, 8, 8, generator=generator, dtype=dtype)
        self.clean_labels = torch.randint(CLASSES, (9,), generator=generator)
        self.features = torch.randn(12, 5, generator=generator, dtype=dtype)
        self.label_layer = nn.Linear(5, CLASSES, dtype=dtype)
        self.weight_net = nn.Sequential(
            nn.Linear(1, 7, dtype=dtype), nn.Tanh(), nn.Linear(7, 1, dtype=dtype), nn.Sigmoid()
        )
        optimizer = torch.optim.SGD(self.network.parameters(), 0.05, 0.9)
        for _ in range(steps):
            optimizer.zero_grad()
            F.cross_entropy(self.network(self.images), self.labels).backward()
            optimizer.step()
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
            self.images = self.images.contiguous(memory_format=torch.channels_last)

    def soft_labels(self) -> Tensor:
        return self.label_layer(self.features).softmax(1)

    def weights(self, losses: Tensor) -> Tensor:
        return self.weight_net(losses.detach()[:, None]).squeeze(1)

    def fast(self, meta: str) -> tuple[Tensor, ...]:
        look = LookAhead(self.network, self.images)
        clean = (self.clean_images, self.clean_labels)
        p = look.logits.detach().softmax(1)
        if meta == "labels":
            soft = self.soft_labels()
            tangent = look.tangent(classification_loss(look.logits, soft.detach()), 1.0, *clean)
            p_tangent = p * (tangent - (p * tangent).sum(1, keepdim=True))
            surrogate = (p_tangent * torch.log(soft + EPSILON)).mean()
            return torch.autograd.grad(surrogate, tuple(self.label_layer.parameters()))
        losses = F.cross_entropy(look.logits, self.labels, reduction="none")
        weights = self.weights(losses)
        tangent = look.tangent((weights.detach() * losses).mean(), 0.1, *clean)
        moved = (p * tangent).sum(1) - tangent.gather(1, self.labels[:, None]).squeeze(1)
        surrogate = -0.1 * (weights * moved).mean()
        return torch.autograd.grad(surrogate, tuple(self.weight_net.parameters()))

    def slow(self, meta: str) -> tuple[Tensor, ...]:
        still = {name: buffer.clone() for name, buffer in self.network.named_buffers()}
        logits = functional_call(self.network, still, (self.images,))
        clean = (self.clean_images, self.clean_labels)
        if meta == "labels":
            inner, rate = classification_loss(logits, self.soft_labels()), 1.0
            phi = tuple(self.label_layer.parameters())
        else:
            losses = F.cross_entropy(logits, self.labels, reduction="none")
            inner, rate = (self.weights(losses) * losses).mean(), 0.1
            phi = tuple(self.weight_net.parameters())
        return double_backward(self.network, inner, rate, *clean, phi)


def relative_difference(ours: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> float:
    both = [torch.cat([t.flatten() for t in tensors]) for tensors in (ours, expected)]
    return float((both[0] - both[1]).norm() / both[1].norm())


def compare(setting: Setting, meta: str) -> float:
    """Difference to double backward, once a traced tangent has been found right and is used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(CHECKS + 1):
            torch.manual_seed(7)  # the same dropout masks in all
            ours = setting.fast(meta)
        torch.manual_seed(7)
        expected = setting.slow(meta)
    assert any(t.abs().max() > 0 for t in expected)
    return relative_difference(ours, expected)


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("meta", ["labels", "weights"])
@pytest.mark.parametrize("name", NETWORKS)
def test_meta_gradient_equals_double_backward_in_float64(name, meta, channels_last):
    setting = Setting(name, torch.float64, 5, channels_last)
    assert compare(setting, meta) < 1e-12
    assert uses_rules(setting.network) == (name in RULED)


@pytest.mark.parametrize("channels_last", [False, True], ids=["nchw", "channels_last"])
@pytest.mark.parametrize("name", NETWORKS)
def test_meta_gradient_equals_double_backward_in_float32(name, channels_last):
    setting = Setting(name, torch.float32, 5, channels_last)
    assert compare(setting, "labels") < 1e-5
    assert uses_rules(setting.network) == (name in RULED)


@pytest.mark.parametrize("name", ["small_cnn", "resnet18", "dropout"])
def test_look_ahead_moves_buffers_like_one_ordinary_forward_pass(name):
    setting = Setting(name, torch.float64, 0, False)
    ordinary = copy.deepcopy(setting.network)
    torch.manual_seed(7)
    logits = ordinary(setting.images)
    torch.manual_seed(7)
    look = LookAhead(setting.network, setting.images)
    look.tangent(look.logits.logsumexp(1).mean(), 0.1, setting.clean_images, setting.clean_labels)
    assert torch.equal(look.logits, logits)
    for key, value in ordinary.state_dict().items():
        assert torch.equal(setting.network.state_dict()[key], value), key


def test_official_batchnorm_writes_the_clean_batch_into_the_running_statistics():
    moved, still = (Setting("small_cnn", torch.float64, 0, False) for _ in range(2))
    for setting, move in ((moved, True), (still, False)):
        look = LookAhead(setting.network, setting.images, move_batchnorm=move)
        loss = F.cross_entropy(look.logits, setting.labels)
        look.tangent(loss, 0.0, setting.clean_images, setting.clean_labels)
    # At rate 0 theta' = theta, so the official side effect is one more pass on the clean images.
    still.network(still.clean_images)
    key = "body.1.running_mean"
    assert torch.allclose(moved.network.state_dict()[key], still.network.state_dict()[key])


def test_a_network_without_rules_says_so_once():
    setting = Setting("branching", torch.float64, 0, False)
    with pytest.warns(UserWarning, match="BranchingNet: a look-ahead takes about twice the time"):
        setting.fast("labels")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        setting.fast("labels")


def test_an_attribute_that_changes_is_noticed():
    setting = Setting("small_cnn", torch.float64, 5, False)
    assert compare(setting, "labels") < 1e-12 and uses_rules(setting.network)
    setting.network.body[2] = nn.LeakyReLU(0.1)  # not what was traced
    assert compare(setting, "labels") < 1e-12
    convolution = setting.network.body[0]
    convolution.stride = (1, 1)
    setting.network.body[3].stride = (4, 4)
    assert compare(setting, "labels") < 1e-12


@pytest.mark.parametrize("name", ["small_cnn", "dropout"])
def test_under_bf16_the_meta_pass_is_that_of_float32(name):
    setting = Setting(name, torch.float32, 5, False)
    loss = torch.rand(12, CLASSES, generator=torch.Generator().manual_seed(3))
    tangents = []
    for mixed in (True, False):
        torch.manual_seed(7)
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed, cache_enabled=False):
            look = LookAhead(setting.network, setting.images)
            tangent = look.tangent(
                (look.logits * loss).mean(), 0.0, setting.clean_images, setting.clean_labels
            )
        assert tangent.dtype == torch.float32
        assert look.logits.dtype == (torch.bfloat16 if mixed else torch.float32)
        tangents.append(tangent)
    # At rate 0 nothing of the meta pass depends on the inner gradient, which is in bfloat16.
    assert relative_difference((tangents[0],), (tangents[1],)) < 1e-5
