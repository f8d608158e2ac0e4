"""A person's images as rows: out of a folder with a folder for each class, or out of a list."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from datasets.base import DataError

IMAGES = (
    *(".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff"),
    ".webp",
)
NO_IMAGES = (
    *(".csv", ".db", ".htm", ".html", ".ini", ".json", ".jsonl", ".lnk", ".log", ".md", ".parquet"),
    *(".pdf", ".py", ".rtf", ".sh", ".tsv", ".txt", ".url", ".xml", ".xls", ".xlsx", ".yaml"),
    *(".yml", ".zip"),
)
"""Endings of what lies beside images; a file of any other ending may be one that is not read."""
MOST_BROKEN = 0.001
"""Share of files that may be images but cannot be read, above which the whole is refused."""
SPLITS = ("train", "test", "clean")
LISTS = (".csv", ".parquet", ".tsv")
COLUMNS = ("path", "label", "clean_label", "split")


class Row(NamedTuple):
    """One image: its file relative to the folder, names of its classes, and its part.

    `clean_label` is empty where nobody has said the true class.
    """

    path: str
    label: str
    clean_label: str = ""
    split: str = "train"


class Source(NamedTuple):
    """Where images lie, and what is known of each."""

    folder: Path
    rows: list[Row]
    others: list[str]
    """Files of a folder whose ending is none of `IMAGES`, by name."""

    @property
    def endings(self) -> str:
        """How many of `others` have which ending: ".txt 3, .heic 1"."""
        return endings(self.others)


def read_source(path: Path) -> Source:
    """The rows of a folder of images or of a list, sorted by path.

    Raises:
        DataError: it is not there, or is no such folder or list; one sentence.
    """
    if path.is_dir():
        rows, others = _of_folder(path)
    elif path.is_file() and path.suffix.lower() in LISTS:
        rows, others = _of_list(path), []
    elif path.exists():
        raise DataError(f"{path} is no folder and no list: must end in one of {', '.join(LISTS)}")
    else:
        raise DataError(f"{path} is not there: must be a folder of images, or a list of them")
    if not rows:
        raise DataError(f"{path} has no images: must have a folder of images for each class")
    folder = path if path.is_dir() else path.parent
    return Source(folder, sorted(rows), others)


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sorts numbers inside names as numbers: 1, 2, 10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", text)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]


def _of_folder(root: Path) -> tuple[list[Row], list[str]]:
    folders = [entry for entry in _visible(root) if entry.is_dir()]
    parts = {entry.name: entry for entry in folders if entry.name in SPLITS}
    other = [entry for entry in folders if entry.name not in SPLITS]
    if "train" in parts and other and any(e.is_dir() for e in _visible(parts["train"])):
        raise DataError(
            f"{root} has {other[0].name} beside train: parts are called {', '.join(SPLITS)}, and "
            "nothing else may stand beside them"
        )
    if "train" not in parts or other:
        parts = {"train": root}
    rows, others = [], []
    for split, part in parts.items():
        classes = sorted((e for e in _visible(part) if e.is_dir()), key=lambda e: natural(e.name))
        if part == root or split == "train":
            loose = [e.name for e in _visible(part) if e.is_file() and _is_image(e.name)]
            if loose:
                raise DataError(f"{part / loose[0]} lies in no folder of a class: must lie in one")
        for folder in classes:
            files = list(_files(Path(folder.path)))
            images = [file for file in files if _is_image(file.name)]
            unread = [file.name for file in files if not _is_image(file.name)]
            if not images:
                has = f" of an ending that is read ({endings(unread)})" if unread else ""
                raise DataError(f"{folder.path} has no image{has}: a class must have one or more")
            others += unread
            for file in images:
                rows.append(Row(_text(file, root), folder.name, "", split))
    _refuse_unread(root, others, len(rows))
    return rows, sorted(others)


def _text(file: Path, root: Path) -> str:
    """A file's path below the root, which must be text: lists and records hold it."""
    name = file.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{root}: the name {plain_name(name)} is not UTF-8: rename the file"
        ) from None
    return name


