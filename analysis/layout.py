"""How a table is laid out: which way round, and in how many parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import zip_longest

from analysis.tables import Entry, Table

AXES = ("method", "setting")
MOST_COLUMNS = 8
"""Columns of a part; a table of more is split, with its first columns repeated."""


@dataclass(frozen=True)
class Line:
    """A row: its first columns, its entries, and what its group is told (empty if of none)."""

    stubs: list[str]
    entries: list[Entry]
    group: str = ""


@dataclass(frozen=True)
class Part:
    """A part of a table that fits on a page.

    Attributes:
        title: one line.
        corner: headings of the first columns.
        heads: headings of the other columns.
        below_heads: a second line of headings, its own first column included; empty if there is
            none.
        lines: the rows.
        notes: sentences below; of the last part only.
    """

    title: str
    corner: list[str]
    heads: list[str]
    below_heads: list[str]
    lines: list[Line]
    notes: list[str]


def parts(table: Table, rows: str = "method", width: int | None = None) -> list[Part]:
    """A table as one part or several, split by data set and then by number of columns.

    Args:
        table: methods in rows, settings in columns.
        rows: a name of `AXES`: what the rows are to be.
        width: characters that a part may take at most, if there is a limit besides that of columns;
            a single column is never split.
    """
    whole = _transposed(table) if rows == "setting" else _upright(table)
    if _fits(whole, width):
        return [whole]
    datasets = [column.dataset for column in table.columns]
    several = rows == "method" and len(set(datasets)) > 1
    split = _by_dataset(whole, datasets) if several else [whole]
    found = [piece for part in split for piece in _pieces(part, width)]
    last = len(found)
    return [
        replace(
            part,
            title=f"{part.title} ({number} of {last})",
            notes=whole.notes if number == last else [],
        )
        for number, part in enumerate(found, start=1)
    ]


def _fits(part: Part, width: int | None) -> bool:
    """Whether a part is narrow enough: a column takes its longest text and two characters more."""
    if len(part.heads) > MOST_COLUMNS:
        return False
    texts = [[*part.corner, *part.heads], part.below_heads or []]
    texts += [[*line.stubs, *(entry.text for entry in line.entries)] for line in part.lines]
    columns = zip_longest(*texts, fillvalue="")
    return width is None or sum(2 + max(map(len, column)) for column in columns) <= width


def _by_dataset(part: Part, datasets: list[str]) -> list[Part]:
    """A part for each data set, named in the title instead of each heading."""
    found = []
    for dataset in dict.fromkeys(datasets):
        mine = _chosen(part, [k for k, name in enumerate(datasets) if name == dataset])
        heads = [head.removeprefix(f"{dataset}, ") for head in mine.heads]
        found.append(replace(mine, heads=heads, title=f"{part.title}, {dataset}"))
    return found


def _pieces(part: Part, width: int | None) -> list[Part]:
    """A part in as few pieces as fit, about equally wide."""
    total = len(part.heads)
    for count in range(1, total + 1):
        size = -(-total // count)
        starts = range(0, total, size)
        pieces = [_chosen(part, list(range(k, min(k + size, total)))) for k in starts]
        if size == 1 or all(_fits(piece, width) for piece in pieces):
            break
    return pieces


def _chosen(part: Part, places: list[int]) -> Part:
    """The part with some of its columns, its first ones repeated."""
    below = part.below_heads and [part.below_heads[0], *(part.below_heads[1 + k] for k in places)]
    lines = [replace(line, entries=[line.entries[k] for k in places]) for line in part.lines]
    return replace(part, heads=[part.heads[k] for k in places], below_heads=below, lines=lines)


def _upright(table: Table) -> Part:
    return Part(
        table.title,
        ["Method"],
        [column.heading for column in table.columns],
        ["realised noise", *(column.noise for column in table.columns)],
        [
            Line([name], entries, group)
            for (name, entries), group in zip(table.rows, table.groups, strict=True)
        ],
        table.notes,
    )


def _transposed(table: Table) -> Part:
    return Part(
        table.title,
        ["Setting", "realised noise"],
        [name for name, _ in table.rows],
        [],
        [
            Line([column.heading, column.noise], [entries[place] for _, entries in table.rows])
            for place, column in enumerate(table.columns)
        ],
        [note.replace("best mean of a column", "best mean of a row") for note in table.notes],
    )
