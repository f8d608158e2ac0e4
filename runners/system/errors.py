"""Errors that end a command with one sentence instead of a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something the user can mend; printed as it is, exit code 2."""

    @property
    def problems(self) -> list[str]:
        """One full sentence a mistake."""
        return [str(self)]


class ConfigError(UserError):
    """A study that cannot be run as it is written.

    Args:
        problems: one full sentence a mistake, "FILE: KEY: ...".
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self._problems = problems

    @property
    def problems(self) -> list[str]:
        return self._problems


class FullDisk(Exception):
    """Nothing more can be written; the message names the file and the reason."""
