"""Networks of all kinds, on which a look-ahead must be exact: (3, 8, 8) images and four classes.

Those of torchvision take (3, 32, 32) images, or what the family needs.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint
from torchvision.ops import DropBlock2d, SqueezeExcitation, StochasticDepth, stochastic_depth

from tests.helpers.odd_networks import (
    CLASSES,
    WIDTH,
    Around,
    Attention,
    Counted,
    Offset,
    Recurrent,
    Reversed,
    Running,
    StraightThrough,
    Tied,
    added_in_place,
    changing,
    dense,
    evaluating,
    frozen,
    hooked,
    in_place_on_an_alias,
    numpy_depth,
    plain,
    plain_tail,
    python_depth,
    quiet_statistics,
    second,
)

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
