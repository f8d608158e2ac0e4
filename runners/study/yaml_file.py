"""Reads the small, trusted-by-nobody YAML files of the suite into plain dicts, lists and scalars.

Stricter than PyYAML's safe loader: duplicate keys are mistakes, keys are always text (`no:` is not
`False:`), dates stay text, and size, depth, aliases and the number of nodes after expanding the
aliases are bounded, so that no file can hang or fill the memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from runners.study.problems import Problems, shown

MOST_BYTES = 1_000_000
MOST_NODES = 250_000
MOST_ALIASES = 1_000
MOST_DEPTH = 20
KINDS = ("str", "int", "float", "bool", "null", "seq", "map")
PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in KINDS}


class Sexagesimal(int):
    """A number that was written as 12:00:00: YAML counts in base 60, people mean a time."""


class _Bound(yaml.MarkedYAMLError):
    """The text goes beyond one of the bounds above, or holds something a study cannot hold."""

    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader that counts what it composes and never makes dates."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML's own attribute)
        first: [(tag, regexp) for tag, regexp in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.depth = self.aliases = self.expanded = 0
        self.sizes: dict[yaml.Node, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        is_alias, mark = self.check_event(yaml.AliasEvent), self.peek_event().start_mark
        self.depth += 1
        before = self.expanded
        if self.depth > MOST_DEPTH:
            raise _Bound(f"nested too deep: must be at most {MOST_DEPTH} levels", mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if is_alias:
            self.aliases += 1
            if node not in self.sizes:
                raise _Bound("an alias that contains itself is not allowed", mark)
        self.expanded += self.sizes[node] if is_alias else 1
        self.sizes.setdefault(node, self.expanded - before)
        if self.aliases > MOST_ALIASES:
            raise _Bound(f"too many aliases: must be at most {MOST_ALIASES:,}", mark)
        if self.expanded > MOST_NODES:
            raise _Bound(f"too many values: must be at most {MOST_NODES:,}, aliases expanded", mark)
        return node


def read_mapping(path: Path, problems: Problems) -> dict[str, Any] | None:
    """The mapping in a YAML file, or None with the reason noted in `problems`.

    Duplicate keys are noted and one value is kept, so that later checks can still run.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        problems.add("", f"cannot be read: {error.strerror or error}")
        return None
    except ValueError:  # a path with a null character
        problems.add("", "is not a file name")
        return None
    if len(data) > MOST_BYTES:
        problems.add("", f"the file is too large: must be at most {MOST_BYTES:,} bytes")
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problems.add(f"line {line}", "not a YAML file: must be UTF-8 text")
        return None
    value = parse(text, problems)
    if value is None or isinstance(value, dict):
        return value
    problems.refuse("", value, "a mapping of keys to values")
    return None


def parse(text: str, problems: Problems) -> Any:
    """The value of a YAML text, or None with the reason noted in `problems`.

    An empty text is an empty mapping.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return {}
        _note_duplicates(node, "", problems, set())
        return _build(loader, node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(
            f"line {line}", f"YAML syntax: the character U+{error.character:04X} is forbidden"
        )
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error.context).split())
        line = mark.line + 1 if mark else 1
        problems.add(
            f"line {line}", reason if isinstance(error, _Bound) else f"YAML syntax: {reason}"
        )
    return None


def _note_duplicates(node: yaml.Node, path: str, problems: Problems, seen: set[yaml.Node]) -> None:
    if node in seen:
        return
    seen.add(node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _note_duplicates(item, f"{path}[{index}]", problems, seen)
    if isinstance(node, yaml.MappingNode):
        lines: dict[str, int] = {}
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in lines:
                first = lines[key.value]
                problems.add(inner, f"given twice, in lines {first} and {line}: must be given once")
            elif isinstance(key, yaml.ScalarNode):
                lines[key.value] = line
            _note_duplicates(value, inner, problems, seen)


def _build(loader: _Loader, node: yaml.Node, depth: int = 1) -> Any:
    """Plain Python values of a composed node; keys are taken as the text that stands there."""
    if depth > MOST_DEPTH:  # a chain of aliases is deeper than its text
        raise _Bound(f"nested too deep: must be at most {MOST_DEPTH} levels", node.start_mark)
    if node.tag not in PLAIN_TAGS:
        tag = shown(node.tag, 80).strip('"')
        raise _Bound(f"the tag {tag} is not allowed: must be plain YAML", node.start_mark)
    if isinstance(node, yaml.SequenceNode):
        return [_build(loader, item, depth + 1) for item in node.value]
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node)
    loader.flatten_mapping(node)
    mapping: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _Bound("a list or mapping as a key is not allowed: must be text", key.start_mark)
        mapping[key.value] = _build(loader, value, depth + 1)
    return mapping


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    try:
        value = loader.yaml_constructors[node.tag](loader, node)
    except (ValueError, LookupError, OverflowError) as error:
        raise _Bound(
            f"{shown(node.value, 30)} is not a value of its type", node.start_mark
        ) from error
    if isinstance(value, int) and abs(value) >= 2**63:
        raise _Bound(f"{shown(node.value, 30)} is too large: must be below 2^63", node.start_mark)
    if isinstance(value, int) and ":" in node.value:
        return Sexagesimal(value)
    return value
