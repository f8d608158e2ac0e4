"""Pack a finished study into the form that is committed: study.json and records.jsonl.

python analysis/pack_study.py results/default [--out results/reference/default] [--samples MB]

With `--samples` also samples.npz: the columns of every cell's samples as `<8 digits>/<column>`, by
the first digits of its key, fractions in half precision, if it is no larger than so many MB.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np

from analysis import command, samples, studies
from analysis.studies import Study
from runners.system.canonical import SCHEMA
from runners.system.console import counted
from runners.system.errors import UserError
from runners.system.files import write_atomically, write_json, write_text


def main() -> None:
    """Pack the study folder that the command line names."""
    parser = argparse.ArgumentParser(description="Pack a study for results/reference.")
    parser.add_argument("study", type=Path, metavar="STUDY_DIR")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="default: results/reference/<study>"
    )
    parser.add_argument(
        "--samples", type=float, metavar="MB", help="also pack the samples, of at most this size"
    )
    arguments = parser.parse_args()
    study = studies.load(arguments.study)
    if study.packed:
        raise UserError(f"{study.folder} is packed already")
    if not study.records:
        raise UserError(f"{study.folder} has no finished cell to pack")
    folder = arguments.out or ROOT / "results" / "reference" / study.name
    packed = None if arguments.samples is None else _samples(study, arguments.samples)
    size = pack(study, folder)
    if packed is not None:
        write_atomically(folder / "samples.npz", lambda file: file.write(packed))
    for sentence in study.sentences():
        print(sentence)
    print(
        f"Packed {counted(len(study.records), 'cell')} of {study.name} into {folder} "
        f"({size / 1e6:.1f} MB)"
    )


def pack(study: Study, folder: Path) -> int:
    """Write a live study in the committed form and return the bytes of its records.

    The planned cells all stay, so tables of the packed study still show what is missing. Each gets
    the fingerprint of the code at packing, so what is stale now is marked as stale for ever. The
    part `run` of the config (workers, device, folders of one machine) is left out.
    """
    config = {name: value for name, value in study.config.items() if name != "run"}
    cells = []
    for cell in study.cells:
        record = study.records.get(cell["key"])
        cells.append(
            cell | {"fingerprint": studies.current_fingerprint(record) if record else None}
        )
    head = {"schema": SCHEMA, "study": study.name, "config": config, "cells": cells}
    lines = [
        json.dumps(
            study.records[cell["key"]] | {"epochs": study.epochs(cell)}, separators=(",", ":")
        )
        for cell in study.cells
        if cell["key"] in study.records
    ]
    path = write_text(folder / "records.jsonl", "".join(f"{line}\n" for line in lines))
    write_json(folder / "study.json", head)
    return path.stat().st_size


def _samples(study: Study, most_mb: float) -> bytes:
    """The packed samples of all finished cells.

    Raises:
        UserError: they would be larger, or those of a cell are not as they were written.
    """
    columns: dict[str, np.ndarray] = {}
    for key, record in study.records.items():
        found = samples.read(study.sources[key] / "samples.npz", record)
        if found is None:
            raise UserError(f"{study.planned[key]}: samples.npz is not as it was written")
        columns |= {f"{key[:8]}/{name}": _narrow(column) for name, column in found.items()}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)
    if (size := buffer.tell() / 1e6) > most_mb:
        raise UserError(f"--samples: {most_mb:g} is too little: the samples take {size:.1f} MB")
    return buffer.getvalue()


def _narrow(column: np.ndarray) -> np.ndarray:
    return column.astype(np.float16) if column.dtype.kind == "f" else column


if __name__ == "__main__":
    command.run(main)
