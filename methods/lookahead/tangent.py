"""Forward-mode differentiation that reuses a forward pass already made.

Plain forward-mode AD runs the network once more for its values beside the tangents. Here the values
of the first pass are kept: the network is traced once (torch.fx) and the tangent follows the same
graph. The layers that cost something have their rule below; any other node is differentiated by
`torch.autograd.forward_ad` on its own, so every network that can be traced gets the exact tangent.
"""

from __future__ import annotations

import operator
import warnings
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.autograd.forward_ad as forward_mode
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.func import functional_call
from torch.fx.node import map_arg
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from methods.lookahead.randomness import random_state, replayed

LINEAR_MAPS = (nn.Identity, nn.Flatten, nn.AvgPool2d, nn.AdaptiveAvgPool2d)
ADDITIONS = (operator.add, torch.add)
IN_PLACE = (operator.iadd, operator.isub, operator.imul, operator.itruediv)
RELUS = (F.relu, torch.relu, torch.relu_, F.relu_, "relu", "relu_")
RANDOM = ("rrelu", "gumbel_softmax", "bernoulli", "rand", "randn", "rand_like", "randn_like")
DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout)


class Untraceable(Exception):
    """The tangent cannot follow this network node by node."""


@dataclass(frozen=True)
class Trace:
    """A network as a graph.

    Attributes:
        frees: node -> the nodes whose tangents nobody reads after it.
    """

    graph: fx.GraphModule
    frees: dict[fx.Node, list[fx.Node]]


_TRACES: WeakKeyDictionary[nn.Module, Trace | None] = WeakKeyDictionary()


def trace(network: nn.Module) -> Trace | None:
    """The network's graph, traced once; None (and one warning) where it cannot be followed."""
    if network not in _TRACES:
        try:
            _TRACES[network] = _traced(network)
        except Exception as error:  # fx raises errors of many kinds on Python control flow
            give_up(network, error)
    return _TRACES[network]


def give_up(network: nn.Module, error: Exception) -> None:
    """Marks a network as one that plain forward-mode AD must serve, and says so."""
    text = f"{type(network).__name__} cannot be traced, its look-aheads are slower: {error}"
    warnings.warn(text, stacklevel=2)
    _TRACES[network] = None


def _traced(network: nn.Module) -> Trace:
    parameters = [p for _, p in network.named_parameters(remove_duplicate=False)]
    if len(parameters) != len(set(parameters)):
        raise Untraceable("layers share parameters")
    if not all(p.requires_grad for p in parameters):
        raise Untraceable("some parameters are frozen")
    graph = fx.symbolic_trace(network)
    frees: dict[fx.Node, list[fx.Node]] = {}
    seen: set[fx.Node] = set()
    for node in reversed(graph.graph.nodes):
        module = graph.get_submodule(node.target) if node.op == "call_module" else None
        in_place = getattr(module, "inplace", False) or node.kwargs.get("inplace", False)
        in_place |= _name(node).endswith("_") or node.target in IN_PLACE
        alone = all(len(used.users) == 1 for used in node.all_input_nodes)
        if in_place and not (_is_relu(node, module) and alone):
            raise Untraceable(f"{node.name} overwrites its input")
        if isinstance(module, nn.RReLU) or _name(node) in RANDOM:
            raise Untraceable(f"{node.name} draws random numbers")
        frees[node] = [used for used in node.all_input_nodes if used not in seen]
        seen.update(node.all_input_nodes)
    return Trace(graph, frees)


def _name(node: fx.Node) -> str:
    """Name of the function or tensor method that a node calls, "" for other nodes."""
    if node.op == "call_function":
        return getattr(node.target, "__name__", "")
    return node.target if node.op == "call_method" else ""


def _is_relu(node: fx.Node, module: nn.Module | None) -> bool:
    return type(module) is nn.ReLU or (module is None and node.target in RELUS)


