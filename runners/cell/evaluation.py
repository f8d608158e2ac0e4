"""Accuracy, memorisation and label metrics, accumulated on the device.

Methods never see what is measured here: true labels of training images and the test set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from datasets.base import UNKNOWN
from methods.base import Method
from runners.cell.batches import AnySet, EndlessBatches

if TYPE_CHECKING:
    from runners.cell.tracking import Tracker

BATCH = 500
"""Images per evaluation batch; part of the protocol, so that the same cell gives the same bits."""


@dataclass(frozen=True)
class DeviceData:
    """The parts of a cell's data on the device.

    Attributes:
        train: training images with their given (noisy) labels.
        train_truth: (n_train,) int64 true labels, for metrics only.
        sample: positions (S,) in `train` on which memorisation is measured every epoch.
        eval_set: the test set, in tuning runs the development set instead.
        eval_name: "test" or "dev".
        noisy_val, clean_val: validation sets, None where their size is 0.
        clean_batches: batches of the clean subset, for methods that may see it.
    """

    train: AnySet
    train_truth: Tensor
    sample: Tensor
    eval_set: AnySet
    eval_name: str
    noisy_val: AnySet | None
    clean_val: AnySet | None
    clean_batches: EndlessBatches | None = None


@dataclass(frozen=True)
class Outputs:
    """Predictions for a whole set: of the reported network, and of the ensemble if there is one.

    Attributes:
        predicted: (N,) int64.
        given_probability: (N,) float, probability of the set's own labels.
        margin: (N,) float, the same less the highest probability of another class.
        confidence: (N,) float, probability of the prediction.
        probabilities: (N, C) float.
        ensemble: (N,) int64 or None.
    """

    predicted: Tensor
    given_probability: Tensor
    margin: Tensor
    confidence: Tensor
    probabilities: Tensor
    ensemble: Tensor | None


@torch.inference_mode()
def outputs(method: Method, data: AnySet) -> Outputs:
    """Runs the method in eval mode over all images of a set, each once."""
    method.eval()
    found, ensemble = [], []
    for images, labels, _ in data.in_order(BATCH):
        members = method.predict_members(images)
        confidence, predicted = members[0].max(1)
        fit = fit_of_labels(members[0], labels)
        found.append((predicted, *fit, confidence, members[0]))
        if len(members) > 1:
            ensemble.append(members.mean(0).argmax(1))
    joined = torch.cat(ensemble) if ensemble else None
    return Outputs(*map(torch.cat, zip(*found, strict=True)), joined)


def fit_of_labels(probabilities: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Probability (N,) of labels (N,) and their margin (N,) over the best other class.

    Args:
        probabilities: (N, C).
    """
    given = probabilities.gather(1, labels[:, None])
    others = probabilities.scatter(1, labels[:, None], -1.0).amax(1)
    return given.squeeze(1), given.squeeze(1) - others


def share(hits: Tensor, among: Tensor | None = None) -> Tensor:
    """Mean of the booleans `hits`, over the positions where `among` holds; NaN over nothing."""
    if among is None:
        return hits.double().mean()
    return (hits & among).double().sum() / among.double().sum()


def memorisation(predicted: Tensor, given: Tensor, truth: Tensor) -> dict[str, dict[str, Tensor]]:
    """How often predictions (N,) fit the given and the true labels, by the part of the data.

    A sample without a true class is corrupted, and left out of `fits_true`; one whose true class is
    not known is in neither part.
    """
    corrupted, known = given != truth, truth != UNKNOWN
    parts = {"clean_part": ~corrupted & known, "corrupted_part": corrupted & known}
    return {
        name: {
            "fits_given": share(predicted == given, part),
            "fits_true": share(predicted == truth, part & (truth >= 0)),
        }
        for name, part in parts.items()
    }


def epoch_metrics(method: Method, tracker: Tracker, position: int) -> dict[str, Any]:
    """What is measured after the epoch at `position`, as tensors on the device (`to_numbers`)."""
    sets = tracker.sets
    eval_set = outputs(method, sets.eval_set)
    tracker.evaluated("eval", eval_set)
    metrics: dict[str, Any] = {sets.eval_name: share(eval_set.predicted == sets.eval_set.labels)}
    metrics[f"{sets.eval_name}_by_class"] = tracker.confusion(position, eval_set)
    if eval_set.ensemble is not None:
        hits = eval_set.ensemble == sets.eval_set.labels
        metrics[f"ensemble_{sets.eval_name}"] = share(hits)
    for name, data in (("noisy_val", sets.noisy_val), ("clean_val", sets.clean_val)):
        found = None if data is None else outputs(method, data)
        metrics[name] = None if found is None else share(found.predicted == data.labels)
        if name == "noisy_val" and found is not None:
            tracker.evaluated(name, found)
    sample = sets.train.subset(sets.sample)
    predicted = outputs(method, sample).predicted
    metrics["changed_predictions"] = tracker.changed(predicted)
    metrics["memorisation"] = memorisation(predicted, sample.labels, sets.train_truth[sets.sample])
    return metrics


def to_numbers(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors of a nested mapping as numbers or lists, None if not finite; one copy for all.

    Whole numbers stay whole.
    """
    leaves: list[Tensor] = []

    def collect(node: Mapping[str, Any]) -> None:
        for value in node.values():
            if isinstance(value, Tensor):
                leaves.append(value.double().reshape(-1))
            elif isinstance(value, Mapping):
                collect(value)

    collect(tree)
    numbers = iter(torch.cat(leaves).tolist()) if leaves else iter(())

    def number(whole: bool) -> float | int | None:
        value = next(numbers)
        return None if not math.isfinite(value) else int(value) if whole else value

    def rebuild(node: Mapping[str, Any]) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key, value in node.items():
            if isinstance(value, Tensor):
                whole = not value.is_floating_point()
                several = [number(whole) for _ in range(value.numel())]
                built[key] = several if value.dim() else several[0]
            else:
                built[key] = rebuild(value) if isinstance(value, Mapping) else value
        return built

    return rebuild(tree)


def memorisation_numbers(predicted: Tensor, given: Tensor, truth: Tensor) -> dict[str, dict | None]:
    """`memorisation` as numbers; a part without a sample is None."""
    return without_empty_parts(to_numbers(memorisation(predicted, given, truth)))


def without_empty_parts(shares: dict[str, dict]) -> dict[str, dict | None]:
    """None in place of a part of the data that holds no sample (clean noise: none corrupted)."""
    return {part: s if s["fits_given"] is not None else None for part, s in shares.items()}


def label_metrics(corrected: Tensor | None, given: Tensor, truth: Tensor) -> dict | None:
    """How often the argmax of corrected labels (n_train, C) is the true class, by part.

    Samples without a true class, or whose true class is not known, are left out.
    """
    known = truth >= 0
    if corrected is None or not known.any():
        return None
    right, corrupted = corrected.argmax(1)[known] == truth[known], (given != truth)[known]
    return to_numbers(
        {
            "accuracy": share(right),
            "on_clean_part": share(right, ~corrupted),
            "on_corrupted_part": share(right, corrupted),
        }
    )


def selection_metrics(
    clean_probability: Tensor | None, given: Tensor, truth: Tensor
) -> dict | None:
    """Precision and recall of the samples that a method takes to be right (above 0.5).

    Samples whose true class is not known are left out.
    """
    known = truth != UNKNOWN
    if clean_probability is None or not known.any():
        return None
    selected, right = clean_probability[known] > 0.5, (given == truth)[known]
    return to_numbers({"precision": share(right, selected), "recall": share(selected, right)})
