"""Labels new images by the networks of a study: `python runners/predict.py STUDY FOLDER`.

The study must have been run with `run.keep_weights: true`. Probabilities are means over the seeds
of one method: the one with the best noisy-validation accuracy at the end, or that of `--method`.
Writes `path`, `predicted`, `probability` and a column for each class as CSV.
"""

from __future__ import annotations

import argparse
import csv
import io
import pickle
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch

import networks
from analysis import command, studies
from analysis.studies import Study
from datasets.base import DataError, Dataset
from datasets.folder.decode import BROKEN, square
from datasets.folder.rows import IMAGES, endings, plain_name
from runners.cell.batches import ImageSet
from runners.cell.evaluation import BATCH
from runners.cell.record import weights_sha256
from runners.commands.arguments import guarded
from runners.results.places import data_of_study
from runners.system.errors import UserError
from runners.system.files import write_text

UNREADABLE = (RuntimeError, ValueError, OSError, EOFError)
UNREADABLE += (AttributeError, KeyError, IndexError, TypeError)
"""What torch raises on a file that holds no weights of the network."""
AT_ONCE = 2_000
"""Images that are in memory together."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(prog="predict.py", description=__doc__.splitlines()[0])
    arguments.add_argument("study", type=Path, help="study folder, or the study's YAML file")
    arguments.add_argument("folder", type=Path, help="images, also in folders below it")
    arguments.add_argument("--method", metavar="LABEL", help="whose networks (default: the best)")
    arguments.add_argument("--setting", metavar="NAME", help="noise, or data set and noise joined "
                           "by __, where the study has several")  # fmt: skip
    arguments.add_argument("--results", type=Path, default=ROOT / "results", metavar="DIR")
    arguments.add_argument("--out", type=Path, metavar="FILE", help="default: predictions.csv in "
                           "the study's results")  # fmt: skip
    return arguments


def run(options: argparse.Namespace) -> int:
    """Labels the images.

    Raises:
        UserError, DataError: something that the user can mend.
    """
    study = studies.load(command.folder_of(options.study, options.results))
    cells = _chosen(study, options)
    files = _images(options.folder)
    dataset = _dataset(study, cells)
    members = [_network(study, cell, dataset) for cell in cells]
    rows, unread = [], 0
    for start in range(0, len(files), AT_ONCE):
        part = [_read(options.folder, name, dataset) for name in files[start : start + AT_ONCE]]
        good = [(name, image) for name, image in part if image is not None]
        unread += len(part) - len(good)
        if good:
            probabilities = _probabilities(members, np.stack([image for _, image in good]), dataset)
            rows += [
                (name, *_row(p, dataset)) for (name, _), p in zip(good, probabilities, strict=True)
            ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "predicted", "probability", *dataset.class_names])
    writer.writerows(rows)
    path = write_text(options.out or study.folder / "predictions.csv", text.getvalue())
    left_out = f"; {unread:,} could not be read" if unread else ""
    print(
        f"{len(rows):,} images labelled by {cells[0]['display']} "
        f"({len(cells)} network{'s' * (len(cells) != 1)}): {path}{left_out}"
    )
    return 0


def _chosen(study: Study, options: argparse.Namespace) -> list[Mapping[str, Any]]:
    """The finished cells of one setting and method."""
    done = [cell for cell in study.cells if cell["key"] in study.records]
    if not done:
        raise UserError(f"study {study.name}: no cell is finished: run it first")
    names = {f"{c['dataset']}__{c['noise_slug']}": c["noise_slug"] for c in done}
    fitting = [name for name, slug in names.items() if options.setting in (None, name, slug)]
    if len(fitting) != 1:
        raise UserError(f"--setting: must be one of {', '.join(names)}")
    done = [c for c in done if f"{c['dataset']}__{c['noise_slug']}" == fitting[0]]
    by_label: dict[str, list[Mapping[str, Any]]] = {}
    for cell in done:
        by_label.setdefault(cell["label"], []).append(cell)
    if options.method is not None and options.method not in by_label:
        raise UserError(f"--method: {options.method!r}: must be one of {', '.join(by_label)}")
    best = max(by_label, key=lambda label: _noisy_accuracy(study, by_label[label]))
    return by_label[options.method or best]


def _dataset(study: Study, cells: Sequence[Mapping[str, Any]]) -> Dataset:
    """The data set of some cells, whose classes must be those that they learned.

    Raises:
        UserError: it has changed since, or cannot be told any more.
    """
    label = cells[0]["dataset"]
    own = data_of_study(study.folder, label)
    try:
        dataset = own.dataset
        # Of own files the classes are those of today; of others the code fixes them.
        today = dataset.load(own.root).sha256 if own.places else None
    except (DataError, ImportError, KeyError, ValueError) as error:
        raise UserError(f"study {study.name}: {label} cannot be read: {error}") from error
    known = {study.records[cell["key"]]["provenance"].get("data_sha256") for cell in cells}
    if today is not None and known - {today, None, ""}:
        raise UserError(
            f"study {study.name}: {label} has changed since its networks were trained: its classes "
            "may be others; run the study again (--rerun-stale)"
        )
    return dataset


def _noisy_accuracy(study: Study, cells: Sequence[Mapping[str, Any]]) -> float:
    """Mean accuracy on held-out images with given labels after the last epoch; -1 without such."""
    ends = [study.epochs(cell)[-1:] for cell in cells]
    values = [end[0].get("noisy_val") for end in ends if end]
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else -1.0


def _network(study: Study, cell: Mapping[str, Any], dataset: Dataset) -> torch.nn.Module:
    """The reported network of a cell, as it was at the end.

    Raises:
        UserError: it was not kept, or is another one than the record's.
    """
    path = study.sources[cell["key"]] / "network.pt"
    if not path.is_file():
        raise UserError(
            f"{path} is not there: run the study again with run.keep_weights: true "
            f"(remove {path.parent} first)"
        )
    network = networks.build(
        cell["protocol"]["network"], dataset.channels, dataset.size, dataset.classes
    )
    try:
        # Wherever it was trained, here it runs on the processor.
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:  # whose own words advise to run what it holds
        raise UserError(f"{path} is no file of weights: remove {path.parent}, run again") from error
    except UNREADABLE as error:
        raise UserError(f"{path} does not fit: {' '.join(str(error).split())[:200]}") from error
    if weights_sha256(network) != study.records[cell["key"]]["final_weights_sha256"]:
        raise UserError(f"{path} is not the network of its record: remove {path.parent}, run again")
    return network.eval()


def _images(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: must be a folder of images")
    names = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    files = [n.as_posix() for n in names if not any(p.startswith(".") for p in n.parts)]
    shown = sorted(name for name in files if name.lower().endswith(IMAGES))
    if not shown:
        raise UserError(f"{folder} holds no images: must have {', '.join(IMAGES)}")
    if others := endings([name for name in files if not name.lower().endswith(IMAGES)]):
        print(f"left out, no images by their ending: {others}", file=sys.stderr)
    return shown


def _read(folder: Path, name: str, dataset: Dataset) -> tuple[str, np.ndarray | None]:
    """The image as the study saw its own; None, said on stderr, where it cannot be read."""
    fit = "stretch" if getattr(dataset.parameters, "fit", "") == "stretch" else "crop"
    stored = dataset.parameters.stored if dataset.packed else dataset.size
    where = folder / plain_name(name)
    middle = slice(round((stored - dataset.size) / 2), round((stored + dataset.size) / 2))
    try:
        name.encode()  # a CSV of text cannot hold it else
        image = square((folder / name).read_bytes(), stored, dataset.channels, fit)
        return name, image[:, middle, middle]
    except BROKEN as error:
        why = "its name is not UTF-8" if isinstance(error, UnicodeError) else error
        print(f"left out: {where} cannot be read ({why})", file=sys.stderr)
        return name, None


@torch.inference_mode()
def _probabilities(
    members: Sequence[torch.nn.Module], images: np.ndarray, dataset: Dataset
) -> np.ndarray:
    """Mean probabilities float32 (N, C) of the networks."""
    labels = np.zeros(len(images), np.int64)
    data = ImageSet.build(images, labels, dataset.mean, dataset.std, torch.device("cpu"))
    found = [
        torch.stack([network(batch).softmax(1) for network in members]).mean(0)
        for batch, _, _ in data.in_order(BATCH)
    ]
    return torch.cat(found).numpy()


def _row(probabilities: np.ndarray, dataset: Dataset) -> list[str]:
    best = int(probabilities.argmax())
    shown = [f"{value:.4f}" for value in probabilities.tolist()]
    return [dataset.class_names[best], shown[best], *shown]


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parser().parse_args())))
