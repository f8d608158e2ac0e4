"""All that makes a method go on to the same bits: everything it holds, as plain values and tensors.

Networks, buffers, optimisers, random generators, and whatever else a method keeps as an attribute:
numbers, text, tensors, arrays, and lists and mappings of them. What is set once by the constructor
(the task, the hyper-parameters) is made again by it.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from methods.base import Method

CONSTRUCTED = {"task", "hparams", "declaration"}
MODULE_PARTS = set(vars(nn.Module()))
PLAIN = (bool, int, float, str, type(None))


def capture(method: Method) -> dict[str, Any]:
    """The method's state, readable by `torch.load(weights_only=True)` once it is saved."""
    kept = method.state_dict()
    unsaved = {name: b for name, b in method.named_buffers() if name not in kept}
    attributes = {}
    for name, value in _attributes(method).items():
        attributes[name] = _packed(value)
        if attributes[name] is None:
            _warn(type(method).__name__, name, type(value).__name__)
    return {"modules": kept, "unsaved_buffers": unsaved, "attributes": attributes}


def restore(method: Method, state: Mapping[str, Any]) -> None:
    """Puts a freshly constructed method into a captured state.

    Raises:
        AttributeError, LookupError, RuntimeError, TypeError, ValueError: they do not belong
            together; the method may have changed and must be made again.
    """
    method.load_state_dict(state["modules"])
    buffers = dict(method.named_buffers())
    for name, value in state["unsaved_buffers"].items():
        buffers[name].copy_(value)
    device = method.task.noisy_labels.device
    present = _attributes(method)
    for name, packed in state["attributes"].items():
        if packed is not None:
            setattr(method, name, _unpacked(packed, present.get(name), device))


def _attributes(method: Method) -> dict[str, Any]:
    left_out = MODULE_PARTS | CONSTRUCTED
    named = {name: value for name, value in vars(method).items() if name not in left_out}
    return {name: value for name, value in named.items() if not callable(value)}


@functools.cache
def _warn(method: str, attribute: str, kind: str) -> None:
    logging.getLogger("cell").warning(
        "%s.%s is not kept in checkpoints, which hold no %s: keep state in buffers",
        *(method, attribute, kind),
    )


def _packed(value: Any) -> tuple[str, Any] | None:
    """A value as (kind, plain content); None for what cannot be kept."""
    if isinstance(value, PLAIN):
        return "plain", value
    if isinstance(value, Tensor):
        return "tensor" if value.device.type == "cpu" else "device_tensor", value.detach()
    if isinstance(value, np.ndarray) and value.dtype != object:
        return "array", torch.from_numpy(np.ascontiguousarray(value))
    if isinstance(value, np.generic):
        return "plain", value.item()
    if isinstance(value, np.random.Generator):
        return "numpy_generator", json.dumps(_listed(value.bit_generator.state))
    if isinstance(value, torch.Generator):
        return "torch_generator", value.get_state()
    if hasattr(value, "state_dict") and hasattr(value, "load_state_dict"):
        return "stateful", value.state_dict()
    if isinstance(value, list | tuple):
        items = [_packed(item) for item in value]
        return None if None in items else (type(value).__name__, items)
    if isinstance(value, dict) and all(isinstance(key, PLAIN) for key in value):
        entries = {key: _packed(item) for key, item in value.items()}
        return None if None in entries.values() else ("dict", entries)
    return None


def _unpacked(packed: tuple[str, Any], present: Any, device: torch.device) -> Any:
    """The value again; what has a state of its own (`present`) is changed in place."""
    kind, content = packed
    match kind:
        case "device_tensor":
            return content.to(device)
        case "array":
            return content.numpy()
        case "numpy_generator":
            present.bit_generator.state = json.loads(content)
            return present
        case "torch_generator":
            present.set_state(content)
            return present
        case "stateful":
            present.load_state_dict(content)
            return present
        case "list" | "tuple":
            beside = dict(enumerate(present)) if isinstance(present, list | tuple) else {}
            items = [_unpacked(item, beside.get(i), device) for i, item in enumerate(content)]
            return tuple(items) if kind == "tuple" else items
        case "dict":
            beside = present if isinstance(present, dict) else {}
            return {k: _unpacked(v, beside.get(k), device) for k, v in content.items()}
    return content


def _listed(value: Any) -> Any:
    """A generator's state with arrays as lists, which is how it may be given back."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
