"""Networks of torchvision with weights that were trained on ImageNet: `pretrained:NAME`.

Where the file of weights lies: `networks/weights.py`. Any of torchvision's classifiers whose last
layer is linear.
"""

from __future__ import annotations

import hashlib
import io

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from datasets.base import DataError
from networks.base import Network
from networks.weights import weights_file


class ThreeChannels(nn.Module):
    """Grey images (B, 1, H, W) as (B, 3, H, W)."""

    def forward(self, images: Tensor) -> Tensor:
        return images.expand(-1, 3, -1, -1)


def pretrained(name: str, channels: int, classes: int) -> nn.Module:
    """A network of torchvision with its weights and a new last layer.

    Grey images are given to it three times. Features are the inputs of the last linear layer.

    Raises:
        DataError: the weights are not there, damaged, or those of another network.
    """
    path = weights_file(name)
    model_name, _, digest = path.stem.rpartition("-")
    content = path.read_bytes()
    if not hashlib.sha256(content).hexdigest().startswith(digest):
        raise DataError(f"{path} is damaged: its SHA-256 does not begin with {digest}")
    try:
        model = get_model(model_name, weights=None)
        model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{path}: {' '.join(str(error).split())[:200]}") from error
    return with_own_head(model, channels, classes)


def with_own_head(model: nn.Module, channels: int, classes: int) -> Network:
    """A classifier of RGB images with a new linear layer in place of its last one."""
    last, layer = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)][-1]
    parent = model.get_submodule(last.rpartition(".")[0])
    setattr(parent, last.rpartition(".")[2], nn.Identity())
    body = nn.Sequential(ThreeChannels(), model) if channels == 1 else model
    return Network(body, layer.in_features, classes)
