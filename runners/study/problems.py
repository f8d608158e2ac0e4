"""Sentences that say what is wrong with a study, gathered so that all are told at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from typing import Any

from runners.system.errors import ConfigError

MOST_SHOWN = 50


class Problems:
    """Collects the mistakes of one file (and of the `--set` options laid over it)."""

    def __init__(self, file: str, overridden: Iterable[str] = ()) -> None:
        """`overridden`: dotted keys that came from `--set`, which is then named as the source."""
        self.file = file
        self.overridden = set(overridden)
        self.sentences: dict[str, None] = {}
        self.keys: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.sentences)

    def add(self, key: str, sentence: str) -> None:
        """Notes one mistake at a dotted key.

        Raises:
            ConfigError: there are so many that more would not help anybody.
        """
        from_option = any(key == k or key.startswith((f"{k}.", f"{k}[")) for k in self.overridden)
        source = "--set" if from_option else self.file
        self.keys.add(key)
        self.extend([": ".join(part for part in (source, one_line(key), sentence) if part)])

    def extend(self, sentences: Iterable[str]) -> None:
        """Notes full sentences of another source, each once."""
        for sentence in sentences:
            if len(self.sentences) == MOST_SHOWN and sentence not in self.sentences:
                more = f"{self.file}: more mistakes follow: the first {MOST_SHOWN} are shown"
                raise ConfigError([*self.sentences, more])
            self.sentences[sentence] = None

    def refuse(self, key: str, value: Any, allowed: str, options: Iterable[str] = ()) -> None:
        """Notes that `value` is not allowed at `key`, with the nearest of `options`."""
        self.add(key, f"{shown(value)} is not allowed: must be {allowed}{hint(value, options)}")

    def unknown_key(self, key: str, options: Iterable[str]) -> None:
        """Notes a key that does not exist; `options` are its siblings that do."""
        options = list(options)
        allowed = f"must be one of {', '.join(options)}" if options else "nothing can be set here"
        near = hint(key.rpartition(".")[2], options)
        self.add(key, f"this key is not allowed: {allowed}{near}")

    def check(self) -> None:
        """Raises ConfigError if anything was noted."""
        if self.sentences:
            raise ConfigError(list(self.sentences))


def hint(word: Any, options: Iterable[str]) -> str:
    """`; did you mean X?` with the option nearest to `word`, or nothing if none is near."""
    options = list(options)
    if not isinstance(word, str) or not options:
        return ""
    plain = {option.lower().replace("-", "_"): option for option in options}
    near = difflib.get_close_matches(word[:100].lower().replace("-", "_"), plain, n=1, cutoff=0.6)
    return f"; did you mean {plain[near[0]]}?" if near else ""


def one_line(key: str, width: int = 120) -> str:
    """A key as it can be printed, however strange the file that it comes from."""
    text = "".join(letter if letter.isprintable() else "?" for letter in key[:width])
    return text if len(key) <= width else f"{text} ..."


def shown(value: Any, width: int = 60) -> str:
    """A value of a study as one short line, written much as YAML would."""
    if isinstance(value, float):
        return repr(value)
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= width else f"{text[: width - 4]} ..."
