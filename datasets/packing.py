"""Makes a packed file (`datasets/packed.py`) of a listing: resumable, block by block.

Beside the file to be stand `NAME.part`, the images so far, and `NAME.part.jsonl`: a line that says
of what, then a line a finished block. An attempt that was cut off goes on behind its last block.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import itertools
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import PIL
from PIL import Image, ImageOps

from datasets.files import DataError
from datasets.folder.decode import BROKEN, opaque
from datasets.listing import Listing, Part
from datasets.packed import MAGIC, Columns, tail

BLOCK = 1000
"""Images between two places to go on from."""
QUALITY = 95
"""Of the JPEG files that are written, Pillow's scale."""
ORIENTATION = 0x0112
"""EXIF's number of how an image is to be turned; 1 is upright."""


@dataclass(frozen=True)
class Wanted:
    """What a packed file is made of.

    Attributes:
        name: of the data set.
        listing: its images.
        size: short side in pixels.
        fit: "short" keeps the shape of an image, "stretch" makes it square.
        most_broken: share of images that may be unreadable.
    """

    name: str
    listing: Listing
    size: int
    fit: str
    most_broken: float

    @property
    def count(self) -> int:
        """Images of all parts."""
        return sum(map(len, self.listing.parts.values()))

    def head(self) -> dict[str, Any]:
        """What an attempt says of itself; another one begins anew."""
        digest = hashlib.sha256()
        for name, part in self.listing.parts.items():
            digest.update("\n".join((name, *part.paths, "")).encode())
            digest.update(part.labels.tobytes() + part.verified.tobytes())
        own = {"name": self.name, "size": self.size, "fit": self.fit, "quality": QUALITY}
        return own | {"encoder": f"Pillow {PIL.__version__}", "lists": digest.hexdigest()}


