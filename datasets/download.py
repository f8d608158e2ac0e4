"""Fetches a data set into the folders that torchvision uses: never done inside a run.

python datasets/download.py NAME [--data DIR]
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import io
import os
import socket
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import datasets
from datasets.base import DataError, Dataset, FileDataset

_SECONDS_WITHOUT_ANSWER = 30.0


def download(dataset: Dataset, root: Path) -> Path:
    """Downloads a data set, verifies it and moves it into `root`.

    Args:
        dataset: one with a `torchvision_class`.
        root: data root; made if it is not there. Nothing is left in it after a failure.

    Returns:
        The folder that now holds the files.

    Raises:
        DataError: it cannot be downloaded, or `root` cannot be written to.
    """
    if dataset.torchvision_class is None or not isinstance(dataset, FileDataset):
        raise DataError(f"{dataset.name} cannot be downloaded: {dataset.how_to_get}")
    target = root / dataset.folder
    # Staged on the same disk, so that the files appear by renaming only.
    parent = next(place for place in (root, *root.parents) if place.is_dir())
    try:
        with tempfile.TemporaryDirectory(prefix=".download-", dir=parent) as staging:
            _fetch(dataset, Path(staging))
            source = Path(staging) / dataset.folder
            for name in dataset.files:
                dataset.content(source, name)
            target.mkdir(parents=True, exist_ok=True)
            for file in source.iterdir():
                if file.suffix != ".gz":
                    file.replace(target / file.name)
    except OSError as error:
        raise DataError(f"{error.filename or root} cannot be written: {error.strerror}") from error
    return target


def _fetch(dataset: Dataset, folder: Path) -> None:
    """Lets torchvision download into `folder`; every failure becomes one sentence."""
    try:
        from torchvision import datasets as sources
    except ImportError as error:
        raise DataError(
            f"{dataset.name} cannot be downloaded: torchvision is missing ({error}); "
            "type `make setup` first"
        ) from error
    waiting = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SECONDS_WITHOUT_ANSWER)  # torchvision itself would wait for ever
    try:
        # torchvision prints every failed mirror to stdout; the sentence below says it once.
        with contextlib.redirect_stdout(io.StringIO()):
            getattr(sources, dataset.torchvision_class)(str(folder), download=True)
    except (OSError, RuntimeError, EOFError) as error:  # URLError and HTTPError are OSErrors
        reason = " ".join(str(error).split()).rstrip(":")
        raise DataError(
            f"{dataset.name} could not be downloaded ({reason}); check the network, or bring "
            f"its files from elsewhere into {dataset.folder} of a data root (--data DIR)"
        ) from error
    finally:
        socket.setdefaulttimeout(waiting)


def _default_root() -> Path:
    return Path(os.environ.get("DATA_ROOT") or ROOT / "data")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", metavar="NAME", help=", ".join(datasets.names()))
    parser.add_argument("--data", type=Path, metavar="DIR", help="default: DATA_ROOT, else data/")
    options = parser.parse_args(arguments)
    if options.name not in datasets.names():
        near = difflib.get_close_matches(options.name, datasets.names(), n=1, cutoff=0)
        print(
            f"NAME: there is no data set {options.name!r}, did you mean {near[0]}? "
            f"Allowed are {', '.join(datasets.names())}",
            file=sys.stderr,
        )
        return 2
    root = (options.data or _default_root()).expanduser().absolute()
    try:
        if options.name == "image_folder":
            raise DataError("image_folder cannot be downloaded: it is a folder of your own images")
        folder = download(datasets.get(options.name), root)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.name} is in {folder}; runs find it with --data {root}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
