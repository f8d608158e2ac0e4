"""Time limits as sbatch takes them, as whole minutes."""

from __future__ import annotations

import re

FORMATS = re.compile(
    r"""(?P<days>\d+) - (?P<hours>\d+) (?: : (?P<minutes>\d+) (?: : (?P<seconds>\d+) )? )?
    | (?P<h>\d+) : (?P<m>\d+) : (?P<s>\d+)
    | (?P<min>\d+) (?: : (?P<sec>\d+) )?""",
    re.ASCII | re.VERBOSE,
)
SECONDS = {
    **{"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1},
    **{"h": 3600, "m": 60, "s": 1, "min": 60, "sec": 1},
}
LONGEST_TEXT = 40


def minutes_of(text: str) -> int:
    """Whole minutes of a time limit, rounded up as sbatch does.

    Args:
        text: "minutes", "minutes:seconds", "hours:minutes:seconds", "days-hours",
            "days-hours:minutes" or "days-hours:minutes:seconds".

    Raises:
        ValueError: another format; `infinite` is none, a task must end to be requeued.
    """
    match = FORMATS.fullmatch(text.strip()) if len(text) <= LONGEST_TEXT else None
    if match is None:
        raise ValueError("not a time of SLURM")
    parts = {name: int(digits) for name, digits in match.groupdict().items() if digits}
    return -(-sum(SECONDS[name] * number for name, number in parts.items()) // 60)


def text_of(minutes: int) -> str:
    """Minutes as a person reads them: "45 min", "12 h", "1 d 2 h"."""
    days, rest = divmod(minutes, 1440)
    hours, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (rest, "min"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number) or "0 min"
