"""The tangent of the logits by one forward-mode pass over the values of a forward pass made before.

The network is traced once (torch.fx); its own forward pass is recorded by hooks on its layers, and
the tangent follows the graph by the rules below, which cover convolutional networks. Whatever else
a network does (other layers or functions, control flow, random numbers) has no tangent here, and
what a trace cannot see (custom gradients, hooks, attributes that change) shows in the comparison
with plain autograd on real batches, before the first use and whenever the network has changed.
"""

from __future__ import annotations

import contextlib
import copy
import operator
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.node import map_arg

from methods.lookahead import autograd
from methods.lookahead.random_state import RandomState
from methods.lookahead.rules import has_rule, tangent_of_layer

ADDITIONS, RELUS, FLATTENINGS = (operator.add, torch.add), (F.relu, torch.relu), (torch.flatten,)

OF_EVERY_MODULE = frozenset(vars(nn.Module()))
CHECKS, COMPARED = 2, 8
"""Batches, and images of each, on which the tangent is compared with plain autograd."""
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-3}
"""Relative difference, of norms, that rounding may make; of other types the tangent is not used."""
TF32_TOLERANCE = 3e-2


class Untraceable(Exception):
    """The network does something that has no rule here."""


@dataclass
class Trace:
    """A network as a graph, and how often its tangent was right.

    Attributes:
        layers: names of the layers in the order in which they are called.
        frees: node -> the nodes whose tangents nobody reads after it.
        signature: what must not have changed since the last comparison.
        checks: comparisons that are left; None where one has failed.
    """

    graph: fx.Graph
    layers: list[str]
    frees: dict[fx.Node, list[fx.Node]]
    signature: list = field(default_factory=list)
    checks: int | None = CHECKS


_TRACES: WeakKeyDictionary[nn.Module, Trace | None] = WeakKeyDictionary()


def trace(network: nn.Module) -> Trace | None:
    """The network's graph, traced once; None (and one warning) where it has no rules."""
    if network not in _TRACES:
        before = RandomState(torch.device("cpu"))
        try:
            # Of a copy: tracing runs the code, with all that it changes.
            _TRACES[network] = _traced(copy.deepcopy(network))
        except Exception as error:  # fx raises errors of many kinds on Python control flow
            text = f"{type(network).__name__}: a look-ahead takes about twice the time: {error}"
            warnings.warn(text, stacklevel=2)
            _TRACES[network] = None
        before.restore()
    return _TRACES[network]


def _traced(network: nn.Module) -> Trace:
    parameters = [p for _, p in network.named_parameters(remove_duplicate=False)]
    if len(parameters) != len(set(parameters)):
        raise Untraceable("layers share parameters")
    graph = fx.symbolic_trace(network).graph
    frees: dict[fx.Node, list[fx.Node]] = {}
    seen: set[fx.Node] = set()
    for node in reversed(graph.nodes):
        layer = network.get_submodule(node.target) if node.op == "call_module" else None
        if not _has_rule(node, layer):
            raise Untraceable(f"{node.name} has no rule")
        if getattr(layer, "inplace", False) and len(node.all_input_nodes[0].users) > 1:
            raise Untraceable(f"{node.name} overwrites its input")
        frees[node] = [used for used in node.all_input_nodes if used not in seen]
        seen.update(node.all_input_nodes)
    return Trace(graph, [n.target for n in graph.nodes if n.op == "call_module"], frees)


def _has_rule(node: fx.Node, layer: nn.Module | None) -> bool:
    if node.op == "call_function":
        if node.target in ADDITIONS:
            return not node.kwargs  # `alpha`
        return node.target in (*RELUS, *FLATTENINGS) and not node.kwargs.get("inplace", False)
    if node.op == "call_module":
        return has_rule(layer)
    return node.op in ("placeholder", "output")


def _signature(network: nn.Module) -> list:
    """All that may change what a network computes, its parameters and buffers apart."""
    signature: list[Any] = []
    for module in network.modules():
        hooks = len(module._forward_hooks) + len(module._forward_pre_hooks)
        signature += [type(module).forward, hooks, module.training]
        for name, value in vars(module).items():
            if name not in OF_EVERY_MODULE:
                signature.append(_noted(value))
    return signature


def _noted(value: Any) -> Any:
    """What is remembered of an attribute: not tensors, which a forward pass may keep anew."""
    if isinstance(value, bool | int | float | str | None):
        return value
    if isinstance(value, list | tuple | set | dict):
        return [id(item) for item in (value.values() if isinstance(value, dict) else value)]
    return id(value) if callable(value) else None


