"""One registry for all kinds of plug-ins: methods, data sets, noise models and networks.

An entry is a class or function decorated with `register` in a file of its kind's folder, or one
from outside, named `package.module:Class`. Names, files and summaries of a folder are read from the
syntax tree, so that planning imports no code that needs torch.
"""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

_Kind = TypeVar("_Kind", bound=Callable)


def register(entry: _Kind) -> _Kind:
    """Decorator that makes a class or function known: under its `name`, else under its own name."""
    return entry


@dataclass(frozen=True)
class Entry:
    """A decorated class or function of a folder: its file, its own name, what it is in a line."""

    file: Path
    attribute: str
    summary: str


class Registry:
    """The entries of one kind.

    Args:
        kind: what an entry is, for messages: "a method".
        folder: holds the files.
        package: dotted name of the folder.
        problem: an imported object -> why it is no such entry ("must be ..."), or None.
        one_a_file: whether a file's docstring says what its entry is.
    """

    def __init__(
        self,
        kind: str,
        folder: Path,
        package: str,
        problem: Callable[[Any], str | None],
        one_a_file: bool = False,
    ) -> None:
        self.kind, self.folder, self.package, self.problem = kind, folder, package, problem
        self.one_a_file = one_a_file

    @functools.cached_property
    def entries(self) -> dict[str, Entry]:
        """Name -> entry, for the files of the folder.

        Raises:
            ValueError: two entries have the same name.
        """
        entries: dict[str, Entry] = {}
        for path in sorted(self.folder.glob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
            for node in tree.body:
                if any(map(_is_register, getattr(node, "decorator_list", []))):
                    name = _name(node, tree)
                    if name in entries:
                        raise ValueError(f"{self.kind} called {name} is there twice")
                    text = ast.get_docstring(tree if self.one_a_file else node) or ""
                    entries[name] = Entry(path, node.name, text.partition("\n\n")[0])
        return entries

    def names(self) -> list[str]:
        """Names of the folder's entries, sorted."""
        return sorted(self.entries)

    def has(self, name: str) -> bool:
        """Whether an entry has that name; those from outside are not looked at."""
        return name in self.entries

    def load(self, name: str) -> Any:
        """The class or function of that name, imported.

        Raises:
            KeyError: no entry of that name.
            ImportError: one from outside cannot be imported or is something else; one sentence.
        """
        if is_outside(name):
            return self._outside(name)
        entry = self.entries[name]
        module = importlib.import_module(f"{self.package}.{entry.file.stem}")
        return getattr(module, entry.attribute)

    def source(self, name: str) -> Path:
        """The file of an entry; for one from outside the folder of its whole package, if any."""
        if not is_outside(name):
            return self.entries[name].file
        module = importlib.import_module(name.partition(":")[0])
        package = importlib.util.find_spec(module.__name__.partition(".")[0])
        folders = list(package.submodule_search_locations or ())
        return Path(folders[0] if folders else module.__file__)

    def summary(self, name: str) -> str:
        """What an entry is, on one line."""
        if is_outside(name):
            text = (self.load(name).__doc__ or "").partition("\n\n")[0]
        else:
            text = self.entries[name].summary
        return " ".join(text.split())

    def _outside(self, name: str) -> Any:
        module, _, attribute = name.partition(":")
        try:
            entry = getattr(importlib.import_module(module), attribute)
        except SystemExit as error:
            raise ImportError(f"{name}: importing it ends Python (exit {error.code})") from error
        except Exception as error:  # whatever a stranger's module raises is one sentence
            package = str(getattr(error, "name", None)).partition(".")[0]
            if package in ("datasets", "methods", "networks"):
                raise ImportError(f"{name}: {shadowed(package, str(error))}") from error
            raise ImportError(f"{name}: {type(error).__name__}: {error}") from error
        if wrong := self.problem(entry):
            raise ImportError(f"{name} is not {self.kind}: {wrong}")
        return entry


def is_outside(name: str) -> bool:
    """Whether `name` is the dotted path of something outside the suite (`package.module:Class`)."""
    return ":" in name and not name.startswith("pretrained:")


def shadowed(package: str, reason: str) -> str:
    """The sentence for code that wants another package than the suite's of the same name."""
    return (
        f"another package called {package} cannot be used here ({reason}): the suite has a package "
        "of that name; read the data with another library"
    )


def _is_register(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Name) and called.id == "register"


def _name(node: ast.ClassDef | ast.FunctionDef, tree: ast.Module) -> str:
    """The name of an entry: its attribute `name`, that of the file's DECLARATION, or its own."""
    for statement in node.body if isinstance(node, ast.ClassDef) else ():
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        value = getattr(statement, "value", None)
        if any(isinstance(t, ast.Name) and t.id == "name" for t in targets) and isinstance(
            value, ast.Constant
        ):
            return value.value
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if any(isinstance(t, ast.Name) and t.id == "DECLARATION" for t in targets):
            return statement.value.args[0].value
    return node.name
