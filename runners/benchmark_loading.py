"""Images a second from a packed file, and by a plain DataLoader: `runners/benchmark_loading.py`.

Photographs of 256 pixels (random pieces of the one that matplotlib ships) are packed; each loader
then gives the same random crops of 224 pixels, flipped and normalised, in batches on the CPU, with
as many threads or processes as `--threads`: decoded by the same operator, or by Pillow; those of
the packed file are cut by the threads, and also as for a GPU, a batch at once. How far their pixels
are apart is measured too.
"""

from __future__ import annotations

import argparse
import functools
import io
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch
from matplotlib import cbook
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.v2 import functional

from datasets.listed import IMAGENET
from datasets.listing import UNVERIFIED, Listing, Part
from datasets.packed import Packed, PackedImages
from datasets.packing import QUALITY, Wanted, pack
from runners.cell import streamed
from runners.cell.batches import epoch_batches, image_set
from runners.cell.crops import crops_of, draw_crops
from runners.speed.speed_files import JSON_HELP, write_rows

STORED, SIZE, BATCH = 256, 224, 128


def packed_photographs(folder: Path, count: int) -> PackedImages:
    """Pieces of a photograph of different sizes, short side 256, as a packed file."""
    rng = np.random.default_rng(0)
    with cbook.get_sample_data("grace_hopper.jpg") as file, Image.open(file) as image:
        whole = image.convert("RGB")
    (folder / "images").mkdir()
    paths = tuple(f"images/{number}.jpg" for number in range(count))
    for path in paths:
        side, longer = int(rng.integers(200, 400)), float(rng.uniform(1, 1.28))
        wide, high = (side, int(side * longer))[:: rng.choice([1, -1])]
        left, top = (
            rng.integers(0, whole.width - wide + 1),
            rng.integers(0, whole.height - high + 1),
        )
        piece = whole.crop((int(left), int(top), int(left) + wide, int(top) + high))
        piece.save(folder / path, quality=QUALITY)
    labels = np.arange(count) % 10
    part = Part(folder, paths, labels, np.full(count, UNVERIFIED, np.int8))
    wanted = Wanted("photographs", Listing({"train": part}), STORED, "short", 0.0)
    pack(wanted, folder / "photographs.packed", os.cpu_count() or 1, lambda here, done: None)
    return Packed(folder / "photographs.packed").images("train")


class Plain(Dataset):
    """What a person would write: decode, crop, flip and normalise one image after the other."""

    def __init__(self, images: PackedImages, views: np.ndarray, decode: Callable) -> None:
        self.images, self.views, self.decode = images, views, decode

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, item: tuple[int, int]) -> Tensor:
        row, position = item
        image = self.decode(self.images.jpeg(position))
        view = self.views[row]
        place = crops_of(view[None], np.array([image.shape[1:]]), SIZE).boxes[0].tolist()
        image = functional.resized_crop(image, *place, [SIZE, SIZE])
        image = functional.hflip(image) if view[2] else image
        return functional.normalize(image.float() / 255, IMAGENET["mean"], IMAGENET["std"])


def by_pillow(content: bytes) -> Tensor:
    with Image.open(io.BytesIO(content)) as image:
        return torch.from_numpy(np.asarray(image.convert("RGB")).transpose(2, 0, 1).copy())


def loaders(
    images: PackedImages, augment: str, threads: int
) -> dict[str, Callable[[], Iterator[Tensor]]]:
    """Name -> a function that begins an epoch of batches of images (B, 3, 224, 224) float."""
    count = len(images) // BATCH * BATCH
    labels = np.zeros(len(images), np.int64)
    data = image_set(images, labels, IMAGENET["mean"], IMAGENET["std"], SIZE, torch.device("cpu"))
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))[:count]
    views = draw_crops(rng, count, augment)
    pairs = list(enumerate(order.tolist()))
    batches = [pairs[start : start + BATCH] for start in range(0, count, BATCH)]
    pool = ThreadPoolExecutor(threads)
    streamed._threads = lambda: pool

    def packed(whole: bool) -> Callable[[], Iterator[Tensor]]:
        own = replace(data, whole=whole)
        epoch = functools.partial(epoch_batches, own, batch_size=BATCH, augment=augment)
        return lambda: (parts[0] for parts in epoch(rng=np.random.default_rng(0)))

    def plain(decode: Callable) -> Callable[[], Iterator[Tensor]]:
        own = Plain(images, views, decode)
        return lambda: iter(DataLoader(own, batch_sampler=batches, num_workers=threads))

    return {
        "packed": packed(whole=False),
        "packed, cut as for a GPU": packed(whole=True),
        "DataLoader": plain(streamed.decode),
        "DataLoader, Pillow": plain(by_pillow),
    }


def measure(images: PackedImages, augment: str, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Images a second of each loader (median of rounds in turn), and how far pixels are apart."""
    made = loaders(images, augment, threads)
    first = {name: next(begin()) for name, begin in made.items()}
    deviation = torch.tensor(IMAGENET["std"]).view(-1, 1, 1)
    levels = {
        name: float(((batch - first["packed"]) * deviation * 255).abs().max())
        for name, batch in first.items()
    }
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(rounds):
        for name, begin in made.items():
            began = time.perf_counter()
            count = sum(len(batch) for batch in begin())
            seconds[name].append((time.perf_counter() - began) / count)
    return [
        {
            "loader": name,
            "augment": augment,
            "threads": threads,
            "images_a_second": round(1 / statistics.median(values)),
            "ratio": round(statistics.median(seconds["DataLoader"]) / statistics.median(values), 2),
            "largest_difference": round(levels[name], 4),
        }
        for name, values in seconds.items()
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--images", type=int, default=3072, help="in the packed file (default 3072)"
    )
    parser.add_argument(
        "--augment", choices=("crop_flip", "resized_crop_flip"), default="crop_flip"
    )
    parser.add_argument("--rounds", type=int, default=5, help="epochs a loader (default 5)")
    parser.add_argument("--threads", type=int, default=2, help="threads or processes (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help=JSON_HELP)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        images = packed_photographs(Path(folder), options.images)
        rows = measure(images, options.augment, options.threads, options.rounds)
    for row in rows:
        print(
            f"{row['loader']}: {row['images_a_second']:,} images a second with {options.threads} "
            f"threads, {row['ratio']} x DataLoader; pixels differ by {row['largest_difference']} "
            "levels at most"
        )
    if options.json:
        write_rows(options.json, "cpu-loading", rows, ["augment"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
