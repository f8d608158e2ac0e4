"""The confident joint (Northcutt, Jiang and Chuang, JAIR 2021, arXiv 1911.00068), its noise rate.

Counts how often labels go with classes that a network is confident of, out of sample. As in
cleanlab 2.9: a sample whose probabilities pass the thresholds of several classes counts for its
most probable class of all, and rows are scaled to the number of samples with their label.
"""

from __future__ import annotations

import numpy as np


def thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Mean probability of each class over the samples labelled so: float64 (C,).

    Args:
        labels: given labels, int (N,).
        probabilities: float (N, C), out of sample.

    Returns:
        Infinite for a class that no sample is labelled as.
    """
    classes = probabilities.shape[1]
    count = np.bincount(labels, minlength=classes)
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    total = np.bincount(labels, weights=own, minlength=classes)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def confident_joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Counts (C, C), rows are given labels, columns the classes that a network is confident of.

    Arguments as of `thresholds`.
    """
    classes = probabilities.shape[1]
    confident = probabilities >= thresholds(labels, probabilities) - 1e-6  # as cleanlab rounds
    number = confident.sum(1)
    column = np.where(number > 1, probabilities.argmax(1), confident.argmax(1))
    pairs = (labels * classes + column)[number > 0]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def joint(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Estimated joint distribution of given and true labels: float64 (C, C), summing to 1.

    A label without a confident sample is taken to be right.
    """
    classes = probabilities.shape[1]
    counts = confident_joint(labels, probabilities).astype(np.float64)
    empty = counts.sum(1) == 0
    counts[empty] = np.eye(classes)[empty]
    given = np.bincount(labels, minlength=classes)
    scaled = counts / counts.sum(1, keepdims=True) * given[:, None]
    return scaled / scaled.sum()


def noise_rate(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Estimated share of wrong labels: what lies off the diagonal of the joint."""
    return float(1 - np.trace(joint(labels, probabilities)))
