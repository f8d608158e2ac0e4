"""Reads the small, trusted-by-nobody YAML files of the suite into plain dicts, lists and scalars.

YAML 1.2, stricter: duplicate keys and tags are mistakes, keys and dates are text, and size, depth
and the number of values after expanding the aliases are bounded, so that no file can hang or fill
the memory.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.resolver import VersionedResolver
from ruamel.yaml.tag import Tag

from runners.study.problems import Problems, shown

MOST_BYTES = 250_000
MOST_VALUES = 250_000
MOST_DEPTH = 20
TAG = "tag:yaml.org,2002:"
TOO_DEEP = f"nested too deep: must be at most {MOST_DEPTH} levels, aliases expanded"
PLAIN = [f"{TAG}{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map")]


class _Refused(MarkedYAMLError):
    """YAML that a study cannot hold."""


def _refuse(node: Node, sentence: str) -> NoReturn:
    raise _Refused(problem=sentence, problem_mark=node.start_mark)


class _Resolver(VersionedResolver):
    """YAML 1.2, whatever version a file asks for: in 1.1 `12:00:00` is the number 43200."""

    processing_version = (1, 2)


class _Constructor(SafeConstructor):
    """Makes plain values only, and takes keys as the text that stands there (`no`, `1`)."""

    yaml_constructors = {  # noqa: RUF012  (ruamel's own attribute)
        **{tag: SafeConstructor.yaml_constructors[tag] for tag in PLAIN},
        f"{TAG}timestamp": SafeConstructor.construct_yaml_str,
    }

    def construct_document(self, node: Node) -> Any:
        _check_size(node, {})
        return super().construct_document(node)

    def construct_object(self, node: Node, deep: bool = False) -> Any:
        tag = str(node.tag)
        if tag not in self.yaml_constructors:
            name = shown(tag, 80).strip('"')
            _refuse(node, f"the tag {name} is not allowed: must be plain YAML")
        try:
            if node.id != {f"{TAG}seq": "sequence", f"{TAG}map": "mapping"}.get(tag, "scalar"):
                raise ValueError("a value of another type")
            value = super().construct_object(node, deep)
            if isinstance(value, int) and abs(value) >= 2**63:
                raise OverflowError("more digits than anybody writes")
            return value
        except (ValueError, LookupError, OverflowError):
            value = shown(node.value, 30) if isinstance(node, ScalarNode) else "this"
            _refuse(node, f"{value} is not a value of its type")

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[str, Any]:
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                _refuse(key, "a list or mapping as a key is not allowed: must be text")
            if str(key.tag) != f"{TAG}merge":
                key.tag = Tag(suffix=f"{TAG}str")
        return super().construct_mapping(node, deep)

    def check_mapping_key(
        self, node: Node, key_node: Node, mapping: dict, key: str, value: Any
    ) -> bool:
        if key in mapping:
            _refuse(key_node, f"the key {shown(key)} is given twice: must be given once")
        return True


def read_mapping(path: Path, problems: Problems) -> dict[str, Any] | None:
    """The mapping in a YAML file, or None with the reason noted in `problems`."""
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
    if value is None and not problems:
        return {}  # nothing, or nothing but comments
    if value is None or isinstance(value, dict):
        return value
    problems.refuse("", value, "a mapping of keys to values")
    return None


def parse(text: str, problems: Problems) -> Any:
    """The value of a YAML text, or None with the reason noted in `problems`."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor, yaml.Resolver = _Constructor, _Resolver
    try:
        return yaml.load(text)
    except RecursionError:
        problems.add("", TOO_DEEP)
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems.add(
            f"line {line}", f"YAML syntax: the character U+{error.character:04X} is forbidden"
        )
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = " ".join(str(error.problem or error.context).split())
        syntax = "" if isinstance(error, _Refused) else "YAML syntax: "
        problems.add(f"line {mark.line + 1 if mark else 1}", f"{syntax}{reason}")
    return None


def _check_size(node: Node, known: dict[Node, tuple[float, float]]) -> tuple[float, float]:
    """Number of values and levels, aliases expanded; infinite for one that contains itself."""
    if isinstance(node, ScalarNode):
        return 1, 1
    if node not in known:
        known[node] = math.inf, math.inf
        parts = node.value if node.id == "sequence" else itertools.chain(*node.value)
        sizes = [_check_size(part, known) for part in parts]
        values, depth = 1 + sum(n for n, _ in sizes), 1 + max((d for _, d in sizes), default=0)
        if depth > MOST_DEPTH:
            _refuse(node, TOO_DEEP)
        if values > MOST_VALUES:
            _refuse(node, f"too many values: must be at most {MOST_VALUES:,}, aliases expanded")
        known[node] = values, depth
    return known[node]
