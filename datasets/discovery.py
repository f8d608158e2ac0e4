"""Finding registered classes: every file of a folder that holds a class decorated `@register`.

Read from the syntax tree, so that files which do not register anything (and may need torch) are
not imported.
"""

from __future__ import annotations

import ast
import importlib
from pathlib import Path


def import_registered(folder: Path, package: str) -> dict[str, Path]:
    """Imports the files of `folder` that register a class.

    Args:
        folder: folder of `package`.
        package: dotted name to import them under.

    Returns:
        Dotted module name -> file, sorted by file name.
    """
    found = {}
    for path in sorted(folder.glob("*.py")):
        if _registers(path):
            module = f"{package}.{path.stem}"
            importlib.import_module(module)
            found[module] = path
    return found


def _registers(path: Path) -> bool:
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        decorators = node.decorator_list if isinstance(node, ast.ClassDef) else []
        if any(isinstance(d, ast.Name) and d.id == "register" for d in decorators):
            return True
    return False