@contextlib.contextmanager
def recorded(network: nn.Module, images: Tensor) -> Iterator[Recording | None]:
    """Inside, a forward pass on `images` (B, C, H, W) is recorded, if the network has rules."""
    found = trace(network)
    if found is None or images.dtype not in TOLERANCE:
        yield None
        return
    signature = _signature(network)
    if signature != found.signature:
        found.signature, found.checks = signature, CHECKS
    if found.checks is None:
        yield None
        return
    recording = Recording(network, found, images)
    with recording.listening():
        yield recording


@dataclass
class Recording:
    """What the layers of a network were given and gave in one forward pass."""

    network: nn.Module
    trace: Trace
    images: Tensor
    called: list[str] = field(default_factory=list)
    passed: list[tuple[Any, Any, Any]] = field(default_factory=list)

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Inside, what the layers are given and give is kept."""
        names = dict.fromkeys(self.trace.layers)
        layers = {name: self.network.get_submodule(name) for name in names}
        handles = [layer.register_forward_hook(self._note(n)) for n, layer in layers.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            self.called.append(name)
            # Its `backward` now: a layer that overwrites the output will put its own there.
            backward = getattr(output, "grad_fn", None)
            self.passed.append((given[0] if given else None, output, backward))

        return hook

    def tangent(self, direction: dict[str, Tensor]) -> Tensor | None:
        """Derivative (B, C) of the logits along `direction` (parameter name -> tensor).

        None where it cannot be had, or is not to be trusted.
        """
        if self.trace.checks:
            right = self._is_right(direction)
            self.trace.checks = self.trace.checks - 1 if right else None
        return None if self.trace.checks is None else self._along(direction)

    def _is_right(self, direction: dict[str, Tensor]) -> bool:
        """Compares with plain autograd on a few of the images, by a copy that may be moved."""
        images = self.images[:COMPARED]
        before = RandomState(images.device)
        try:
            copied = copy.deepcopy(self.network)
        except (RuntimeError, TypeError):  # it keeps what cannot be copied
            return False
        twin = Recording(copied, self.trace, images)
        with twin.listening():
            logits = copied(images)
        drew = before.has_moved()
        before.restore()
        along = None if drew else twin._along(direction)
        if along is None:
            return False
        theta = dict(copied.named_parameters())
        expected = autograd.tangent(logits, {n: theta[n] for n in direction}, direction)
        return _is_close(along, expected)

    @torch.no_grad()
    def _along(self, direction: dict[str, Tensor]) -> Tensor | None:
        """The tangent by the rules; None where the pass was another one than was traced."""
        tensors = all(isinstance(t, Tensor) for x, y, _ in self.passed for t in (x, y))
        if self.called != self.trace.layers or not tensors:
            return None
        nodes = self.trace.graph.nodes
        layers = (node for node in nodes if node.op == "call_module")
        self._of_node = dict(zip(layers, self.passed, strict=True))
        tangents: dict[fx.Node, Tensor | None] = {}
        for node in nodes:
            if node.op == "output":
                return tangents[node.args[0]]
            moved = [tangents[used] for used in node.all_input_nodes]
            if node.op == "call_module":
                layer = self.network.get_submodule(node.target)
                names = [name for name, _ in layer.named_parameters()]
                own = {name: direction.get(f"{node.target}.{name}") for name in names}
                if any(part is None for part in own.values()):
                    return None
                tangents[node] = tangent_of_layer(layer, *self._of_node[node], moved[0], own)
            elif node.op == "call_function":
                tangents[node] = self._of_function(node, moved)
            else:
                tangents[node] = None
            for used in self.trace.frees[node]:
                tangents[used] = None
        return None

    def _of_function(self, node: fx.Node, moved: list[Tensor | None]) -> Tensor | None:
        moving = [tangent for tangent in moved if tangent is not None]
        if not moving:
            return None
        if node.target in FLATTENINGS:
            return node.target(moving[0], *node.args[1:], **node.kwargs)
        if node.target in RELUS:
            return torch.ops.aten.threshold_backward(moving[0], self._value(node.args[0]), 0)
        if len(node.all_input_nodes) == 1:  # x + x, or x + 1
            same = sum(isinstance(part, fx.Node) for part in node.args)
            return same * moving[0]
        return moving[0] if len(moving) == 1 else moving[0] + moving[1]

    def _value(self, node: fx.Node) -> Any:
        """The value of a node; those of functions, all element-wise, are computed again."""
        if node.op == "placeholder":
            return self.images
        if node.op == "call_module":
            return self._of_node[node][1].detach()
        return node.target(*map_arg(node.args, self._value), **node.kwargs)


def _is_close(tangent: Tensor, expected: Tensor) -> bool:
    tf32 = torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32
    loose = tangent.is_cuda and tf32 and tangent.dtype == torch.float32
    tolerance = TF32_TOLERANCE if loose else TOLERANCE[tangent.dtype]
    return bool((tangent - expected).norm() <= tolerance * expected.norm())
