"""What a trained cell amounts to: the compared part of its record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import datasets.noise
from datasets.noise.statistics import realised
from methods.base import Method
from runners.cell import evaluation, record
from runners.cell.build import Data
from runners.cell.noisy_labels import NO_CLASS
from runners.cell.splits import Split
from runners.system.canonical import SCHEMA

if TYPE_CHECKING:
    from runners.study.cell import Cell


def summarise(
    cell: Cell, data: Data, sets: evaluation.DeviceData, method: Method, history: record.History
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The compared part of the record, and the columns of `samples.npz`."""
    final = evaluation.outputs(method, sets.train)
    corrected, probability = method.corrected_labels(), method.clean_probability()
    given, truth = sets.train.labels, sets.train_truth
    eval_set = sets.eval_name
    ensemble = f"ensemble_{eval_set}"
    predicted = evaluation.outputs(method, sets.eval_set).predicted
    warmup = method.warmup_epochs
    summary = {
        "schema": SCHEMA,
        **_identity(cell),
        "config": cell.config,
        "counts": _counts(data.split, sets),
        "noise": _noise(cell, data),
        "accuracy": record.accuracies(history, eval_set),
        "ensemble_accuracy": (
            record.accuracies(history, ensemble) if ensemble in history[0] else None
        ),
        "end_of_warmup": history[min(warmup, len(history)) - 1][eval_set] if warmup else None,
        "memorisation": evaluation.memorisation_numbers(final.predicted, given, truth),
        "labels": evaluation.label_metrics(corrected, given, truth),
        "selection": evaluation.selection_metrics(probability, given, truth),
        "confusion": evaluation.confusion(predicted, sets.eval_set.labels, data.dataset.classes),
        "final_weights_sha256": record.weights_sha256(method.network),
    }
    samples = record.sample_arrays(
        data.split.train, given, final.predicted, final.given_probability, corrected, probability
    )
    return summary, samples


def _identity(cell: Cell) -> dict[str, Any]:
    named = (
        "dataset",
        "noise",
        "noise_slug",
        "noise_display",
        "method",
        "label",
        "display",
        "seed",
    )
    return {
        "key": cell.key,
        "cell": {name: getattr(cell, name) for name in named},
        "track": cell.track,
        "hparams_source": cell.hparams_source,
        "privileges": cell.privileges,
    }


def _counts(split: Split, sets: evaluation.DeviceData) -> dict[str, int]:
    parts = ("train", "noisy_val", "clean_subset", "clean_val")
    counts = {part: len(getattr(split, part)) for part in parts}
    return {**counts, sets.eval_name: len(sets.eval_set)}


def _noise(cell: Cell, data: Data) -> dict[str, Any]:
    model = datasets.noise.of(cell.noise)
    truth, part = data.noisy.truth, data.split.train
    rate, matrix = realised(truth[part], data.noisy.labels[part], data.dataset.classes)
    classless = int((truth == NO_CLASS).sum())
    return {
        **({"no_true_class": classless} if classless else {}),
        "nominal_rate": model.nominal_rate,
        "realised_rate": data.noisy.rate,
        "matrix": data.noisy.matrix.tolist(),
        "labels_sha256": data.noisy.sha256,
        "train_part": {"realised_rate": rate, "matrix": matrix.tolist()},
    }
