"""What a person's copy of a large data set holds by its lists; no image is opened here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from datasets.check_arrays import MOST_MISSING
from datasets.files import DataError, read_bytes

UNVERIFIED = -1
"""In `Part.verified`: nobody has looked at the image."""


@dataclass(frozen=True)
class Part:
    """Images of one part, in the order of its list.

    Attributes:
        folder: what `paths` are relative to.
        paths: with "/" between folders, each once.
        labels: (n,) int64, as given.
        verified: (n,) int8, 1 label right, 0 wrong, `UNVERIFIED`.
    """

    folder: Path
    paths: tuple[str, ...]
    labels: np.ndarray
    verified: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def missing(self) -> list[str]:
        """Paths whose file is not there."""
        there: dict[str, set[str]] = {}
        for folder in {path.rpartition("/")[0] for path in self.paths}:
            try:
                there[folder] = {entry.name for entry in os.scandir(self.folder / folder)}
            except OSError:
                there[folder] = set()
        split = (path.rpartition("/") for path in self.paths)
        return [folder + mark + name for folder, mark, name in split if name not in there[folder]]


@dataclass(frozen=True)
class Listing:
    """All parts of a copy.

    Attributes:
        parts: by name.
        notes: sentences on what was left out and what is strange.
    """

    parts: Mapping[str, Part]
    notes: list[str] = field(default_factory=list)


def part_of(
    name: str,
    folder: Path,
    samples: Iterable[tuple[str, int]],
    notes: list[str],
    *,
    without: Iterable[str] = (),
    verified: Mapping[str, int] | None = None,
) -> Part:
    """A part of (path, label) pairs; what comes twice, or is in `without`, is left out and noted.

    Of a path with two labels the first one counts.

    Args:
        verified: path -> 1 or 0, for those that somebody has looked at.
    """
    found: dict[str, int] = {}
    excluded, overlap = set(without), set()
    twice = other = 0
    for path, label in samples:
        if path in excluded:
            overlap.add(path)
        elif path in found:
            twice += 1
            other += found[path] != label
        else:
            found[path] = label
    if twice:
        notes.append(f"{name}: {twice:,} lines name an image again, {other:,} with another label")
    if overlap:
        notes.append(f"{name}: {len(overlap):,} images are in a clean part too and are left out")
    looked = [(verified or {}).get(path, UNVERIFIED) for path in found]
    labels = np.array(list(found.values()), np.int64)
    return Part(folder, tuple(found), labels, np.array(looked, np.int8))


def counted(name: str, listing: Listing, published: Mapping[str, int]) -> Listing:
    """The listing, with a note on each part that has another number of images than published.

    Raises:
        DataError: one differs by more than `MOST_MISSING`.
    """
    for part, count in published.items():
        found = len(listing.parts[part]) if part in listing.parts else count
        if found == count:
            continue
        sentence = f"{name}: part {part} has {found:,} usable lines, published are {count:,}"
        if abs(count - found) > MOST_MISSING * count:
            raise DataError(f"{sentence}: must differ by at most {MOST_MISSING:.0%}")
        listing.notes.append(sentence)
    return listing


def lines_of(path: Path) -> list[str]:
    """Lines of a list that are not blank, without blanks at their end.

    Raises:
        DataError: it cannot be read as text.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: put an intact copy in its place") from error
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def without_header(lines: list[str], *first_words: str) -> list[str]:
    """The lines but for a first one that begins with one of some words (copies differ in it)."""
    return lines[1:] if lines and lines[0].split("\t")[0].strip() in first_words else lines


def path_and_label(path: Path, classes: int, notes: list[str]) -> Iterator[tuple[str, int]]:
    """Lines "path label"; the path may have blanks. Lines without a label are noted and left out.

    Raises:
        DataError: a label is no class, or more than `MOST_MISSING` of the lines have none.
    """
    bare, lines = [], lines_of(path)
    for number, line in enumerate(lines, 1):
        name, _, label = line.replace("\t", " ").rpartition(" ")
        if not name or not label.isdecimal():
            bare.append(number)
        elif int(label) >= classes:
            raise DataError(f"{path}, line {number}: label is {label}: must be 0 to {classes - 1}")
        else:
            yield name.strip(), int(label)
    if len(bare) > MOST_MISSING * len(lines):
        raise DataError(f"{path}: {len(bare):,} of {len(lines):,} lines have no label")
    if bare:
        notes.append(f"{path.name}: no label in {len(bare):,} lines, the first is line {bare[0]:,}")


def first_of(places: Iterable[Path], what: str) -> Path:
    """The first of some paths that is there.

    Raises:
        DataError: none is.
    """
    places = list(places)
    for place in places:
        if place.exists():
            return place
    raise DataError(f"{what} is not there: looked for {', '.join(map(str, places))}")
