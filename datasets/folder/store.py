"""Decoded images of a folder or list, kept in two files beside it so that they are decoded once.

`.NAME-SIZE-FIT.npz` has `images` (uint8 (N, C, S, S), in the order of the readable rows) and `sums`
(float64 (N, C, 2): of each image's pixels in [0, 1] and of their squares); the `.json` of the same
name has the rows, size, time and checksum of each file, what could not be read, and the checksum of
the arrays. They are made again once a file has changed; where the folder is gone, the `.json` still
says what was in it, and so does a copy of it in the user's cache where the folder around is gone
as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.base import DataError, sha256_of_arrays
from datasets.cache import cache_folders, written
from datasets.folder.rows import MOST_BROKEN, Row, Source

FORMAT = 1
MOST_BYTES = 8 * 2**30
"""Of decoded images, which are kept in memory."""
LARGEST_DEFAULT = 128
"""Side in pixels that is chosen where a study names none and images are larger."""


@dataclass(frozen=True)
class Decoded:
    """Readable files of a folder, in the order of their rows.

    Attributes:
        side, channels: of the images.
        sha256: of each file's content.
        broken: files that could not be read -> why.
        place: of the file with the images.
        arrays: checksum of what it holds.
    """

    side: int
    channels: int
    sha256: dict[str, str]
    broken: dict[str, str]
    place: Path
    arrays: str

    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """`images` and `sums`, once their checksum is found right.

        Raises:
            DataError: the file is damaged.
        """
        try:
            with np.load(self.place, allow_pickle=False) as file:
                images, sums = file["images"], file["sums"]
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{self.place} is damaged ({error}): delete it") from error
        if sha256_of_arrays(images, sums) != self.arrays:
            raise DataError(
                f"{self.place} is damaged, or the images have changed meanwhile: delete it, and it "
                "is made again"
            )
        return images, sums


def decoded(path: Path, source: Source, size: int | None, fit: str) -> Decoded:
    """The images of a source, decoded now if the files beside it are not of today's files.

    Args:
        path: the folder or list that a person named.
        source: what it holds.
        size: side of the images in pixels; None takes the median of the short sides.

    Raises:
        DataError: more than `MOST_BROKEN` of the files cannot be read, or too many for memory.
    """
    rows = [list(row) for row in source.rows]
    today = _today(source, size, fit)
    if found := _kept(path, size, fit, today):
        meta, place = found
        if meta["rows"] != rows:  # other labels
            meta |= today
            _write_json(place, meta)
        _remember(path, size, fit, place)
        return _described(meta, place)
    print(f"reading {len(rows):,} images of {path}", file=sys.stderr, flush=True)
    if source.others:
        more = f" and {len(source.others) - 5:,} more" if len(source.others) > 5 else ""
        print(f"no images: {', '.join(source.others[:5])}{more}", file=sys.stderr)
    meta, images = _decode(path, source, size, fit)
    arrays = {"images": images, "sums": np.stack([_sums(image) for image in images])}
    meta |= today | {"arrays": sha256_of_arrays(*arrays.values())}
    for place in _places(path, size, fit):
        if written(place, lambda file: np.savez(file, **arrays)) and _write_json(place, meta):
            _remember(path, size, fit, place)
            return _described(meta, place)
    looked = " nor ".join(str(place.parent) for place in _places(path, size, fit))
    raise DataError(f"decoded images of {path} can be written to neither {looked}")


def is_current(path: Path, source: Source, size: int | None, fit: str) -> bool:
    """Whether `decoded` would find today's files decoded already."""
    return _kept(path, size, fit, _today(source, size, fit)) is not None


def _today(source: Source, size: int | None, fit: str) -> dict[str, Any]:
    """What the `.json` says of the files, were they decoded now."""
    today = {"format": FORMAT, "rows": [list(row) for row in source.rows], "size": size, "fit": fit}
    return today | {"seen": [_seen(source.folder / row.path) for row in source.rows]}


def _kept(
    path: Path, size: int | None, fit: str, today: dict[str, Any]
) -> tuple[dict[str, Any], Path] | None:
    """What the place says that has today's files decoded, whatever their labels, and the place."""
    names = [row[0] for row in today["rows"]]
    for place in _places(path, size, fit):
        meta = _meta(place)
        if meta is None or not place.is_file() or [row[0] for row in meta["rows"]] != names:
            continue
        if all(meta.get(key) == value for key, value in today.items() if key != "rows"):
            return meta, place
    return None


