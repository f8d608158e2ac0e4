"""Where a result comes from: code, packages, machine. Standard library only.

Also imported by `analysis`, which marks the cells whose code has changed since.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("torch", "torchvision", "numpy", "pandas", "scipy", "pydantic")
MOST_FILES = 20_000
"""In the folder of a package from outside."""
OWN_PACKAGES = {"datasets", "methods", "networks", "runners"}


@functools.cache
def git_state() -> tuple[str | None, bool | None]:
    """(commit, whether the tree differs from it); (None, None) where this is no checkout."""
    top = _git("rev-parse", "--show-toplevel")
    if top is None or Path(top).resolve() != ROOT:
        return None, None
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain")
    return commit, None if commit is None or changes is None else bool(changes)


def _git(*arguments: str) -> str | None:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        # GIT_DIR and the like would name another repository.
        own = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        done = subprocess.run(
            command, env=own, capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


@functools.cache
def package_versions() -> dict[str, str]:
    """Versions of the packages that can change a number."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def python_version() -> str:
    return platform.python_version()


@functools.cache
def processor() -> str:
    """The model of the processor; the machine's architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


def fingerprint(sources: Sequence[str]) -> str:
    """SHA-256 of the code that matters for a cell: its source files and all that they import.

    Comments, formatting and docstrings do not count. Of a package from outside everything counts,
    its data files too. Not seen are modules whose names are put together at run time, and data
    files that code of this repository reads.

    Args:
        sources: paths relative to the repository's root (absolute for what lies outside it): files,
            or folders of packages from outside.

    Raises:
        FileNotFoundError: one of the sources is gone.
        ValueError: one is no file of code, or a folder of more than `MOST_FILES` files.
    """
    files = _closure([file for source in sources for file in _files(ROOT / source)])
    # By name and content, not by place: a moved folder holds the same code.
    contents = sorted(f"{path.name} {_meaning(path)}" for path in files)
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


def _files(source: Path) -> list[Path]:
    """A file itself; of a folder all files but hidden and compiled ones."""
    if not source.is_dir():
        if source.exists() and not source.is_file():  # a device has no end
            raise ValueError(f"{source} is no file of code")
        return [source]
    found = []
    for number, path in enumerate(source.rglob("*")):
        if number == MOST_FILES:
            raise ValueError(f"{source} holds more than {MOST_FILES:,} files")
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        if path.is_file() and path.suffix != ".pyc" and not hidden:
            found.append(path)
    return found


def _closure(start: list[Path]) -> list[Path]:
    files: set[Path] = set()
    waiting = list(start)
    while waiting:
        path = waiting.pop().resolve()
        if path not in files:
            files.add(path)
            waiting += _imports(path) if path.suffix == ".py" else []
    return sorted(files)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def _imports(path: Path) -> list[Path]:
    files, names = [], []
    for node in _walk(_tree(path)):
        if isinstance(node, ast.ImportFrom):
            inside = [*([node.module] if node.module else []), *_below(node)]
            if node.level == 0:
                names += inside
            else:  # relative to the package that the file lies in
                package = path.parents[node.level - 1]
                files += [file for name in inside for file in _module(package, name)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.Call):
            names += _named_in_call(node)
    for name in names:
        # A module from outside finds its own helpers beside it.
        folder = ROOT if name.partition(".")[0] in OWN_PACKAGES else path.parent
        if folder == ROOT or not path.is_relative_to(ROOT):
            files += _module(folder, name)
    return files


def _below(node: ast.ImportFrom) -> list[str]:
    stem = f"{node.module}." if node.module else ""
    return [f"{stem}{alias.name}" for alias in node.names if alias.name != "*"]


def _module(folder: Path, name: str) -> list[Path]:
    base = folder.joinpath(*name.split("."))
    return [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]


def _named_in_call(node: ast.Call) -> list[str]:
    """The module that `importlib.import_module("name")` or `__import__("name")` names."""
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    first = node.args[0] if node.args else None
    named = isinstance(first, ast.Constant) and isinstance(first.value, str)
    return [first.value] if named and called in ("import_module", "__import__") else []


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes of a tree but the body of `if TYPE_CHECKING:`, which never runs."""
    yield tree
    for node in ast.iter_child_nodes(tree):
        test = node.test if isinstance(node, ast.If) else None
        if "TYPE_CHECKING" in (getattr(test, "id", ""), getattr(test, "attr", "")):
            for other in node.orelse:
                yield from _walk(other)
        else:
            yield from _walk(node)


@functools.cache
def _meaning(path: Path) -> str:
    if path.suffix == ".py":
        return _dump(_tree(path))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _dump(node: object) -> str:
    """A syntax tree as text, the same under all versions of Python: empty fields are left out."""
    if isinstance(node, list):
        return f"[{', '.join(_dump(item) for item in node if not _is_docstring(item))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    inside = ", ".join(f"{name}={_dump(value)}" for name, value in fields)
    return f"{type(node).__name__}({inside})"


def _is_docstring(node: object) -> bool:
    """Whether a statement is a bare string: of a module, class, function or attribute."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
