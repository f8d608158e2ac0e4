"""The tangent of logits by plain autograd: exact for whatever can be differentiated twice."""

from __future__ import annotations

import torch
from torch import Tensor


def tangent(logits: Tensor, theta: dict[str, Tensor], direction: dict[str, Tensor]) -> Tensor:
    """J g (B, C) with J = d logits / d theta, out of the graph of the logits, which is kept.

    < v, J g > is linear in v, so that any v gives its derivative.

    Args:
        logits: (B, C) with their graph.
        theta, direction: parameters and g, in the same order by the same names.

    Raises:
        RuntimeError: the graph cannot be differentiated twice.
    """
    v = torch.zeros_like(logits, requires_grad=True)
    try:
        along = torch.autograd.grad(
            logits, tuple(theta.values()), v, create_graph=True, allow_unused=True
        )
        pairs = zip(along, direction.values(), strict=True)
        total = sum((a * g).sum() for a, g in pairs if a is not None)
        return torch.autograd.grad(total, v, retain_graph=True)[0]
    except RuntimeError as error:
        raise RuntimeError(
            f"a look-ahead needs a network that can be differentiated twice: {error}"
        ) from error
