"""What noise did in fact: realised rate and matrix, and a fingerprint of labels."""

from __future__ import annotations

import hashlib

import numpy as np


def realised(labels: np.ndarray, noisy: np.ndarray, classes: int) -> tuple[float, np.ndarray]:
    """Counts what became of the labels.

    Args:
        labels: true labels, int (N,); -1 for samples of none of the classes.
        noisy: noisy labels, int (N,).
        classes: C.

    Returns:
        Share of wrong labels (0 for no labels; a label of a sample without a true class is wrong),
        and, of the samples that have one, the share of each noisy label per true class:
        float64 (C, C), rows sum to 1; a class without samples has its identity row.

    Raises:
        ValueError: the two vectors differ in length.
    """
    labels, noisy = np.asarray(labels, np.int64), np.asarray(noisy, np.int64)
    if labels.shape != noisy.shape:
        raise ValueError(f"{labels.shape} true labels and {noisy.shape} noisy ones do not pair")
    known = labels >= 0
    pairs = labels[known] * classes + noisy[known]
    counts = np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    total = counts.sum(axis=1, keepdims=True)
    matrix = np.where(total > 0, counts / np.maximum(total, 1), np.eye(classes))
    rate = float(np.mean(labels != noisy)) if len(labels) else 0.0
    return rate, matrix


def labels_sha256(labels: np.ndarray) -> str:
    """Hex SHA-256 of the labels as little-endian int64, the same on every machine."""
    return hashlib.sha256(np.asarray(labels).astype("<i8").tobytes()).hexdigest()
