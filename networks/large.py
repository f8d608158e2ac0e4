"""Networks for photographs, from scratch, as libraries have them: torchvision's and timm's."""

from __future__ import annotations

from torchvision import models

from networks.base import Network, register
from networks.pretrained import with_own_head


@register
def resnet50(channels: int, size: int, classes: int) -> Network:
    """ResNet-50 (He et al., CVPR 2016) of torchvision; features are the 2,048 pooled activations.

    `pretrained:resnet50` is the same with weights trained on ImageNet.
    """
    return with_own_head(models.resnet50(weights=None), channels, classes)


@register
def inception_resnet_v2(channels: int, size: int, classes: int) -> Network:
    """Inception-ResNet-v2 (Szegedy et al., AAAI 2017) of timm, for images from 75 pixels on.

    Features are the 1,536 pooled activations. timm is not installed with the suite.
    """
    import timm

    return with_own_head(timm.create_model("inception_resnet_v2"), channels, classes)
