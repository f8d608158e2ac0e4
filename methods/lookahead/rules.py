"""Tangents of layers: how an output moves with the input and with the layer's parameters.

The layers of convolutional networks that cost something have a rule of their own; element-wise ones
and poolings are differentiated by `torch.autograd.forward_ad`.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.autograd.forward_ad as forward_mode
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

AFFINE = (nn.Conv2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
LINEAR_MAPS = (nn.Identity, nn.Flatten, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
OTHERS = (nn.MaxPool2d, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid)


def has_rule(layer: nn.Module) -> bool:
    """Whether a layer has a tangent here; what is derived from these classes has none."""
    if type(layer) in NORMS:
        return layer.affine
    in_place = getattr(layer, "inplace", False) and type(layer) is not nn.ReLU
    return type(layer) in (*AFFINE, nn.ReLU, *LINEAR_MAPS, *OTHERS) and not in_place


def tangent_of_layer(
    layer: nn.Module,
    x: Tensor,
    output: Tensor,
    backward: Any,
    moved: Tensor | None,
    own: dict[str, Tensor],
) -> Tensor | None:
    """Tangent of a layer's output.

    Args:
        x, output: of the layer in the forward pass; `backward` is that of the output then.
        moved: tangent of x; None where x does not depend on any parameter.
        own: tangents of the layer's parameters by name.
    """
    if moved is None and not own:
        return None
    kind = type(layer)
    if kind in AFFINE:
        return _affine(layer, x.detach(), moved, own)
    if kind in NORMS and layer.training:
        return _batchnorm(layer, x.detach(), moved, own, *_statistics(layer, x.detach(), backward))
    if kind in LINEAR_MAPS:
        return layer(moved)
    if kind is nn.ReLU:  # by its output: the input may be overwritten, the sign is the same
        return torch.ops.aten.threshold_backward(moved, output.detach(), 0)
    with forward_mode.dual_level():
        parts = {
            name: forward_mode.make_dual(layer.get_parameter(name).detach(), part)
            for name, part in own.items()
        }
        x = x.detach() if moved is None else forward_mode.make_dual(x.detach(), moved)
        return forward_mode.unpack_dual(functional_call(layer, parts, (x,))).tangent


def _affine(
    layer: nn.Conv2d | nn.Linear, x: Tensor, moved: Tensor | None, own: dict[str, Tensor]
) -> Tensor:
    """Product rule: the layer's weights on the moved input, and the moved weights on the input."""
    apply = layer._conv_forward if isinstance(layer, nn.Conv2d) else F.linear
    weight = own["weight"]
    if weight.stride() != layer.weight.stride():  # keeps the layer's memory format
        weight = torch.empty_like(layer.weight).copy_(weight)
    result = apply(x, weight, own.get("bias"))
    return result if moved is None else result.add_(apply(moved, layer.weight, None))


def _statistics(layer: _BatchNorm, x: Tensor, saved: Any) -> tuple[Tensor, Tensor]:
    """Batch mean and 1 / deviation (C,): those that the layer saved for its backward pass."""
    if hasattr(saved, "_saved_result1") and hasattr(saved, "_saved_result2"):
        return saved._saved_result1, saved._saved_result2
    axes = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x, axes, correction=0)
    return mean, (variance + layer.eps).rsqrt()


def _batchnorm(
    layer: _BatchNorm,
    x: Tensor,
    moved: Tensor | None,
    own: dict[str, Tensor],
    mean: Tensor,
    s: Tensor,
) -> Tensor:
    """y = weight * n + bias with n = s * (x - mean), whose tangent is affine in (moved, x).

    It is weight * s * (moved - E[moved] - n * E[n * moved]) + own_weight * n + own_bias.
    """
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    slope, constant = own["weight"] * s, own["bias"]
    if moved is None:
        return (x * slope.view(shape)).add_((constant - slope * mean).view(shape))
    gain = layer.weight * s
    expected = moved.mean(axes)
    correlation = s * ((x * moved).mean(axes) - mean * expected)
    slope = slope - gain * correlation * s
    constant = constant - gain * expected - slope * mean
    result = (moved * gain.view(shape)).addcmul_(x, slope.view(shape))
    return result.add_(constant.view(shape))
