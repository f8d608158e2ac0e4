"""One file of JPEG images with an index: made by `datasets/prepare.py`, read here.

    magic      8 bytes, b"NLSPACK1"
    images     JPEG files end to end, part after part, in the order of the lists
    index      JSON, then arrays, then the original paths
    footer     60 bytes: length of the JSON, of the whole index and its offset (3 uint64), SHA-256
               of the index (32 bytes), 4 bytes b"NLSE"

All numbers are little-endian. The JSON has `name`, `size` (short side in pixels), `fit`,
`quality`, `encoder`, `parts` ([name, count] in order), `blocks` ([images, SHA-256 of their bytes]
in order), `left_out` ([part, path, why] of unreadable images) and `notes`. The arrays, over the N
images of all parts: offsets (N + 1) uint64 from the start of the file, labels (N) int32, verified
(N) int8, height and width (N, 2) uint16. Paths are UTF-8, a newline between two.

Opening verifies the index alone; `Packed.verify` every block. Reads are `pread`s, so threads may
share one object.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from datasets.files import DataError

MAGIC, END = b"NLSPACK1", b"NLSE"
FOOTER = struct.Struct("<QQQ32s4s")


class Columns(NamedTuple):
    """The arrays of an index; see the head of this file."""

    offsets: np.ndarray
    labels: np.ndarray
    verified: np.ndarray
    sizes: np.ndarray


_DTYPES = Columns("<u8", "<i4", "<i1", "<u2")


class Packed:
    """An open packed file.

    Attributes:
        meta: the JSON of the index.
        columns: its arrays.
        spans: part -> its images.
        sha256: of the index, hex: another one for any other content.

    Raises:
        DataError: the file cannot be read, is cut off, or its index is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("rb", buffering=0)
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
        self.meta, self.columns, self._names = self._index()
        names, counts = zip(*self.meta["parts"], strict=True)
        edges = itertools.pairwise(np.cumsum([0, *counts]).tolist())
        self.spans = {name: slice(*edge) for name, edge in zip(names, edges, strict=True)}

    def _index(self) -> tuple[dict[str, Any], Columns, bytes]:
        end = os.fstat(self._file.fileno()).st_size
        try:
            footer = FOOTER.unpack(self._read(end - FOOTER.size, FOOTER.size))
            json_length, length, offset, digest, mark = footer
            whole = mark == END and offset + length + FOOTER.size == end
            index = self._read(offset, length) if whole and self._read(0, 8) == MAGIC else None
        except (struct.error, OSError):
            index = None
        if index is None:
            raise DataError(f"{self.path} is cut off or no packed file: make it again")
        if hashlib.sha256(index).digest() != digest:
            raise DataError(f"{self.path}: its index is damaged: make the file again")
        self.sha256 = digest.hex()
        meta = json.loads(index[:json_length])
        count = sum(n for _, n in meta["parts"])
        columns, position = [], json_length
        for dtype, shape in zip(
            _DTYPES, ((count + 1,), (count,), (count,), (count, 2)), strict=True
        ):
            array = np.frombuffer(index, dtype, int(np.prod(shape)), position).reshape(shape)
            columns.append(array)
            position += array.nbytes
        return meta, Columns(*columns), index[position:]

    def _read(self, offset: int, length: int) -> bytes:
        pieces = []
        while length:  # one call reads 2 GiB at most
            piece = os.pread(self._file.fileno(), length, offset)
            if not piece:
                raise OSError("the file ends too early")
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return b"".join(pieces)

    def images(self, part: str) -> PackedImages:
        """The images of a part.

        Raises:
            DataError: there is no such part.
        """
        if part not in self.spans:
            have = ", ".join(self.spans)
            raise DataError(f"{self.path} has no part {part} (it has {have}): make the file again")
        span = self.spans[part]
        return PackedImages(self, np.arange(span.start, span.stop))

    def paths(self, part: str) -> list[str]:
        """Where each image of a part came from, relative to the part's folder."""
        return self._names.decode().split("\n")[self.spans[part]]

    def content(self, number: int) -> bytes:
        """The JPEG file of one of the N images.

        Raises:
            DataError: it cannot be read.
        """
        start, end = self.columns.offsets[number : number + 2].tolist()
        try:
            return self._read(start, end - start)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def verify(self) -> None:
        """Reads all of the file.

        Raises:
            DataError: a block is damaged.
        """
        offsets, first = self.columns.offsets, 0
        for count, expected in self.meta["blocks"]:
            start, end = int(offsets[first]), int(offsets[first + count])
            if hashlib.sha256(self._read(start, end - start)).hexdigest() != expected:
                where = f"{self.path}: images {first:,} to {first + count - 1:,}"
                raise DataError(f"{where} are damaged: make the file again")
            first += count


class PackedImages:
    """Images of a packed file, in some order; decoded when they are needed.

    An integer gives one image as uint8 (3, S, S), the middle square of the stored one; an array of
    positions int64 gives those images, still packed.
    """

    def __init__(self, packed: Packed, numbers: np.ndarray) -> None:
        self._packed, self._numbers = packed, numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, which: int | np.ndarray) -> Any:
        if isinstance(which, np.ndarray):
            return PackedImages(self._packed, self._numbers[which])
        return _middle(self.jpeg(int(which)))

    def __add__(self, other: PackedImages) -> PackedImages:
        """These images, then others of the same file."""
        return PackedImages(self._packed, np.concatenate([self._numbers, other._numbers]))

    @property
    def labels(self) -> np.ndarray:
        """(N,) int64, as given."""
        return self._packed.columns.labels[self._numbers].astype(np.int64)

    @property
    def verified(self) -> np.ndarray:
        """(N,) int8: 1 label right, 0 wrong, -1 nobody has looked."""
        return self._packed.columns.verified[self._numbers]

    @property
    def short_side(self) -> int:
        """Pixels of the shortest side of any of them."""
        return int(self._packed.columns.sizes[self._numbers].min(initial=2**16 - 1))

    def sizes(self, positions: np.ndarray) -> np.ndarray:
        """Height and width (B, 2) int64 in pixels of the stored images at some positions (B,)."""
        return self._packed.columns.sizes[self._numbers[positions]].astype(np.int64)

    def jpeg(self, position: int) -> bytes:
        """The file of one image."""
        return self._packed.content(int(self._numbers[position]))

    def named(self, position: int) -> str:
        """What a message calls an image."""
        return f"{self._packed.path}: image {int(self._numbers[position]):,}"


def _middle(content: bytes) -> np.ndarray:
    from PIL import Image  # pictures for people only: training decodes by itself

    with Image.open(io.BytesIO(content)) as image:
        pixels = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    side = min(pixels.shape[1:])
    top, left = ((length - side) // 2 for length in pixels.shape[1:])
    return pixels[:, top : top + side, left : left + side]


def tail(meta: dict[str, Any], columns: Columns, paths: list[str], offset: int) -> bytes:
    """Index and footer of a file whose images end at `offset`."""
    head = json.dumps(meta, ensure_ascii=False, separators=(",", ":")).encode()
    arrays = [np.ascontiguousarray(a, d).tobytes() for a, d in zip(columns, _DTYPES, strict=True)]
    index = b"".join([head, *arrays, "\n".join(paths).encode()])
    return index + FOOTER.pack(len(head), len(index), offset, hashlib.sha256(index).digest(), END)