def pack(wanted: Wanted, place: Path, threads: int, said: Callable[[int, int], None]) -> None:
    """Makes the file at `place`; an earlier one is replaced at the end.

    Args:
        said: called with the number of images that are done, here and in all.

    Raises:
        DataError: too many images are unreadable, or another process makes the file.
        OSError: nothing can be written.
    """
    part, journal = (place.with_name(f"{place.name}.{end}") for end in ("part", "part.jsonl"))
    place.parent.mkdir(parents=True, exist_ok=True)
    with part.open("ab") as images, journal.open("a+", encoding="utf-8") as lines:
        try:
            fcntl.flock(images, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{part} is being made by another process") from error
        head = wanted.head()
        blocks = _earlier(lines, head, part.stat().st_size)
        if not blocks:
            lines.truncate(0)
            images.truncate(0)
            lines.write(json.dumps(head) + "\n")
            images.write(MAGIC)
        else:
            images.truncate(blocks[-1]["end"])
        images.seek(0, os.SEEK_END)
        _go_on(wanted, blocks, images, lines, threads, said)
        images.write(_index(wanted, head, blocks))
        images.flush()
        os.fsync(images.fileno())
        part.replace(place)
    journal.unlink()


def _earlier(lines: IO[str], head: dict[str, Any], size: int) -> list[dict[str, Any]]:
    """The blocks of an attempt that was cut off, if it made the same; `lines` ends behind them."""
    lines.seek(0)
    found, end = [], 0
    for line in iter(lines.readline, ""):
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if (not found and entry != head) or entry.get("end", 0) > size:
            break
        found.append(entry)
        end = lines.tell()
    lines.seek(end)
    lines.truncate()
    return found[1:]


def _go_on(
    wanted: Wanted,
    blocks: list[dict[str, Any]],
    images: IO[bytes],
    lines: IO[str],
    threads: int,
    said: Callable[[int, int], None],
) -> None:
    """Writes all blocks that are missing, and appends them to `blocks`."""
    done = sum(len(block["lengths"]) for block in blocks)
    began, end = done, images.tell()
    everything = itertools.islice(_all(wanted.listing), done, None)
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(itertools.islice(everything, BLOCK)):
            made = list(pool.map(lambda each: _small(each[1], each[2], wanted), chunk))
            contents = [content for content, _, _ in made]
            joined = b"".join(contents)
            images.write(joined)
            images.flush()
            os.fsync(images.fileno())
            end += len(joined)
            block = {
                "lengths": [len(content) for content in contents],
                "sizes": [size for _, size, _ in made],
                "sha256": hashlib.sha256(joined).hexdigest(),
                "left_out": [
                    [name, path, why]
                    for (name, _, path), (_, _, why) in zip(chunk, made, strict=True)
                    if why
                ],
                "end": end,
            }
            blocks.append(block)
            _refuse_broken(wanted, blocks)
            lines.write(json.dumps(block) + "\n")
            lines.flush()
            done += len(chunk)
            said(done - began, done)


def _all(listing: Listing) -> Iterator[tuple[str, Part, str]]:
    for name, part in listing.parts.items():
        for path in part.paths:
            yield name, part, path


def _small(part: Part, path: str, wanted: Wanted) -> tuple[bytes, list[int], str]:
    """The image as a JPEG file, its height and width, and why it cannot be read (then empty)."""
    try:
        content = (part.folder / path).read_bytes()
        return *_resized(content, wanted.size, wanted.fit), ""
    except BROKEN as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return b"", [0, 0], " ".join(text.replace("<_io.BytesIO object", "<file").split())[:120]


def _resized(content: bytes, size: int, fit: str) -> tuple[bytes, list[int]]:
    """An image of any kind as JPEG in RGB, turned as EXIF says, with its height and width.

    The file stays as it is where there is nothing to change.
    """
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
        upright = _is_upright(image)
        plain_jpeg = image.format == "JPEG" and image.mode == "RGB" and upright
        if plain_jpeg and image.size == _shape(image.size, size, fit):
            image.load()  # a file that is cut off is found now
            return content, [height, width]
        plain = opaque(image if upright else ImageOps.exif_transpose(image)).convert("RGB")
    target = io.BytesIO()
    small = plain.resize(_shape(plain.size, size, fit), Image.Resampling.BILINEAR)
    small.save(target, "JPEG", quality=QUALITY)
    return target.getvalue(), [small.height, small.width]


def _is_upright(image: Image.Image) -> bool:
    """Whether EXIF leaves an image as it is, which it does too where nobody can read it."""
    try:
        return image.getexif().get(ORIENTATION, 1) == 1
    except BROKEN:
        return True


def _shape(shape: tuple[int, int], size: int, fit: str) -> tuple[int, int]:
    """Width and height once the image is resized, as torchvision's `Resize` has them."""
    if fit == "stretch":
        return size, size
    width, height = (size * length // min(shape) for length in shape)
    return width, height


def _refuse_broken(wanted: Wanted, blocks: list[dict[str, Any]]) -> None:
    broken = [each for block in blocks for each in block["left_out"]]
    if len(broken) > wanted.most_broken * wanted.count:
        part, path, why = broken[0]
        raise DataError(
            f"{wanted.name}: {len(broken):,} images of {wanted.count:,} cannot be read, the first "
            f"is {path} of {part} ({why}): must be at most {wanted.most_broken:.2%}; --most-broken "
            "allows more"
        )


def _index(wanted: Wanted, head: dict[str, Any], blocks: list[dict[str, Any]]) -> bytes:
    """Index and footer; images that could not be read are in none of the arrays."""
    lengths = np.concatenate([np.array(b["lengths"], np.int64) for b in blocks])
    sizes = np.concatenate([np.array(b["sizes"], np.int64).reshape(-1, 2) for b in blocks])
    parts = wanted.listing.parts
    kept = lengths > 0
    edges = np.cumsum([0, *map(len, parts.values())])
    labels = np.concatenate([part.labels for part in parts.values()])
    verified = np.concatenate([part.verified for part in parts.values()])
    offsets = len(MAGIC) + np.concatenate([[0], np.cumsum(lengths[kept])])
    meta = {
        **head,
        "parts": [
            [name, int(kept[start:end].sum())]
            for name, (start, end) in zip(parts, itertools.pairwise(edges), strict=True)
        ],
        "blocks": [[int(np.count_nonzero(b["lengths"])), b["sha256"]] for b in blocks],
        "left_out": [each for block in blocks for each in block["left_out"]],
        "notes": wanted.listing.notes,
    }
    paths = [path for (_, _, path), good in zip(_all(wanted.listing), kept, strict=True) if good]
    columns = Columns(offsets, labels[kept], verified[kept], sizes[kept])
    return tail(meta, columns, paths, int(offsets[-1]))
