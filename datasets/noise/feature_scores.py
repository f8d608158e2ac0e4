"""Scores of training images by a student, for feature-dependent noise, and labels made of them.

Where they come from: a file that a study names, made by `datasets/noise/distill.py` for example;
else the authors' own for CIFAR-10, and those that ship with the suite for `fashion_mnist_mini`.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.base import (
    DataError,
    Dataset,
    corrupt,
    read_bytes,
    usual_roots,
)
from datasets.files import REPOSITORY

STUDENT, STUDENT_ARRAY = "student_logits.npz", "student_f32"
STUDENT_SHA256 = "4e018401ba04276d93f7c7e8c6c690ad79f1ae757749621bbcbc6786a1345230"
"""Of the authors' scores for CIFAR-10, float32 (50000, 10), a softmax of a softmax: of the array's
bytes. `student_logits.npy` of gorkemalgan/MetaLabelNet (cifar10/dataset) is the same array."""
FOLDER = "feature_dependent"
EMBEDDED = REPOSITORY / "datasets" / "embedded"
MINI_SHA256 = "19f035db40b3e25a9aea2a3ad4c80d81ace64523018a81e6bf51e4881b65d5be"
"""Of the scores that ship: others are other labels, which no finished cell would notice."""


class Best(NamedTuple):
    """The two best classes of each image: int64 (N, 2), and their scores float64 (N, 2).

    `tied` says where another class has the score of the second.
    """

    classes: np.ndarray
    scores: np.ndarray
    tied: np.ndarray


def best_two(scores: np.ndarray) -> Best:
    """Out of scores (N, C); of equal scores the lower class comes first."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :3]
    sorted_scores = np.take_along_axis(scores, order, 1).astype(np.float64)
    third = sorted_scores[:, 2] if scores.shape[1] > 2 else np.full(len(scores), -np.inf)
    return Best(order[:, :2], sorted_scores[:, :2], sorted_scores[:, 1] == third)


def flipped(labels: np.ndarray, best: Best, count: int) -> tuple[np.ndarray, float]:
    """Labels with exactly `count` wrong ones, and the share of these that a tie decided.

    First the images whose best class is wrong get that class, the most confident ones first; then
    the others, those with the highest second score first, get their second class. Of equal scores
    the earlier image comes first (a stable sort, the same with every NumPy and processor).
    """
    noisy = labels.copy()
    mistaken = best.classes[:, 0] != labels
    first = _highest(np.flatnonzero(mistaken), best.scores[:, 0])[:count]
    noisy[first] = best.classes[first, 0]
    second = _highest(np.flatnonzero(~mistaken), best.scores[:, 1])[: count - len(first)]
    noisy[second] = best.classes[second, 1]
    return noisy, float(best.tied[second].sum() / count) if count else 0.0


def _highest(positions: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return positions[np.argsort(-scores[positions], kind="stable")]


def packed(best: Best) -> bytes:
    """The two best classes and the ranks of their scores, compressed: all that `flipped` needs.

    Ranks are exact: equal scores have the same one.
    """
    _, ranks = np.unique(best.scores, return_inverse=True)
    buffer = io.BytesIO()
    for array in (
        _smallest(best.classes),
        _smallest(ranks.reshape(best.scores.shape)),
        best.tied,
    ):
        np.lib.format.write_array(buffer, array, version=(1, 0))
    return lzma.compress(buffer.getvalue(), preset=9 | lzma.PRESET_EXTREME)


def _smallest(values: np.ndarray) -> np.ndarray:
    return values.astype(np.min_scalar_type(values.max(initial=0)))


def unpacked(content: bytes) -> Best:
    """What `packed` wrote; ranks stand for scores."""
    stream = io.BytesIO(lzma.decompress(content))
    classes, ranks, tied = (np.lib.format.read_array(stream) for _ in range(3))
    return Best(classes.astype(np.int64), ranks.astype(np.float64), tied)


def own_file(dataset: Dataset, root: Path | None) -> Path:
    """The file of a data set's own scores.

    Raises:
        DataError: there is none.
    """
    places = [EMBEDDED / f"{dataset.name}_scores.xz"]
    if dataset.name in ("cifar10", "cifar10_jpeg"):
        places = [root / FOLDER / STUDENT for root in usual_roots(root)]
        places += [folder / STUDENT for folder in dataset.places(root)]
    for place in places:
        if place.is_file():
            return place
    raise DataError(
        f"feature_dependent: scores of {dataset.name} are not there: looked in "
        f"{', '.join(map(str, places))}; `python datasets/noise/distill.py {dataset.name}` makes a "
        "file of them, to be named as scores"
    )


def read_scores(path: Path, dataset: Dataset) -> Best:
    """The two best classes and scores of a `.xz` of `distill.py`, a `.npy` or a `.npz` (one array).

    Raises:
        DataError: it cannot be read, is another file than it should be, or does not fit.
    """
    content = read_bytes(path)
    if path.parent == EMBEDDED:
        digest = hashlib.sha256(content).hexdigest()
        if digest != MINI_SHA256:
            raise corrupt(path, "sha256", MINI_SHA256, digest)
    try:
        best = unpacked(content) if path.suffix == ".xz" else best_two(_array(path, content))
    except (ValueError, EOFError, KeyError, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no scores: {error}") from error
    if len(best.classes) != dataset.n_train or best.classes.max(initial=0) >= dataset.classes:
        raise DataError(
            f"{path} has scores of {len(best.classes):,} images: {dataset.name} has "
            f"{dataset.n_train:,} of {dataset.classes} classes"
        )
    return best


def _array(path: Path, content: bytes) -> np.ndarray:
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    array = loaded
    if not isinstance(loaded, np.ndarray):
        name = STUDENT_ARRAY if STUDENT_ARRAY in loaded.files else loaded.files[0]
        array = loaded[name]
    if path.name in (STUDENT, STUDENT.replace(".npz", ".npy")):
        digest = hashlib.sha256(np.ascontiguousarray(array, "<f4").tobytes()).hexdigest()
        if digest != STUDENT_SHA256:
            raise corrupt(path, "sha256", STUDENT_SHA256, digest)
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ValueError(f"an array {array.dtype} {array.shape}: must be finite numbers (N, C)")
    return array
