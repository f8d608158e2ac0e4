"""What every network of the suite offers: logits, and the features that they are linear in."""

from __future__ import annotations

from torch import Tensor, nn

from datasets.registry import register as register


class Network(nn.Module):
    """A feature extractor (`body`) and one linear layer (`head`).

    Attributes:
        feature_width: d, the width of the penultimate features.
    """

    def __init__(self, body: nn.Module, feature_width: int, classes: int) -> None:
        super().__init__()
        self.feature_width = feature_width
        self.body = body
        self.head = nn.Linear(feature_width, classes)

    def features(self, images: Tensor) -> Tensor:
        """Penultimate activations (B, d) of images (B, C, H, W)."""
        return self.body(images)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, classes)."""
        return self.head(self.body(images))


def kaiming_convolutions(module: nn.Module) -> None:
    """He initialisation, fan-out, of every convolution; the other layers keep PyTorch's."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
