"""What reading a large study costs: `python analysis/benchmark_analysis.py`.

Makes a packed study of `--cells` records with `--epochs` epochs each in a temporary folder, out of
the records of the committed default study, and prints seconds (wall and CPU) and the peak of memory
of loading it, of the frame of cells, of that of epochs and of the page of `report.py`.
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
from analysis.report_page import page
from runners.system.canonical import sha256_of

SOURCE = ROOT / "results" / "reference" / "default"
SETTINGS, SEEDS = 40, 5


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
        text = timed("report", lambda: page.render(study, None, [], None))
        print(f"{len(text.encode()) / 1e6:.2f} MB of report")


def timed(what: str, function: Callable[[], Any]) -> Any:
    """Calls the function and prints a line."""
    wall, cpu = time.perf_counter(), time.process_time()
    found = function()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{what:16} {wall:6.1f} s, CPU {cpu:6.1f} s, peak memory {peak:6.0f} MiB", flush=True)
    return found


def make(folder: Path, count: int, epochs: int) -> None:
    """Writes the study: `SETTINGS` with `SEEDS` of as many methods as so many cells need.

    Numbers are those of the default study's records again and again. Keys, fingerprints and splits
    differ as those of a real study do.
    """
    head = json.loads((SOURCE / "study.json").read_text(encoding="utf-8"))
    lines = (SOURCE / "records.jsonl").read_text(encoding="utf-8").splitlines()
    known = {cell["key"]: cell for cell in head["cells"]}
    originals: dict[str, list] = {}
    for line in lines:
        record, text = _longer(json.loads(line), epochs)
        planned = known[record["key"]]
        originals.setdefault(planned["method"], []).append((record, text, planned))
    methods, head["cells"] = list(originals), []
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        for number in range(count):
            method = number // (SETTINGS * SEEDS)
            mine = originals[methods[method % len(methods)]]
            record, text, planned = mine[number % len(mine)]
            planned, origin = _changed(planned, number, epochs)
            head["cells"].append(planned)
            cell = {name: planned[name] for name in record["cell"]}
            changes = {"key": planned["key"], "cell": cell}
            record = record | changes | {"provenance": record["provenance"] | origin}
            record["record_sha256"] = sha256_of(record)
            file.write(f'{json.dumps(record, separators=(",", ":"))[:-1]},"epochs":{text}}}\n')
    (folder / "study.json").write_text(json.dumps(head), encoding="utf-8")


def _changed(
    planned: dict[str, Any], number: int, epochs: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """A planned cell at another place of the grid, and what its record says of code and split."""
    place, seed = divmod(number, SEEDS)
    method, setting = divmod(place, SETTINGS)
    rate = round(0.9 * (setting + 1) / SETTINGS, 4)
    label, slug = f"{planned['method']}-{method}", f"symmetric-{rate}"
    key, fingerprint, split = map(_digest, (number, f"method {method}", (setting, seed)))
    planned = planned | {
        "key": key, "seed": seed, "label": label, "display": f"{planned['display']} {method}",
        "name": f"{planned['dataset']}__{slug}__{label}__s{seed}__{key[:8]}",
        "noise": {"name": "symmetric", "rate": rate}, "noise_slug": slug,
        "noise_display": f"Symmetric {rate}", "fingerprint": fingerprint,
        "protocol": planned["protocol"] | {"epochs": epochs},
    }  # fmt: skip
    return planned, {"fingerprint": fingerprint, "split_sha256": split}


def _digest(value: Any) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


def _longer(record: dict[str, Any], epochs: int) -> tuple[dict[str, Any], str]:
    """A record with more epochs, without checksum, and the text of these epochs."""
    lines = record.pop("epochs")
    lines = [lines[n % len(lines)] | {"epoch": n + 1} for n in range(epochs)]
    record = {name: value for name, value in record.items() if name != "record_sha256"}
    return record | {"epochs_sha256": sha256_of(lines)}, json.dumps(lines, separators=(",", ":"))


if __name__ == "__main__":
    command.run(main)
