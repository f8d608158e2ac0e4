"""Networks of all kinds, on which a look-ahead must be exact: (3, 8, 8) images and four classes.

Those of torchvision take (3, 32, 32) images, or what the family needs.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from torchvision.ops import DropBlock2d, SqueezeExcitation, StochasticDepth, stochastic_depth

CLASSES, WIDTH = 4, 6


def plain(*middle: nn.Module, width: int = WIDTH) -> nn.Sequential:
    """A small convolutional network around some layers, which keep (WIDTH, 8, 8)."""
    head = [nn.Flatten(), nn.LazyLinear(CLASSES)]
    return nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH), *middle, *head)


class Around(nn.Module):
    """A convolution, what a function makes of it and the images, and a linear layer.

    Args:
        function: (module itself, features (B, WIDTH, 8, 8), images) -> (B, anything).
        parts: further modules, as attributes.
    """

    def __init__(self, function: Callable[..., Tensor], **parts: nn.Module) -> None:
        super().__init__()
        self.function, self.calls = function, 0
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))
        for name, part in parts.items():
            setattr(self, name, part)
        self.head = nn.LazyLinear(CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.head(self.function(self, self.stem(x), x).flatten(1))


class Reversed(torch.autograd.Function):
    """Reversal of the gradient (Ganin and Lempitsky, 2015)."""

    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return -0.5 * gradient


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(context, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(context, gradient: Tensor) -> Tensor:
        return gradient


class Offset(nn.Module):
    """A learned offset on the input."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.randn(3, 1, 1))
        self.rest = plain(nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(x + self.offset)


class Tied(nn.Module):
    """One linear layer, used twice, whose weight a second one shares."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(192, 192), nn.Linear(192, 192)
        self.second.weight = self.first.weight
        self.head = nn.Linear(192, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x.flatten(1)).tanh()
        return self.head(self.second(self.first(x)).tanh())


class Recurrent(nn.Module):
    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.cells, self.head = kind(24, 12, batch_first=True), nn.Linear(12, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.cells(x.transpose(1, 2).flatten(2))[0][:, -1])


class Attention(nn.Module):
    def __init__(self, dropout: float) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(24, 2, 32, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x.transpose(1, 2).flatten(2)).mean(1))


def dense(self: Around, h: Tensor, _: Tensor) -> Tensor:
    for layer in self.layers:
        h = torch.cat([h, layer(h).relu()], 1)
    return h


def added_in_place(self: Around, h: Tensor, _: Tensor) -> Tensor:
    kept = self.second(h)
    h = h * 1.0
    h += kept
    return F.relu(h) + kept


def in_place_on_an_alias(self: Around, h: Tensor, _: Tensor) -> Tensor:
    h = h + 0.1
    flat = h.view(len(h), -1)
    F.relu_(flat)
    return self.second(h).flatten(1) + flat


def quiet_statistics(self: Around, h: Tensor, _: Tensor) -> Tensor:
    with torch.no_grad():
        scale = h.std() + 1
    return F.relu(h / scale)


def changing(self: Around, h: Tensor, _: Tensor) -> Tensor:
    """Another activation from the third pass on: an attribute that a trace would freeze."""
    return F.relu(h) if self.calls < 4 else F.silu(h)


def python_depth(self: Around, h: Tensor, _: Tensor) -> Tensor:
    return h + self.second(h).relu() if random.random() < 0.5 else h.relu()


def numpy_depth(self: Around, h: Tensor, _: Tensor) -> Tensor:
    return h + float(np.random.rand()) * self.second(h).relu()  # noqa: NPY002


def counted(self: Around, h: Tensor, _: Tensor) -> Tensor:
    self.steps.add_(1)
    return h.relu() * (1 + 0.1 * self.steps)


class Counted(Around):
    def __init__(self) -> None:
        super().__init__(counted)
        self.register_buffer("steps", torch.zeros(()))


class Running(Around):
    """Normalises by a running mean of its own, which it moves in training."""

    def __init__(self) -> None:
        super().__init__(self.normalised)
        self.register_buffer("mean", torch.zeros(WIDTH, 1, 1))

    @staticmethod
    def normalised(self, h: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean.lerp_(h.mean((0, 2, 3))[:, None, None], 0.1)
        return (h - self.mean).relu()


def hooked(kind: str) -> nn.Module:
    network = plain(nn.ReLU())
    if kind == "forward":
        network[0].register_forward_hook(lambda module, given, output: 0.5 * output.tanh())
    else:
        network[3].register_full_backward_hook(lambda module, given, output: (2 * given[0],))
    return network


def frozen() -> nn.Module:
    network = plain(nn.ReLU())
    network[0].requires_grad_(False)
    return network


def second() -> nn.Module:
    return nn.Conv2d(WIDTH, WIDTH, 3, padding=1)


ACTIVATIONS = [
    *(nn.ReLU, nn.LeakyReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Tanh, nn.Sigmoid, nn.Hardswish, nn.ReLU6, nn.PReLU, nn.Tanhshrink, nn.Softsign),
]
NORMS = {
    "no_norm": nn.Identity, "group": lambda: nn.GroupNorm(2, WIDTH),
    "layer": lambda: nn.LayerNorm([WIDTH, 8, 8]), "instance": lambda: nn.InstanceNorm2d(WIDTH),
    "batch_without_weight": lambda: nn.BatchNorm2d(WIDTH, affine=False),
    "batch_untracked": lambda: nn.BatchNorm2d(WIDTH, track_running_stats=False),
    "batch_cumulative": lambda: nn.BatchNorm2d(WIDTH, momentum=None),
    "local_response": lambda: nn.LocalResponseNorm(3),
}  # fmt: skip
POOLINGS = {
    "max": lambda: nn.MaxPool2d(2), "max_overlapping": lambda: nn.MaxPool2d(3, 1, 1),
    "average": lambda: nn.AvgPool2d(2), "adaptive": lambda: nn.AdaptiveAvgPool2d(3),
    "adaptive_max": lambda: nn.AdaptiveMaxPool2d(3), "power": lambda: nn.LPPool2d(2, 2),
    "upsampling": lambda: nn.Upsample(scale_factor=2), "shuffle": lambda: nn.PixelUnshuffle(2),
}  # fmt: skip
DROPOUTS = {
    "dropout": lambda: nn.Dropout(0.3), "dropout2d": lambda: nn.Dropout2d(0.3),
    "alpha": lambda: nn.AlphaDropout(0.3), "rrelu": lambda: nn.RReLU(),
    "feature_alpha": lambda: nn.FeatureAlphaDropout(0.3), "blocks": lambda: DropBlock2d(0.3, 3),
    "depth": lambda: StochasticDepth(0.3, "row"),
}  # fmt: skip
CONVOLUTIONS = {
    "grouped": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=2),
    "depthwise": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, groups=WIDTH, bias=False),
    "dilated": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=2, dilation=2),
    "reflecting": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect"),
    "transposed": lambda: nn.ConvTranspose2d(WIDTH, WIDTH, 3, padding=1),
    "weight_norm": lambda: parametrizations.weight_norm(second()),
    "spectral_norm": lambda: parametrizations.spectral_norm(second()),
    "squeeze": lambda: SqueezeExcitation(WIDTH, 2),
}  # fmt: skip
ODD: dict[str, Callable[[], nn.Module]] = {
    "no_grad": lambda: Around(quiet_statistics),
    "reversed_gradient": lambda: Around(lambda self, h, x: Reversed.apply(h.relu())),
    "straight_through": lambda: Around(lambda self, h, x: StraightThrough.apply(h)),
    "detached": lambda: Around(lambda self, h, x: h.relu() + h.detach().tanh()),
    "python_depth": lambda: Around(python_depth, second=second()),
    "numpy_depth": lambda: Around(numpy_depth, second=second()),
    "torch_depth": lambda: Around(
        lambda self, h, x: h + stochastic_depth(self.second(h), 0.5, "batch"), second=second()
    ),
    "functional_dropout": lambda: Around(lambda self, h, x: F.dropout(h.relu(), 0.3)),
    "torch_dropout": lambda: Around(lambda self, h, x: torch.dropout(h.relu(), 0.3, True)),
    "random_noise": lambda: Around(lambda self, h, x: (h + 0.1 * torch.randn_like(h)).relu()),
    "changing": lambda: Around(changing),
    "added_in_place": lambda: Around(added_in_place, second=second()),
    "in_place_on_an_alias": lambda: Around(in_place_on_an_alias, second=second()),
    "in_place_module_on_an_alias": lambda: plain(nn.Flatten(), nn.ReLU(inplace=True)),
    "in_place_in_a_row": lambda: plain(nn.ReLU(inplace=True), nn.SiLU(), nn.ELU(inplace=True)),
    "offset": Offset,
    "tied": Tied,
    "shared_layer": lambda: Around(
        lambda self, h, x: self.second(self.second(h).relu()).relu(), second=second()
    ),
    "unused_parameter": lambda: Around(lambda self, h, x: h.relu(), second=second()),
    "frozen": frozen,
    "forward_hook": lambda: hooked("forward"),
    "backward_hook": lambda: hooked("backward"),
    "counted": Counted,
    "running_mean": Running,
    "residual": lambda: Around(lambda self, h, x: F.relu(h + self.second(h)), second=second()),
    "scaled_addition": lambda: Around(
        lambda self, h, x: F.relu(torch.add(h, self.second(h), alpha=2)), second=second()
    ),
    "plus_itself": lambda: Around(lambda self, h, x: F.relu(h + h) + 1),
    "dense": lambda: Around(
        dense,
        layers=nn.ModuleList(nn.Conv2d(WIDTH + 3 * i, 3, 3, padding=1) for i in range(2)),
    ),
    "control_flow": lambda: Around(lambda self, h, x: h.relu() if x.sum() > 1e9 else h.tanh()),
    "split": lambda: Around(lambda self, h, x: torch.mul(*h.chunk(2, 1))),
    "gated": lambda: Around(lambda self, h, x: F.glu(h, 1)),
    "einsum": lambda: Around(lambda self, h, x: torch.einsum("bchw,bdhw->bcd", h, h)),
    "checkpointed": lambda: Around(
        lambda self, h, x: checkpoint(self.second, h, use_reentrant=False).relu(), second=second()
    ),
    "functional_norm": lambda: Around(
        lambda self, h, x: F.batch_norm(h, None, None, training=True).relu()
    ),
    "input_again": lambda: Around(lambda self, h, x: torch.cat([h.relu(), x], 1)),
    "lstm": lambda: Recurrent(nn.LSTM),
    "gru": lambda: Recurrent(nn.GRU),
    "transformer": lambda: Attention(0.0),
    "transformer_dropout": lambda: Attention(0.2),
    "scripted": lambda: nn.Sequential(torch.jit.script(plain(nn.ReLU())[0]), plain_tail()),
    "batchnorm_in_eval": lambda: evaluating(),
}


def plain_tail() -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES))


def evaluating() -> nn.Module:
    """A BatchNorm that stays in eval mode, as in fine-tuning."""
    network = plain(nn.ReLU())
    network[1].train = lambda mode=True: network[1]
    network[1].training = False
    return network


FAMILIES = {
    32: (
        *("resnet18", "resnet34", "resnext50_32x4d", "vgg11", "vgg11_bn", "mobilenet_v2"),
        *("mobilenet_v3_small", "mobilenet_v3_large", "shufflenet_v2_x0_5", "shufflenet_v2_x1_0"),
        *("squeezenet1_0", "squeezenet1_1", "mnasnet0_5", "mnasnet1_0", "efficientnet_b0"),
        *("regnet_y_400mf", "regnet_x_400mf", "densenet121", "convnext_tiny", "swin_t"),
    ),
    64: ("alexnet", "swin_v2_t"),
}
"""Size of the images -> builders of torchvision."""


def of_torchvision(name: str, size: int) -> nn.Module:
    more = {}
    if name in ("googlenet", "inception_v3"):
        more = {"aux_logits": False, "init_weights": True}
    return torchvision.models.get_model(name, num_classes=CLASSES, **more)


ZOO: dict[str, tuple[Callable[[], nn.Module], int]] = {
    **{kind.__name__: (lambda kind=kind: plain(kind()), 8) for kind in ACTIVATIONS},
    **{
        name: (lambda part=part: plain(part(), nn.ReLU()), 8)
        for parts in (NORMS, POOLINGS, DROPOUTS, CONVOLUTIONS)
        for name, part in parts.items()
    },
    **{name: (build, 8) for name, build in ODD.items()},
    **{
        name: (lambda name=name, size=size: of_torchvision(name, size), size)
        for size, names in FAMILIES.items()
        for name in names
    },
}
"""Name -> builder and size of the images."""


ONCE = ("transformer", "mobilenet_v3_small", "mobilenet_v3_large")
"""Those with a part that torch cannot differentiate twice (fused attention, hard sigmoid)."""


def build(name: str) -> tuple[nn.Module, int]:
    """A network of the zoo in float64 and train mode, and the size of its images."""
    torch.manual_seed(2)
    builder, size = ZOO[name]
    network = builder()
    network(torch.zeros(2, 3, size, size))  # lazy layers
    return network.double().train(), size
