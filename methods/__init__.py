"""The methods: one paper, one file of this folder.

Names and declarations are read without importing torch; only `load` imports a method's code.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from datasets.registry import Registry, is_outside
from methods.declaration import Declaration, read


def _problem(entry: Any) -> str | None:
    declared = isinstance(getattr(entry, "declaration", None), Declaration)
    return None if declared else "decorate it with @register(DECLARATION)"


REGISTRY = Registry("a method", Path(__file__).parent, "methods", _problem, one_a_file=True)
names, source = REGISTRY.names, REGISTRY.source


@functools.cache
def _declared(path: Path) -> Declaration:
    return read(path)


def declaration(name: str) -> Declaration:
    """The declaration of a method by name; an outside class is imported for it.

    Raises:
        KeyError: no method of that name in this folder.
        ImportError: the outside class cannot be imported or declares nothing.
    """
    return load(name).declaration if is_outside(name) else _declared(source(name))


def load(name: str) -> type:
    """The method class of that name, imported together with torch.

    Raises:
        KeyError: no method of that name in this folder.
        ImportError: an outside class cannot be imported, or is not a registered `Method`.
    """
    return REGISTRY.load(name)
