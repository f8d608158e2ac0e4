"""Running checks and telling what came of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], str | None]
"""Gives None, or what is wrong and what is expected instead."""


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes:
        promise: what the check is about.
        wrong: what is wrong; None where it passed.
        where: the last lines of a traceback, where the component raised.
    """

    promise: str
    wrong: str | None
    where: str = ""

    def __str__(self) -> str:
        if self.wrong is None:
            return f"passed  {self.promise}"
        return f"WRONG   {self.promise}: {self.wrong}{self.where}"


def outcomes(subject: Any, checks: Iterable[Check]) -> Iterable[Outcome]:
    """Runs checks one after the other; the first line of a check's docstring is its promise."""
    for check in checks:
        promise = (check.__doc__ or check.__name__).partition("\n")[0].rstrip(".")
        try:
            yield Outcome(promise, check(subject))
        except Exception as error:  # whatever a stranger's class raises
            last = "".join(traceback.format_tb(error.__traceback__)[-1:])
            yield Outcome(
                promise, f"it raises {type(error).__name__}: {error}", f"\n{last}".rstrip()
            )
