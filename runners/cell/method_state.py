"""All that makes a method resume to the same bits, as plain values and tensors.

Networks, buffers, optimisers, random generators, and whatever else a method keeps as an attribute:
numbers, text, tensors, arrays, and lists, tuples, dicts and sets of them. What the constructor sets
and nothing changes (the task, the hyper-parameters, functions) is made again by it. Whatever would
not come back as it was is refused at the first checkpoint.
"""

from __future__ import annotations

import collections
import enum
import json
import types
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from methods.base import Method

CONSTRUCTED = {"task", "hparams", "declaration"}
MODULE_PARTS = set(vars(nn.Module()))
PLAIN = (bool, int, float, str, type(None))
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "size": torch.Size}
MAPPINGS = {"dict": dict, "ordered_dict": collections.OrderedDict}
UNCHANGING = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    type,
    enum.Enum,
    torch.dtype,
    torch.device,
)
"""What cannot change, so that the constructor makes the same again."""


class UnrestorableState(Exception):
    """A method keeps something that a checkpoint cannot restore exactly; it is named."""


def attributes(method: Method) -> dict[str, Any]:
    """What a method keeps beside modules, parameters and buffers, by name."""
    left_out = MODULE_PARTS | CONSTRUCTED
    return {name: value for name, value in vars(method).items() if name not in left_out}


def snapshot(method: Method) -> dict[str, Any]:
    """`attributes` of a freshly constructed method; later changes of its lists do not show."""
    return {name: _copied(value) for name, value in attributes(method).items()}


def _copied(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return {k: _copied(v) for k, v in value.items()} if isinstance(value, dict) else value


def capture(method: Method, constructed: Mapping[str, Any]) -> dict[str, Any]:
    """The method's state, readable by `torch.load(weights_only=True)` once it is saved.

    Args:
        constructed: `snapshot` of the method as its constructor left it.

    Raises:
        UnrestorableState: an attribute would not come back as it is.
    """
    kept = method.state_dict()
    unsaved = {name: b for name, b in method.named_buffers() if name not in kept}
    packer = _Packer(type(method).__name__, [*kept.values(), *unsaved.values()])
    packed = {}
    for name, value in attributes(method).items():
        if isinstance(value, UNCHANGING) and constructed.get(name) is value:
            continue
        packed[name] = packer.pack(name, value, constructed.get(name))
    return {"modules": kept, "unsaved_buffers": unsaved, "attributes": packed}


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
    present = attributes(method)
    for name, packed in state["attributes"].items():
        setattr(method, name, _unpacked(packed, present.get(name), device))


class _Packer:
    """Turns values into (kind, plain content), and refuses what that would change.

    Args:
        owner: class of the method, for messages.
        tensors: those that are kept elsewhere already.
    """

    def __init__(self, owner: str, tensors: list[Any]) -> None:
        self.owner = owner
        self.seen = {_storage(tensor) for tensor in tensors if isinstance(tensor, Tensor)}
        self.containers: set[int] = set()

    def refuse(self, name: str, why: str) -> UnrestorableState:
        return UnrestorableState(
            f"{self.owner}.{name} {why}, which a checkpoint cannot restore exactly: keep numbers, "
            "text, tensors, arrays, and lists, tuples, dicts or sets of them, or an object with "
            "state_dict and load_state_dict that the constructor makes"
        )

    def pack(self, name: str, value: Any, constructed: Any) -> tuple[str, Any]:
        kind = type(value)
        if kind in PLAIN:
            return "plain", value
        if kind is Tensor:
            return self._tensor(name, value)
        if kind is np.ndarray:
            return "array", self._array(name, value)
        if isinstance(value, np.generic):
            return "numpy_scalar", self._array(name, np.asarray(value)[None])
        if isinstance(value, np.random.Generator | torch.Generator) or _is_stateful(value):
            return self._stateful(name, value, constructed)
        if kind in SEQUENCES.values() or kind in MAPPINGS.values():
            return self._container(name, value, constructed)
        raise self.refuse(name, f"holds {_article(kind.__name__)}")

    def _tensor(self, name: str, value: Tensor) -> tuple[str, Any]:
        if value.numel() and _storage(value) in self.seen:
            raise self.refuse(name, "shares its memory with another tensor of the method")
        if value.requires_grad:
            raise self.refuse(name, "holds a tensor with a gradient that is no parameter")
        self.seen.add(_storage(value))
        return "tensor" if value.device.type == "cpu" else "device_tensor", value.detach()

    def _array(self, name: str, value: np.ndarray) -> Tensor:
        try:
            return torch.from_numpy(np.ascontiguousarray(value))
        except TypeError as error:
            raise self.refuse(name, f"holds NumPy values of type {value.dtype}") from error

    def _stateful(self, name: str, value: Any, constructed: Any) -> tuple[str, Any]:
        if type(constructed) is not type(value):
            raise self.refuse(name, f"holds {_article(type(value).__name__)} made after __init__")
        if isinstance(value, np.random.Generator):
            return "numpy_generator", json.dumps(_listed(value.bit_generator.state))
        if isinstance(value, torch.Generator):
            return "torch_generator", value.get_state()
        return "stateful", value.state_dict()

    def _container(self, name: str, value: Any, constructed: Any) -> tuple[str, Any]:
        if id(value) in self.containers:
            raise self.refuse(name, "is the same object as another attribute")
        self.containers.add(id(value))
        if isinstance(value, dict):
            kind = next(k for k, t in MAPPINGS.items() if type(value) is t)
            if not all(type(key) in PLAIN for key in value):
                raise self.refuse(name, "has keys that are neither numbers nor text")
            beside = constructed if isinstance(constructed, dict) else {}
            packed = {k: self.pack(f"{name}[{k!r}]", v, beside.get(k)) for k, v in value.items()}
            return kind, packed
        kind = next(k for k, t in SEQUENCES.items() if type(value) is t)
        beside = dict(enumerate(constructed)) if isinstance(constructed, list | tuple) else {}
        items = enumerate(value)
        return kind, [self.pack(f"{name}[{i}]", item, beside.get(i)) for i, item in items]


def _is_stateful(value: Any) -> bool:
    both = hasattr(value, "state_dict") and hasattr(value, "load_state_dict")
    return both and not isinstance(value, type)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _article(kind: str) -> str:
    return f"{'an' if kind[:1].lower() in 'aeio' else 'a'} {kind}"


def _unpacked(packed: tuple[str, Any], present: Any, device: torch.device) -> Any:
    """The value again; what has a state of its own (`present`) is changed in place."""
    kind, content = packed
    match kind:
        case "device_tensor":
            return content.to(device)
        case "array":
            return content.numpy()
        case "numpy_scalar":
            return content.numpy()[0]
        case "numpy_generator":
            present.bit_generator.state = json.loads(content)
            return present
        case "torch_generator":
            present.set_state(content)
            return present
        case "stateful":
            present.load_state_dict(content)
            return present
        case "dict" | "ordered_dict":
            beside = present if isinstance(present, dict) else {}
            items = ((k, _unpacked(v, beside.get(k), device)) for k, v in content.items())
            return MAPPINGS[kind](items)
        case "list" | "tuple" | "set" | "frozenset" | "size":
            beside = dict(enumerate(present)) if isinstance(present, list | tuple) else {}
            items = [_unpacked(item, beside.get(i), device) for i, item in enumerate(content)]
            return SEQUENCES[kind](items)
    return content


def _listed(value: Any) -> Any:
    """A generator's state with arrays as lists, which is how it may be given back."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value
