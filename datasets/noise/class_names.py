"""What stands for a class in a map or a table that a person writes: its name, or its number."""

from __future__ import annotations

from datasets.base import Dataset


def positions(dataset: Dataset) -> dict[str, int]:
    """Numbers from 0, as text -> number of the class."""
    return {str(k): k for k in range(dataset.classes)}


def by_name(dataset: Dataset) -> dict[str, int]:
    """Text -> number of the class: names, and numbers from 0 unless a class is named by a number.

    Of classes called 1, 2 and 10, "1" is the first one, and "0" none: who writes numbers there
    means names, and a number that is no name is a mistake.
    """
    names = {name: k for k, name in enumerate(dataset.class_names)}
    return names if _numeric(dataset) else positions(dataset) | names


def allowed(dataset: Dataset) -> str:
    """What `by_name` takes, as the end of a sentence that begins "must be"."""
    names = dataset.class_names
    more = ", ..." if len(names) > 20 else ""
    numbers = "" if _numeric(dataset) else f", or a number from 0 to {dataset.classes - 1}"
    return f"one of {', '.join(names[:20])}{more}{numbers}"


def _numeric(dataset: Dataset) -> bool:
    return any(name.isdecimal() for name in dataset.class_names)