class KeptForward(fx.Interpreter):
    """A forward pass that keeps all values, and the random state in front of every dropout.

    The network must be in the mode (train) in which it was traced.
    """

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace.graph, garbage_collect_values=False)
        self.extra_traceback = False  # an error of the network is reported as it is
        self.frees = trace.frees
        self.random_states: dict[fx.Node, Tensor] = {}
        self.statistics: dict[fx.Node, tuple[Tensor, Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        module = self._module(n)
        if isinstance(module, _DropoutNd) or n.target in DROPOUTS:
            self.random_states[n] = random_state(self.env[n.all_input_nodes[0]].device)
        result = super().run_node(n)
        if _is_trained_batchnorm(module):
            self.statistics[n] = _statistics(module, self.env[n.args[0]], result)
        return result

    @torch.no_grad()
    def tangent(self, direction: dict[str, Tensor]) -> Tensor:
        """Derivative of the output along `direction` (parameter name -> tensor).

        Raises:
            Untraceable: a node returns several tensors.
        """
        tangents: dict[fx.Node, Tensor | None] = {}
        for node in self.module.graph.nodes:
            if node.op == "output":
                return tangents[node.args[0]]
            tangents[node] = self._of_node(node, tangents, direction)
            for used in self.frees[node]:
                tangents[used] = None
        raise Untraceable("the network returns nothing")

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self.submodules[node.target] if node.op == "call_module" else None

    def _of_node(
        self, node: fx.Node, tangents: dict[fx.Node, Tensor | None], direction: dict[str, Tensor]
    ) -> Tensor | None:
        if node.op == "get_attr":
            return direction.get(node.target)
        moving = [n for n in node.all_input_nodes if tangents[n] is not None]
        module = self._module(node)
        parameters = [] if module is None else [name for name, _ in module.named_parameters()]
        own = {n: direction[f"{node.target}.{n}"] for n in parameters}
        if not moving and not own:
            return None
        if type(module) in (nn.Conv2d, nn.Linear):
            return _affine(module, *self._input(node, tangents), own)
        if _is_trained_batchnorm(module):
            x, moved = self._input(node, tangents)
            return _batchnorm(module, x, moved, own, *self.statistics[node])
        if type(module) in LINEAR_MAPS:
            return module(tangents[moving[0]])
        if _is_relu(node, module):
            output = self.env[node].detach()  # the input may be overwritten; the sign is the same
            return torch.ops.aten.threshold_backward(tangents[moving[0]], output, 0)
        if node.target in ADDITIONS and not node.kwargs:
            addends = [tangents[n] for n in node.args if isinstance(n, fx.Node) and n in moving]
            return addends[0] if len(addends) == 1 else addends[0] + addends[1]
        return self._by_forward_mode(node, module, tangents, own)

    def _input(self, node: fx.Node, tangents: dict) -> tuple[Tensor, Tensor | None]:
        return self.env[node.args[0]].detach(), tangents[node.args[0]]

    def _by_forward_mode(
        self, node: fx.Node, module: nn.Module | None, tangents: dict, own: dict[str, Tensor]
    ) -> Tensor | None:
        def dual(used: fx.Node) -> Any:
            value = self.env[used]
            value = value.detach() if isinstance(value, Tensor) else value
            moved = tangents[used]
            return value if moved is None else forward_mode.make_dual(value, moved)

        moving = [tangents[n] for n in node.all_input_nodes if tangents[n] is not None]
        device = [*own.values(), *moving][0].device
        with replayed(self.random_states.get(node), device), forward_mode.dual_level():
            arguments, named = map_arg(node.args, dual), map_arg(node.kwargs, dual)
            if module is not None:
                parts = {
                    name: forward_mode.make_dual(module.get_parameter(name).detach(), moved)
                    for name, moved in own.items()
                }
                result = functional_call(module, parts, arguments, named)
            elif node.op == "call_function":
                result = node.target(*arguments, **named)
            else:
                result = getattr(arguments[0], node.target)(*arguments[1:], **named)
            if isinstance(result, list | tuple) and not isinstance(result, torch.Size):
                raise Untraceable(f"{node.name} returns several values")
            return forward_mode.unpack_dual(result).tangent if isinstance(result, Tensor) else None


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


def _is_trained_batchnorm(module: nn.Module | None) -> bool:
    """Whether the rule for BatchNorm holds: batch statistics, weight and bias."""
    affine = isinstance(module, _BatchNorm) and module.weight is not None
    return affine and module.bias is not None and module.training


def _statistics(layer: _BatchNorm, x: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    """Batch mean and 1 / deviation (C,): those that the layer saved for its backward pass."""
    saved = output.grad_fn
    if hasattr(saved, "_saved_result1") and hasattr(saved, "_saved_result2"):
        return saved._saved_result1, saved._saved_result2
    axes = [0, *range(2, x.dim())]
    variance, mean = torch.var_mean(x.detach(), axes, correction=0)
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
