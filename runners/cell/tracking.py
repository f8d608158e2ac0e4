"""What is followed over the epochs of a cell: means of every image, and each epoch's confusion.

All of it stays on the device in a few tensors by name (`Tracker.values`), which a checkpoint holds.
Methods know nothing of it: the logits of a training step are those that the reported network gives
for the batch's own images, seen by a hook; a method that never passes these leaves an image unseen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from methods.base import Batch
from runners.cell.criteria import History, chosen, tail
from runners.cell.evaluation import DeviceData, Outputs, fit_of_labels

BINS = 15
"""Of equal width, in which the calibration of the predicted probability is measured."""

MOST_PENDING = 1 << 20
"""Logits that are kept before they are added to the sums; an addition a step would cost more."""


class Tracker:
    """Sums over the epochs so far.

    Args:
        sets: data of the cell.
        classes: C.

    Attributes:
        values: name -> tensor: `<part>_count`, `<part>_probability` and `<part>_margin` (N,) and
            `<part>_classes` (N, C), probabilities of the classes, are sums over passes; `sample`
            (S,) the last predictions of the fixed training sample; `confusion_<position>` (C, C)
            and `calibration_<position>` (3, BINS) of an epoch.
    """

    def __init__(self, sets: DeviceData, classes: int) -> None:
        self.sets, self.classes = sets, classes
        self.values: dict[str, Tensor] = {}
        self.pending: list[tuple[Tensor, Tensor]] = []
        self.parts = {"train": sets.train, "noisy_val": sets.noisy_val, "eval": sets.eval_set}
        for part, data in self.parts.items():
            for name in ("count", "probability", "margin") if data is not None else ():
                zeros = torch.zeros(len(data), device=data.labels.device)
                self.values[f"{part}_{name}"] = zeros
            if data is not None:
                zeros = torch.zeros(len(data), classes, device=data.labels.device)
                self.values[f"{part}_classes"] = zeros

    def restore(self, values: dict[str, Tensor]) -> None:
        """Goes on from the `values` of an earlier attempt."""
        device = self.sets.train.labels.device
        self.values.update({name: value.to(device) for name, value in values.items()})

    @contextlib.contextmanager
    def step(self, network: nn.Module, batch: Batch) -> Iterator[None]:
        """Notes what the network says of the batch's images while a method makes its step."""
        found: list[Tensor] = []

        def hook(module: nn.Module, given: tuple[Any, ...], output: Any) -> None:
            own = module is network and len(given) == 1 and given[0] is batch.images
            if own and not found and isinstance(output, Tensor):
                found.append(output.detach().clone())

        handle = network.register_forward_hook(hook)
        try:
            yield
        finally:
            handle.remove()
        if found and found[0].shape == (len(batch.index), self.classes):
            self.pending.append((batch.index, found[0]))
            if len(self.pending) * found[0].numel() >= MOST_PENDING:
                self.flush()

    def flush(self) -> None:
        """Adds the noted logits to the sums: every image in it was seen once."""
        if not self.pending:
            return
        index = torch.cat([index for index, _ in self.pending])
        logits = torch.cat([logits for _, logits in self.pending])
        self.pending = []
        probabilities = logits.float().softmax(1)
        self.values["train_classes"].index_add_(0, index, probabilities)
        fit = fit_of_labels(probabilities, self.sets.train.labels[index])
        for name, value in zip(("probability", "margin"), fit, strict=True):
            self.values[f"train_{name}"].index_add_(0, index, value)
        self.values["train_count"].index_add_(0, index, torch.ones_like(fit[0]))

    def evaluated(self, part: str, found: Outputs) -> None:
        """Adds an epoch's evaluation of the part `noisy_val` or `eval`."""
        self.values[f"{part}_probability"] += found.given_probability
        self.values[f"{part}_margin"] += found.margin
        self.values[f"{part}_classes"] += found.probabilities
        self.values[f"{part}_count"] += 1

    def changed(self, predicted: Tensor) -> Tensor | None:
        """How many predictions (S,) of the sample are others than an epoch ago; None at first."""
        before = self.values.get("sample")
        self.values["sample"] = predicted
        return None if before is None else (predicted != before).sum()

    def confusion(self, position: int, found: Outputs) -> Tensor:
        """Keeps the confusion and calibration of an epoch; returns each class's accuracy (C,)."""
        labels = self.sets.eval_set.labels
        counts = confusion(found.predicted, labels, self.classes)
        right = found.predicted == labels
        self.values[f"confusion_{position}"] = counts
        self.values[f"calibration_{position}"] = calibration(found.confidence, right)
        return counts.diagonal().double() / counts.sum(1)

    def forget(self, history: History, key: str, warmup: int, epochs: int) -> None:
        """Drops the confusions of epochs that no criterion can report any more.

        Args:
            history, key, warmup: as of `criteria.chosen`.
            epochs: of the whole training.
        """
        reported = chosen(history, key, warmup).values()
        kept = {position for positions in reported if positions for position in positions}
        kept.update(range(epochs - tail(epochs), epochs))
        for position in range(len(history)):
            if position not in kept:
                self.values.pop(f"confusion_{position}", None)
                self.values.pop(f"calibration_{position}", None)

    def means(self, part: str) -> dict[str, Tensor]:
        """Mean probability and margin (N,) of a part's own labels; NaN where it was never seen.

        Also the class of the highest mean probability, -1 where never seen.
        """
        count = self.values[f"{part}_count"]
        means = {
            f"mean_{name}": self.values[f"{part}_{name}"] / count
            for name in ("probability", "margin")
        }
        best = self.values[f"{part}_classes"].argmax(1).short()
        return means | {"mean_prediction": torch.where(count > 0, best, -1)}

    def by_criterion(self, history: History, key: str, warmup: int) -> dict[str, dict[str, Any]]:
        """`confusion` (rows are true classes) and `calibration` of the epochs of each criterion.

        Counts are summed over the epochs that a criterion takes the mean of. Calibration: images,
        mean probability of the prediction and accuracy of each of `BINS` bins of that probability;
        None in an empty one. Criteria that cannot be applied are None.
        """
        found: dict[str, dict[str, Any]] = {"confusion": {}, "calibration": {}}
        for criterion, positions in chosen(history, key, warmup).items():
            for kind, of_kind in found.items():
                each = [self.values[f"{kind}_{position}"] for position in positions or ()]
                of_kind[criterion] = torch.stack(each).sum(0).cpu() if each else None
        for criterion, counts in found["confusion"].items():
            found["confusion"][criterion] = None if counts is None else counts.tolist()
        for criterion, sums in found["calibration"].items():
            found["calibration"][criterion] = None if sums is None else _of_bins(sums)
        return found


def confusion(predicted: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(C, C) counts, rows are true classes."""
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=labels.device)
    counts.index_add_(0, labels * classes + predicted, torch.ones_like(labels))
    return counts.view(classes, classes)


def calibration(confidence: Tensor, right: Tensor) -> Tensor:
    """(3, BINS) float64: images, sum of confidence (N,) and number of right ones (N,) by bin."""
    place = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)
    values = torch.stack([torch.ones_like(confidence), confidence, right.to(confidence.dtype)])
    sums = torch.zeros(3, BINS, dtype=torch.float64, device=confidence.device)
    return sums.index_add_(1, place, values.double())


def _of_bins(sums: Tensor) -> dict[str, list]:
    count, confidence, right = sums.tolist()
    return {
        "count": [int(n) for n in count],
        "confidence": [c / n if n else None for c, n in zip(confidence, count, strict=True)],
        "accuracy": [r / n if n else None for r, n in zip(right, count, strict=True)],
    }
