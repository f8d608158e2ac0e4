"""Which labels are probably wrong: scores of every image of a setting, out of its samples.

The score is one minus the probability of the given label, as a mean over epochs (what a network
says of an image while it trains on it, or, of images that it does not train on, at the evaluations
of the epochs), then over methods and seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis import samples
from analysis.studies import Study
from datasets.base import NO_CLASS, UNKNOWN, Arrays, Dataset


@dataclass(frozen=True)
class Group:
    """Finished cells of one setting that were given the same labels.

    Attributes:
        name: for files: empty if it is the only one of its study.
        cells: with their records, as `study.json` and the records have them.
    """

    name: str
    cells: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]

    @property
    def first(self) -> Mapping[str, Any]:
        return self.cells[0][0]


def stem(group: Group) -> str:
    """Name of the files of a group's list, without an ending."""
    return f"suspects_{group.name}" if group.name else "suspects"


def groups(study: Study) -> list[Group]:
    """The finished cells by data set, noise and labels."""
    found: dict[tuple[str, str, str], list] = {}
    for cell in study.cells:
        if record := study.records.get(cell["key"]):
            labels = str(record["noise"].get("labels_sha256"))
            key = (cell["dataset"], cell["noise_slug"], labels)
            found.setdefault(key, []).append((cell, record))
    settings = [key[:2] for key in found]
    named = []
    for (dataset, slug, _), cells in found.items():
        parts = [dataset, slug] if len(set(settings)) > 1 else []
        several = settings.count((dataset, slug)) > 1
        parts += [f"s{cells[0][0]['seed']}"] if several else []
        named.append(Group("__".join(parts), cells))
    return named


def table(study: Study, group: Group, dataset: Dataset, arrays: Arrays) -> pd.DataFrame:
    """Every image of the setting that has a given label, worst first, unscored ones last.

    Columns: `rank` (from 1), `path` or `index` (official), `given` and `proposed` (names of
    classes), `score` in [0, 1], `agree` (share of the cells whose most probable class on average is
    the proposed one), `trained` (whether any network trained on it), `label` (empty), `truth`
    (number of the true class, `NO_CLASS`, or `UNKNOWN`) and `position` (in the training part,
    behind it in the test part). `attrs["cells"]`: how many cells had their samples.

    Raises:
        ValueError: no cell of the group has its samples.
    """
    cells = list(_columns(study, group))
    count = len(arrays.train_labels)
    has_paths = "path" in arrays.train_inputs
    total = count + (len(arrays.test_labels) if has_paths else 0)
    given, truth = _labels(study, group, cells, arrays, total)
    scores, proposals, trained = [], [], np.zeros(total, bool)
    for columns in cells:
        probability, proposal = np.full(total, np.nan), np.full(total, -1)
        for place, values, best, seen in _parts(columns, count, total):
            probability[place], proposal[place] = values, best
            trained[place] |= seen
        scores.append(1 - probability)
        proposals.append(proposal)
    if not scores:
        raise ValueError("none of its cells has its samples")
    known = np.isfinite(scores)
    mean = np.where(known, scores, 0).sum(0) / np.maximum(known.sum(0), 1)
    proposed, agree = _majority(np.array(proposals), dataset.classes)
    frame = pd.DataFrame({"position": np.arange(total), "given": given, "truth": truth})
    frame["proposed"], frame["agree"] = proposed, agree.round(3)
    frame["score"] = np.where(known.any(0), mean, np.nan).round(6)
    frame["trained"], frame["label"] = trained, ""
    frame = frame[frame["given"] >= 0].sort_values("score", ascending=False, kind="stable")
    frame["rank"] = np.arange(1, len(frame) + 1)
    names = dict(enumerate(dataset.class_names))
    for column in ("given", "proposed"):
        frame[column] = frame[column].map(names).fillna("")
    where = "path" if has_paths else "index"
    names = files(arrays, dataset) if has_paths else np.arange(total)
    frame[where] = names[frame["position"]]
    shown = ["rank", where, "given", "proposed", "score", "agree", "trained", "label"]
    frame = frame[[*shown, "truth", "position"]].reset_index(drop=True)
    frame.attrs["cells"] = len(cells)
    return frame


