"""The registry of methods: one paper, one file of this folder.

Names and declarations are read without importing torch; only `load` imports a method's code.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

from methods.declaration import Declaration, read


@functools.cache
def _files() -> dict[str, tuple[Path, Declaration]]:
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        declared = read(path)
        if declared is not None:
            found[declared.name] = (path, declared)
    return found


def names() -> list[str]:
    """Names of the methods of this folder, sorted."""
    return sorted(_files())


def is_outside(name: str) -> bool:
    """Whether `name` is the dotted path of a class outside the suite (`package.module:Class`)."""
    return ":" in name


def declaration(name: str) -> Declaration:
    """The declaration of a method by name; an outside class is imported for it.

    Raises:
        KeyError: no method of that name in this folder.
        ImportError: the outside class cannot be imported or declares nothing.
    """
    return load(name).declaration if is_outside(name) else _files()[name][1]


def source(name: str) -> Path:
    """The file that implements a method; for an outside class the file it was imported from."""
    if is_outside(name):
        return Path(importlib.import_module(name.partition(":")[0]).__file__)
    return _files()[name][0]


def load(name: str) -> type:
    """The method class of that name, imported together with torch.

    Raises:
        ImportError: an outside class cannot be imported, or is not a registered `Method`.
    """
    if not is_outside(name):
        module = importlib.import_module(f"methods.{_files()[name][0].stem}")
        for value in vars(module).values():
            if getattr(value, "declaration", None) is module.DECLARATION:
                return value
        raise ImportError(f"{name}: no class of {module.__name__} has @register(DECLARATION)")
    module_name, _, class_name = name.partition(":")
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # whatever a stranger's module raises is one sentence to the user
        raise ImportError(f"{name}: {type(error).__name__}: {error}") from error
    if not isinstance(getattr(found, "declaration", None), Declaration):
        raise ImportError(f"{name} is not a method: decorate it with @register(DECLARATION)")
    return found
