"""What the commands of this folder share: arguments, finding studies, mistakes as sentences."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ruamel.yaml import YAML, YAMLError

from analysis import criteria
from analysis.studies import Study, find, load
from runners.system.console import safe_streams
from runners.system.errors import UserError
from runners.system.names import is_name, unknown

ROOT = Path(__file__).resolve().parents[1]


def parser(description: str, product: str) -> argparse.ArgumentParser:
    """Arguments for naming studies and the place of what is made of them.

    Args:
        description: first line of the help.
        product: name of a study's subfolder for the output.
    """
    arguments = argparse.ArgumentParser(description=description)
    arguments.add_argument(
        "studies", nargs="*", type=Path, metavar="STUDY_DIR",
        help="study folders, as run or packed, or study files (default: every study of results/)",
    )  # fmt: skip
    arguments.add_argument(
        "--results", type=Path, default=ROOT / "results", metavar="DIR",
        help="where studies are looked for if none is named (default: results/ of the checkout)",
    )  # fmt: skip
    arguments.add_argument(
        "--out", type=Path, metavar="DIR",
        help=f"write here instead of STUDY_DIR/{product}; several studies get a folder each",
    )  # fmt: skip
    return arguments


def chosen(text: str) -> list[str]:
    """Names of criteria out of the argument `--criterion`.

    Raises:
        UserError: one of them is no criterion.
    """
    try:
        return criteria.parse(text)
    except ValueError as error:
        raise UserError(str(error)) from None


def labels(text: str) -> list[str]:
    """Labels in a comma-separated argument."""
    return list(dict.fromkeys(label.strip() for label in text.split(",") if label.strip()))


def check_labels(study: Study, option: str, names: Iterable[str]) -> None:
    """Whether the study has all methods that an option names.

    Raises:
        UserError: it lacks one.
    """
    known = list(dict.fromkeys(cell["label"] for cell in study.cells))
    for name in names:
        if name not in known:
            raise UserError(unknown(option, name, f"method of study {study.name}", known))


def studies(arguments: argparse.Namespace, product: str) -> list[tuple[Study, Path]]:
    """The studies that the arguments name, each with its output folder.

    Raises:
        UserError: none found, a folder is no study, or two of one name would share an output
            folder.
    """
    named = [folder_of(path, arguments.results) for path in arguments.studies]
    folders = named or find(arguments.results)
    if not folders:
        raise UserError(
            f"no study found under {arguments.results}: run `python runners/run_grid.py "
            f"benchmark.yaml` first, or name a study folder"
        )
    loaded = []
    for folder in folders:
        try:
            loaded.append(load(folder))
        except UserError as error:
            if len(folders) == 1:
                raise
            print(f"left out: {error}", file=sys.stderr)
    if not loaded:
        raise UserError(f"none of the {len(folders)} studies can be read")
    names = [study.name for study in loaded]
    twice = next((name for name in names if names.count(name) > 1), None)
    if arguments.out and twice:
        raise UserError(f"--out {arguments.out}: two of the studies have the name {twice}")
    places = []
    for study in loaded:
        if arguments.out is None:
            places.append((study, study.folder / product))
        else:
            places.append((study, arguments.out / study.name if len(loaded) > 1 else arguments.out))
    return places


def folder_of(path: Path, results: Path) -> Path:
    """The folder itself, or that of a study named by its YAML file."""
    if path.suffix not in (".yaml", ".yml") or not path.is_file():
        return path
    try:
        name = YAML(typ="safe", pure=True).load(path)["study"]
        if not is_name(name):
            raise ValueError("study is no name")
    except (YAMLError, ValueError, KeyError, TypeError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"{path}: names no study ({text}): must have the key study") from None
    return results / name


def run(main: Callable[[], None]) -> None:
    """Call a command; a mistake of the user is a sentence on stderr and exit code 2."""
    safe_streams()
    try:
        main()
        sys.stdout.flush()
    except BrokenPipeError:  # `make_tables.py | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except (UserError, OSError) as error:
        if isinstance(error, OSError):
            error = f"cannot use {error.filename}: {error.strerror}"
        print(f"{Path(sys.argv[0]).name}: {error}", file=sys.stderr)
        raise SystemExit(2) from None