def remembered(path: Path, size: int | None, fit: str) -> tuple[list[Row], Decoded] | None:
    """What a source held when it was last read, for one that is gone."""
    for place in _places(path, size, fit):
        if meta := _meta(place):
            return [Row(*row) for row in meta["rows"]], _described(meta, place)
    return None


def _remember(path: Path, size: int | None, fit: str, place: Path) -> None:
    """Copies what a place says of the files into the user's cache, unless it is there."""
    own = place.with_suffix(".json")
    copy = _places(path, size, fit)[-1].with_suffix(".json")
    try:
        is_there = copy.stat().st_mtime_ns >= own.stat().st_mtime_ns
    except OSError:
        is_there = False
    if copy != own and not is_there:
        with contextlib.suppress(OSError):
            content = own.read_bytes()
            written(copy, lambda file: file.write(content))


def _places(path: Path, size: int | None, fit: str) -> list[Path]:
    """Where the images may lie: beside the source, else in the user's cache."""
    name = f".{path.name}-{size or 'auto'}-{fit}.npz"
    own = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return [
        folder / (name if folder == path.parent else f"{own}{name}")
        for folder in cache_folders(path)
    ]


def _described(meta: dict[str, Any], place: Path) -> Decoded:
    return Decoded(
        meta["side"], meta["channels"], meta["sha256"], meta["broken"], place, meta["arrays"]
    )


def _seen(path: Path) -> list[int]:
    """Size, times and number of a file: others once it was written again, or swapped for one."""
    try:
        stat = path.stat()
    except OSError:
        return [-1] * 4
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]


def _meta(place: Path) -> dict[str, Any] | None:
    """What the `.json` beside a place says; None where there is none of this format."""
    try:
        meta = json.loads(place.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return meta if isinstance(meta, dict) and meta.get("format") == FORMAT else None


def _decode(
    path: Path, source: Source, size: int | None, fit: str
) -> tuple[dict[str, Any], np.ndarray]:
    """What the files hold, and the images of the readable ones."""
    from datasets.folder.decode import BROKEN, header, square  # Pillow: plans can do without

    folder, paths = source.folder, [row.path for row in source.rows]

    def look(name: str) -> tuple[str, Any]:
        try:
            content = (folder / name).read_bytes()
            return hashlib.sha256(content).hexdigest(), header(content)
        except BROKEN as error:
            return "", error

    def draw(name: str) -> np.ndarray | Exception:
        try:
            return square((folder / name).read_bytes(), side, channels, fit)
        except BROKEN as error:
            return error

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        looked = dict(zip(paths, pool.map(look, paths), strict=True))
        broken = {name: _reason(h) for name, (_, h) in looked.items() if isinstance(h, Exception)}
        heads = [h for _, h in looked.values() if not isinstance(h, Exception)]
        _refuse_broken(path, broken, len(paths))
        side = size or min(LARGEST_DEFAULT, int(np.median([h.short_side for h in heads])))
        channels = 1 if all(h.grey for h in heads) else 3
        needed = len(paths) * channels * side**2
        if needed > MOST_BYTES:
            raise DataError(
                f"{path}: {len(paths):,} images of {side} pixels take {needed / 2**30:.0f} GiB: "
                f"must be at most {MOST_BYTES // 2**30}: choose a smaller size"
            )
        readable = [name for name in paths if name not in broken]
        drawn = dict(zip(readable, pool.map(draw, readable), strict=True))
    broken |= {name: _reason(each) for name, each in drawn.items() if isinstance(each, Exception)}
    _refuse_broken(path, broken, len(paths))
    kept = [name for name in readable if name not in broken]
    sha256 = {name: looked[name][0] for name in kept}
    meta = {"side": side, "channels": channels, "sha256": sha256, "broken": broken}
    return meta, np.stack([drawn[name] for name in kept])


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.replace("<_io.BytesIO object", "<file").split())[:120]


def _refuse_broken(path: Path, broken: dict[str, str], count: int) -> None:
    if len(broken) > MOST_BROKEN * count:
        first, reason = min(broken.items())
        files = "1 file" if len(broken) == 1 else f"{len(broken):,} files"
        raise DataError(
            f"{path}: {files} of {count:,} cannot be read, the first is {first} ({reason}): "
            f"must be at most {MOST_BROKEN:.1%}"
        )


def _sums(image: np.ndarray) -> np.ndarray:
    pixels = image.reshape(len(image), -1).astype(np.float64) / 255
    return np.stack([pixels.sum(1), (pixels**2).sum(1)], axis=1)


def _write_json(place: Path, meta: dict[str, Any]) -> bool:
    text = json.dumps(meta).encode()
    return written(place.with_suffix(".json"), lambda file: file.write(text))
