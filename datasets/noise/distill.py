"""Scores for feature-dependent noise: `python datasets/noise/distill.py NAME [--out FILE]`.

Trains a teacher and a student on clean labels and keeps the student's two best classes of every
training image, as Algan and Ulusoy (2020, arXiv 2003.10471) make them: the student learns by 0.3 of
cross-entropy and 0.7 of the teacher's softened outputs (temperature 2, their table for CIFAR-10),
with dropout before its last layer. Differences: networks and optimiser are the suite's (the data
set's own network, SGD with a cosine schedule), and teacher and student are trained twice, each
time on one half of the images (halved by class), and score the other half: so no image is scored by
a student that was trained on its clean label. Name the file in a study as
`{name: feature_dependent, rate: 0.4, scores: FILE}`.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import datasets
import networks
from datasets.base import DataError, Dataset
from datasets.check_arrays import checked
from datasets.noise.feature_scores import best_two, packed

HARD, TEMPERATURE, DROPOUT = 0.3, 2.0, 0.5
BATCH, RATE, DECAY = 128, 0.05, 5e-4


class Student(nn.Module):
    """A network of the suite with dropout before its last layer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        features = F.dropout(self.network.features(images), DROPOUT, self.training)
        return self.network.head(features)


def fit(
    network: nn.Module, images: Tensor, labels: Tensor, soft: Tensor | None, epochs: int
) -> None:
    """Trains a network on images (N, C, H, W) and labels (N,), or also on soft labels (N, C)."""
    optimizer = torch.optim.SGD(network.parameters(), RATE, 0.9, weight_decay=DECAY)
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.5 * (1 + math.cos(math.pi * epoch / epochs))
        network.train()
        for index in torch.randperm(len(labels)).split(BATCH):
            if len(index) < 2:
                continue
            logits = network(images[index])
            loss = F.cross_entropy(logits, labels[index])
            if soft is not None:
                warm = F.cross_entropy(logits / TEMPERATURE, soft[index]) * TEMPERATURE**2
                loss = HARD * loss + (1 - HARD) * warm
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()


@torch.inference_mode()
def outputs(network: nn.Module, images: Tensor) -> Tensor:
    """Logits (N, C)."""
    network.eval()
    return torch.cat([network(part) for part in images.split(500)])


def student_scores(dataset: Dataset, root: Path | None, epochs: int, seed: int) -> np.ndarray:
    """Probabilities float32 (n_train, C) of students that did not train on the image."""
    arrays = checked(dataset.load(root), dataset)
    torch.manual_seed(seed)
    halves = torch.from_numpy(_halves(arrays.train_labels, np.random.default_rng(seed)))
    labels = torch.from_numpy(arrays.train_labels)
    shift, scale = (torch.tensor(v).view(-1, 1, 1) for v in (dataset.mean, dataset.std))
    images = (torch.from_numpy(arrays.train_images).float() / 255 - shift) / scale
    scores = torch.empty(len(labels), dataset.classes)
    for half in (0, 1):
        mine, rest = halves == half, halves != half
        teacher, student = (
            networks.build(dataset.default_network, dataset.channels, dataset.size, dataset.classes)
            for _ in range(2)
        )
        fit(teacher, images[mine], labels[mine], None, epochs)
        soft = (outputs(teacher, images[mine]) / TEMPERATURE).softmax(1).clone()
        student = Student(student)
        fit(student, images[mine], labels[mine], soft, epochs)
        scores[rest] = outputs(student, images[rest]).softmax(1)
        error = (scores[rest].argmax(1) != labels[rest]).float().mean()
        print(
            f"half {half + 1} of 2: the student mistakes {error:.2%} of the other half", flush=True
        )
    return scores.numpy()


def _halves(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """0 or 1 for each image, as many of each in every class."""
    halves = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        halves[members[len(members) // 2 :]] = 1
    return halves


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="distill.py", description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=[n for n in datasets.names() if n != "image_folder"])
    parser.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    parser.add_argument("--epochs", type=int, default=30, metavar="N")
    parser.add_argument("--seed", type=int, default=0, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: NAME_scores.xz")
    options = parser.parse_args()
    out = options.out or Path(f"{options.name}_scores.xz")
    torch.set_num_threads(1)
    try:
        dataset = datasets.get(options.name)
        scores = student_scores(dataset, options.data, options.epochs, options.seed)
        out.write_bytes(packed(best_two(scores)))
    except (DataError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"scores of {len(scores):,} images: {out} ({out.stat().st_size:,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