def files(arrays: Arrays, dataset: Dataset) -> np.ndarray:
    """Paths of the images of a data set that has some, by position: training, then test."""
    return np.concatenate([arrays.train_inputs["path"], np.array(dataset.files("test"))])


def _columns(study: Study, group: Group) -> Iterator[dict[str, np.ndarray]]:
    for cell, record in group.cells:
        columns = samples.read(study.sources[cell["key"]] / "samples.npz", record)
        if columns is not None and "mean_prediction" in columns:
            yield columns


def _parts(
    columns: Mapping[str, np.ndarray], count: int, total: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | bool]]:
    """Positions of each part of a cell, mean probability and best class, whether trained on."""
    seen = columns["passes"] > 0
    yield columns["index"], columns["mean_probability"], columns["mean_prediction"], seen
    for part, place in (
        ("noisy_val", columns.get("noisy_val_index")),
        ("test", np.arange(count, total)),
    ):
        values = columns.get(f"{part}_mean_probability")
        if place is not None and values is not None and len(place):
            yield place, values, columns[f"{part}_mean_prediction"], False


def _majority(proposals: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The class (N,) that most cells (K, N) propose, -1 where none does, and the share that do."""
    votes = np.stack([(proposals == c).sum(0) for c in range(classes)])
    asked = votes.sum(0)
    return np.where(asked > 0, votes.argmax(0), -1), votes.max(0) / np.maximum(asked, 1)


def _labels(
    study: Study,
    group: Group,
    cells: Sequence[Mapping[str, np.ndarray]],
    arrays: Arrays,
    total: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Given and true labels (total,) int64; -1 where no label was given."""
    given, truth = np.full(total, -1), np.full(total, UNKNOWN)
    truth[: len(arrays.train_labels)] = arrays.train_labels
    given[len(arrays.train_labels) :] = arrays.test_labels[: total - len(arrays.train_labels)]
    for columns in cells:
        given[columns["index"]] = columns["given_label"]
        if "noisy_val_index" in columns:
            given[columns["noisy_val_index"]] = columns["noisy_val_given_label"]
    for file in _stored_labels(study, group):
        given[: len(file["labels"])] = file["labels"]
        if "no_true_class" in file:
            truth[: len(file["labels"])][file["no_true_class"]] = NO_CLASS
    return given, truth


def _stored_labels(study: Study, group: Group) -> Iterator[dict[str, np.ndarray]]:
    """The labels as the cells stored them, which includes those of the clean subset."""
    cell, record = group.cells[0]
    stem = f"{cell['dataset']}__{cell['noise_slug']}__s{cell['seed']}__"
    for path in sorted(Path(study.folder, "noise").glob(f"{stem}*.npz")):
        try:
            file = samples.load(path)
        except samples.UNREADABLE:
            continue
        if str(file.get("sha256")) == record["noise"]["labels_sha256"]:
            yield file
            return


def quality(frame: pd.DataFrame) -> dict[str, float] | None:
    """How good a list is where the truth is known: None where it is not, or no label is wrong.

    Returns:
        `wrong`: share of wrong labels; `average_precision`, `roc_auc`; `found`: share of the wrong
        labels among as many first ones as there are wrong labels.
    """
    from sklearn import metrics  # half a second, which other commands need not wait for

    scored = frame[frame["score"].notna() & (frame["truth"] != UNKNOWN)]
    wrong = scored["wrong"].to_numpy()
    if not len(scored) or wrong.all() or not wrong.any():
        return None
    budget = int(wrong.sum())
    return {
        "wrong": float(wrong.mean()),
        "average_precision": float(metrics.average_precision_score(wrong, scored["score"])),
        "roc_auc": float(metrics.roc_auc_score(wrong, scored["score"])),
        "found": float(wrong[:budget].mean()),
    }
