"""ResNets for small images (He et al., CVPR 2016, arXiv 1512.03385).

`resnet18` and `resnet34` have a CIFAR stem (one 3x3 convolution, stride 1, no max-pool), for images
from 64 pixels on that of the paper (7x7, stride 2, max-pool);
`resnet32` is the 16-32-64 network of section 4.2, with a 1x1 convolution in the shortcut where
the width changes (the paper's option B; its CIFAR networks used the parameter-free option A).
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from networks.base import Network, kaiming_convolutions, register


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with BN and a shortcut."""

    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            convolution = nn.Conv2d(width_in, width, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


LARGE = 64
"""Side of images, in pixels, from which on the stem makes them smaller."""


def _resnet(
    channels: int, classes: int, widths: list[int], depths: list[int], large: bool = False
) -> Network:
    width = widths[0]
    kernel, stride = (7, 2) if large else (3, 1)
    layers: list[nn.Module] = [
        nn.Conv2d(channels, width, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    ]
    layers += [nn.MaxPool2d(3, 2, padding=1)] * large
    for stage, (next_width, depth) in enumerate(zip(widths, depths, strict=True)):
        for block in range(depth):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(BasicBlock(width, next_width, stride))
            width = next_width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    network = Network(nn.Sequential(*layers), width, classes)
    kaiming_convolutions(network)
    return network


@register
def resnet18(channels: int, size: int, classes: int) -> Network:
    """ResNet-18; features are the 512 pooled activations."""
    return _resnet(channels, classes, [64, 128, 256, 512], [2, 2, 2, 2], size >= LARGE)


@register
def resnet34(channels: int, size: int, classes: int) -> Network:
    """ResNet-34; features are the 512 pooled activations."""
    return _resnet(channels, classes, [64, 128, 256, 512], [3, 4, 6, 3], size >= LARGE)


@register
def resnet32(channels: int, size: int, classes: int) -> Network:
    """The 32-layer CIFAR ResNet; features are the 64 pooled activations."""
    return _resnet(channels, classes, [16, 32, 64], [5, 5, 5])
