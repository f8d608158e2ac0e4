"""The names of what a cell is computed on: other hardware may round otherwise."""

from __future__ import annotations

import torch

from runners.results import provenance


def device_name(device: torch.device) -> str:
    """The model of a GPU, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def processor_name() -> str:
    """The model of this machine's processor and the instructions that torch uses of it."""
    return f"{provenance.processor()} ({torch.backends.cpu.get_cpu_capability()})"
