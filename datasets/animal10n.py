"""ANIMAL-10N (Song, Kim and Lee, ICML 2019): animals that look alike, labelled by people."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np

from datasets.base import UNKNOWN, Arrays, DataError, Dataset, read_bytes, register, usual_roots
from datasets.folder.rows import Row, Source
from datasets.folder.store import decoded

CLASS_NAMES = (
    *("cat", "lynx", "wolf", "coyote", "cheetah"),
    *("jaguar", "chimpanzee", "orangutan", "hamster", "guinea pig"),
)
FOLDERS = ("animal10n", "ANIMAL-10N", "animal10n/raw_image", "ANIMAL-10N/raw_image")
BINARY = ("data_batch_1.bin", "test_batch.bin")
RAW = ("training", "testing")
SIZE = 64
RECORD = 8 + 3 * SIZE * SIZE
"""Bytes of an image in the binary version: number and label (big-endian), then planes of colour."""
_NAME = re.compile(r"([0-9])_.*\.jpe?g", re.IGNORECASE)


@register
class Animal10n(Dataset):
    """50,000 training and 5,000 test images, 64x64 RGB, of five pairs of animals that look alike.

    About 8 % of the training labels are wrong by the authors' estimate; nobody has said which, so
    use it with `noise: given`. Test images are those whose label equals the word that was searched
    for. Read from ROOT/animal10n (or ANIMAL-10N): the raw version (`training/` and `testing/` with
    files `<label>_<number>.jpg`, in the order of their names) or the binary one
    (`data_batch_1.bin`, `test_batch.bin`). The two have other pixels and another order.
    """

    name = "animal10n"
    display = "ANIMAL-10N"
    class_names = CLASS_NAMES
    channels = 3
    size = SIZE
    n_train = 50_000
    n_test = 5_000
    mean = (0.485, 0.456, 0.406)  # ImageNet's, as the field normalises it
    std = (0.229, 0.224, 0.225)
    clean_subset = 0
    truth = "none"
    how_to_get = "ask for it at dm.kaist.ac.kr/datasets/animal-10n and unpack it there"

    def _find(self, root: Path | None) -> tuple[Path, tuple[str, str]]:
        """The folder, and the names of its training and test part.

        Raises:
            DataError: neither version is there.
        """
        places = [folder / name for folder in usual_roots(root) for name in FOLDERS]
        for place in places:
            for version in (RAW, BINARY):
                if all((place / part).exists() for part in version):
                    return place, version
        looked = ", ".join(map(str, places))
        raise DataError(
            f"animal10n is not there: looked in {looked} for {' and '.join(RAW)} or "
            f"{' and '.join(BINARY)}; {self.how_to_get}"
        )

    def check(self, root: Path | None) -> None:
        self.load(root)

    def stamp(self, root: Path | None) -> str:
        folder, version = self._find(root)
        digest = hashlib.sha256()
        for part in version:
            files = sorted((folder / part).iterdir()) if version == RAW else [folder / part]
            for file in files:
                digest.update(f"{part} {file.name} {file.stat().st_size}\n".encode())
        return digest.hexdigest()

    def load(self, root: Path | None) -> Arrays:
        folder, version = self._find(root)
        read = _raw if version == RAW else _binary
        (train, given), (test, labels) = read(folder)
        for part, found, count in (
            (version[0], given, self.n_train),
            (version[1], labels, self.n_test),
        ):
            if len(found) != count:
                raise DataError(f"{folder / part} has {len(found):,} images: must have {count:,}")
        unknown = np.full(len(given), UNKNOWN, np.int64)
        return Arrays.of(train, unknown, test, labels, given=given)


Parts = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def _raw(folder: Path) -> Parts:
    """Images and labels of both parts out of JPEG files, in the order of their names."""
    rows = []
    for part in RAW:
        for file in sorted((folder / part).iterdir()):
            if file.name.startswith("."):
                continue
            match = _NAME.fullmatch(file.name)
            if match is None:
                raise DataError(f"{file}: must be called <label 0 to 9>_<number>.jpg")
            split = "train" if part == RAW[0] else "test"
            rows.append(Row(f"{part}/{file.name}", match[1], "", split))
    source = Source(folder, rows, [])
    found = decoded(folder / "images", source, SIZE, "stretch")
    images, _ = found.images()
    kept = [row for row in rows if row.path not in found.broken]
    if images.shape[1] != 3:
        raise DataError(f"{folder} holds grey images only: must be those of ANIMAL-10N")
    labels = np.array([int(row.label) for row in kept], np.int64)
    train = np.array([row.split == "train" for row in kept])
    return (images[train], labels[train]), (images[~train], labels[~train])


def _binary(folder: Path) -> Parts:
    """Images and labels of both parts out of the binary version."""
    parts = []
    for name in BINARY:
        content = read_bytes(folder / name)
        if len(content) % RECORD:
            raise DataError(f"{folder / name} is cut off: must be records of {RECORD:,} bytes")
        records = np.frombuffer(content, np.uint8).reshape(-1, RECORD)
        labels = np.ascontiguousarray(records[:, 4:8]).view(">i4").ravel().astype(np.int64)
        if len(labels) and not 0 <= labels.min() <= labels.max() < len(CLASS_NAMES):
            raise DataError(f"{folder / name} has labels beyond 0 to 9: it is another file")
        parts.append((records[:, 8:].reshape(-1, 3, SIZE, SIZE), labels))
    return parts[0], parts[1]
