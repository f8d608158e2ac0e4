"""Seconds as people read them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would use: "45 s", "12 min", "3.5 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
