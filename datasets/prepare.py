"""Packs a large data set into one file of small images: once, before the first run.

python datasets/prepare.py NAME [--size 256] [--fit short|stretch] [--data DIR]

Reads a person's copy, writes NAME-SIZE.packed beside it, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import datasets
from datasets.base import DataError
from datasets.listed import ListedDataset
from datasets.packed import Packed

EVERY = 10.0
"""Seconds between two lines of progress."""


def large() -> list[str]:
    """Names of the data sets that are packed."""
    names = datasets.names()
    return [name for name in names if issubclass(datasets.REGISTRY.load(name), ListedDataset)]


class Progress:
    """Says how many images are done, how fast, and how long the rest takes."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count
        self.began = self.last = time.monotonic()

    def __call__(self, here: int, done: int) -> None:
        now = time.monotonic()
        if now - self.last < EVERY and done < self.count:
            return
        self.last = now
        rate = here / max(1e-9, now - self.began)
        left = (self.count - done) / rate / 60
        print(
            f"{self.name}: {done:,} of {self.count:,} images, {rate:,.0f} a second, "
            f"{left:,.0f} min left",
            file=sys.stderr,
            flush=True,
        )


def prepare(options: argparse.Namespace) -> Path:
    """Makes the packed file that the options name; returns it.

    Raises:
        DataError: the copy is not what it should be.
        OSError: nothing can be written.
    """
    from datasets.packing import Wanted, pack  # brings Pillow, which a wrong name can do without

    kind = datasets.REGISTRY.load(options.name)
    size = {} if options.size is None else {"stored": options.size}
    dataset = kind(kind.Parameters(fit=options.fit, **size))
    listing = dataset.listing(options.data)
    for note in listing.notes:
        print(f"{options.name}: {note}", file=sys.stderr)
    stored = dataset.parameters.stored
    wanted = Wanted(options.name, listing, stored, options.fit, options.most_broken)
    folder = options.out or dataset.find(options.data)
    place = folder / dataset.packed_name
    pack(wanted, place, options.threads, Progress(options.name, wanted.count))
    for part, path, why in Packed(place).meta["left_out"]:
        print(f"left out of {part}: {path} cannot be read ({why})", file=sys.stderr)
    return place


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", metavar="NAME", choices=large(), help=", ".join(large()))
    parser.add_argument("--size", type=int, metavar="PIXELS", help="short side; default: that of "
                        "the data set, 256 or 320")  # fmt: skip
    parser.add_argument("--fit", choices=("short", "stretch"), default="short", help="stretch "
                        "makes images square; default: short, they keep their shape")  # fmt: skip
    parser.add_argument("--data", type=Path, default=os.environ.get("DATA_ROOT"), metavar="DIR",
                        help="data root; default: DATA_ROOT, else data/")  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: beside the copy")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), metavar="N")
    parser.add_argument("--most-broken", type=float, default=0.001, metavar="SHARE",
                        help="share of images that may be unreadable; default 0.001")  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        place = prepare(options)
    except (DataError, ValueError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 2
    except OSError as error:
        where = error.filename or options.out or "the packed file"
        print(f"{where} cannot be written: {error.strerror or error}; the same command goes on "
              "later", file=sys.stderr)  # fmt: skip
        return 2
    print(f"{options.name} is packed in {place} ({place.stat().st_size / 2**30:.2f} GiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
