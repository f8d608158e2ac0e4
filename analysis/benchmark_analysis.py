"""What reading a large study costs: `python analysis/benchmark_analysis.py`.

Makes a packed study of `--cells` records with `--epochs` epochs each in a temporary folder, out of
the records of the committed default study, and prints seconds (wall and CPU) and the peak of memory
of loading it, of the frame of cells and of that of epochs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from analysis import command, frames, studies
from runners.system.canonical import sha256_of

SOURCE = ROOT / "results" / "reference" / "default"


def main() -> None:
    """Makes the study, reads it and prints what that took."""
    parser = argparse.ArgumentParser(description="Time the analysis of a large study.")
    parser.add_argument("--cells", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=120)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), arguments.cells, arguments.epochs)
        size = (Path(name) / "records.jsonl").stat().st_size / 1e6
        print(f"{arguments.cells} cells with {arguments.epochs} epochs: {size:.0f} MB")
        study = timed("load", lambda: studies.load(Path(name)))
        assert len(study.records) == arguments.cells
        timed("frame of cells", lambda: frames.cells(study))
        timed("frame of epochs", lambda: frames.epochs(study))


def timed(what: str, function: Callable[[], Any]) -> Any:
    """Calls the function and prints a line."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:16} {wall:6.1f} s, CPU {cpu:6.1f} s, peak memory {peak:6.0f} MiB", flush=True)
    return found


def make(folder: Path, count: int, epochs: int) -> None:
    """Writes the study: the default study's records again and again, each with a key of its own."""
    head = json.loads((SOURCE / "study.json").read_text(encoding="utf-8"))
    lines = (SOURCE / "records.jsonl").read_text(encoding="utf-8").splitlines()
    known = {cell["key"]: cell for cell in head["cells"]}
    originals = [_longer(json.loads(line), epochs) for line in lines]
    head["cells"] = []
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            record, text = originals[number % len(originals)]
            planned = known[record["key"]]
            key = hashlib.sha256(str(number).encode()).hexdigest()
            seed = 1000 + number // len(originals)
            name = f"{planned['name'].rpartition('__s')[0]}__s{seed}__{key[:8]}"
            head["cells"].append(planned | {"key": key, "seed": seed, "name": name})
            record = record | {"key": key, "cell": record["cell"] | {"seed": seed}}
            record["record_sha256"] = sha256_of(record)
            file.write(f'{json.dumps(record, separators=(",", ":"))[:-1]},"epochs":{text}}}\n')
    (folder / "study.json").write_text(json.dumps(head), encoding="utf-8")


def _longer(record: dict[str, Any], epochs: int) -> tuple[dict[str, Any], str]:
    """A record with more epochs, without checksum, and the text of these epochs."""
    lines = record.pop("epochs")
    lines = [lines[n % len(lines)] | {"epoch": n + 1} for n in range(epochs)]
    record = {name: value for name, value in record.items() if name != "record_sha256"}
    return record | {"epochs_sha256": sha256_of(lines)}, json.dumps(lines, separators=(",", ":"))


if __name__ == "__main__":
    command.run(main)