def plain_name(name: str) -> str:
    """A file's name as text that can be printed, also where it is not UTF-8."""
    return os.fsencode(name).decode(errors="backslashreplace")


def endings(names: Iterable[str]) -> str:
    """How many of some files have which ending, the most frequent first."""
    counts = Counter(Path(name).suffix.lower() or "no ending" for name in names)
    return ", ".join(f"{ending} {count:,}" for ending, count in counts.most_common())


def _refuse_unread(root: Path, others: list[str], images: int) -> None:
    """Refuses a folder of which too many files may be images and are not read."""
    unread = [name for name in others if not name.lower().endswith(NO_IMAGES)]
    if len(unread) > MOST_BROKEN * (images + len(unread)):
        files = "1 file" if len(unread) == 1 else f"{len(unread):,} files"
        raise DataError(
            f"{root}: {files} of {images + len(unread):,} have an ending that is not read "
            f"({endings(unread)}): must be at most {MOST_BROKEN:.1%}: convert them, or move them "
            "away"
        )


def _visible(folder: Path) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, but hidden ones."""
    for entry in _visible(folder):
        if entry.is_dir():
            yield from _files(Path(entry.path))
        else:
            yield Path(entry.path)


def _is_image(name: str) -> bool:
    return name.lower().endswith(IMAGES)


def _of_list(path: Path) -> list[Row]:
    """Rows of a list; of a reviewed `suspects.csv`, `given` counts where `label` is empty."""
    rows: list[Row] = []
    seen: dict[str, int] = {}
    for number, given in enumerate(read_table(path, ("path", "label")), start=2):
        row = Row(
            _inside(given["path"], path, number),
            given["label"].strip() or (given.get("given") or "").strip(),
            (given.get("clean_label") or "").strip(),
            (given.get("split") or "").strip() or "train",
        )
        where = f"{path}, line {number}"
        if not row.label:
            raise DataError(f"{where}: label is empty: must be the name or number of a class")
        if row.split not in SPLITS:
            raise DataError(f"{where}: split is {row.split!r}: must be one of {', '.join(SPLITS)}")
        if row.path in seen:
            raise DataError(f"{where}: {row.path} is in line {seen[row.path]} too: must be once")
        seen[row.path] = number
        rows.append(row)
    return rows


def _inside(text: str, path: Path, number: int) -> str:
    """A path of a list, relative to the list's folder, which it may not leave."""
    plain = os.path.normpath(text.strip())
    if not text.strip() or plain.startswith(("/", "..")) or "\0" in plain:
        raise DataError(
            f"{path}, line {number}: path is {text!r}: must be a file below the list's own folder"
        )
    return PurePosixPath(plain).as_posix()


def read_table(path: Path, needed: Iterable[str]) -> list[Mapping[str, str]]:
    """The rows of a CSV (comma, or semicolon), TSV or Parquet file, all values as text.

    Raises:
        DataError: it cannot be read, or lacks one of the `needed` columns.
    """
    try:
        columns, rows = _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    if missing := [name for name in needed if name not in columns]:
        has = ", ".join(map(str, columns)) or "none"
        raise DataError(f"{path} has no column {missing[0]}: its columns are {has}")
    return rows


def _csv(path: Path) -> tuple[list[str], list[Mapping[str, str]]]:
    text = path.read_text(encoding="utf-8-sig")
    head = text.partition("\n")[0]
    tab = "\t" if path.suffix.lower() == ".tsv" else ","
    delimiter = ";" if ";" in head and "," not in head else tab
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows = []
    for row in reader:
        if None in row or None in row.values():
            raise ValueError(f"line {reader.line_num} has another number of columns than the first")
        rows.append(row)
    return list(reader.fieldnames or ()), rows


def _parquet(path: Path) -> tuple[list[str], list[Mapping[str, str]]]:
    import pandas as pd  # only here: plans of other studies need not wait for it

    try:
        table = pd.read_parquet(path).convert_dtypes()  # 1 stays 1 beside empty
    except ImportError as error:
        raise ValueError("Parquet needs the package pyarrow: pip install pyarrow") from error
    text = table.astype(object).where(table.notna(), "").astype(str)
    return list(text.columns), text.to_dict("records")
