"""Made-up studies on disk, in the form that runs leave, for the tests of `analysis`."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

from runners.results.defects import is_intact
from runners.system.canonical import RESULTS_VERSION, SCHEMA, sha256_of

SYMMETRIC = {"name": "symmetric", "rate": 0.4}
HARDER = {"name": "symmetric", "rate": 0.6}
ASYMMETRIC = {"name": "asymmetric", "rate": 0.4}
CLEAN = {"name": "clean"}

METHODS = {
    "cross_entropy": ("Cross-entropy", [], {}),
    "gce": ("GCE", [], {"q": 0.7}),
    "co_teaching": ("Co-teaching", ["noise_rate"], {"ramp": 0.3}),
    "mw_net": ("Meta-Weight-Net", ["clean_subset"], {"hidden": 100}),
    "metalabelnet": ("MetaLabelNet", ["clean_subset"], {"alpha": 1.0}),
    "clean_only": ("Clean only", ["clean_subset"], {}),
    "fine_tune": ("Fine-tune", ["clean_subset"], {"lr_factor": 0.1}),
    "oracle": ("Oracle", ["true_labels"], {}),
}


def cell(
    method: str, noise: dict[str, Any], seed: int, source: str = "tuned", **changes: Any
) -> dict[str, Any]:
    """A planned cell as it stands in a study file; `source` is of all its hyper-parameters."""
    display, privileges, hparams = METHODS[method]
    rate = noise.get("rate")
    slug = noise["name"] if rate is None else f"{noise['name']}-{rate}"
    shown = noise["name"].replace("_", " ").capitalize() + ("" if rate is None else f" {rate}")
    made = {
        "dataset": "simulated",
        "noise": noise,
        "noise_slug": slug,
        "noise_display": shown,
        "method": method,
        "label": method,
        "display": display,
        "seed": seed,
        "privileges": privileges,
        "track": "fair",
        "hparams": hparams,
        "hparams_source": dict.fromkeys(hparams, source),
        "protocol": {"network": "small_cnn", "epochs": 12, "batch_size": 128, "clean_subset": 250},
        "fingerprint": "code-of-today",
    } | changes
    hashed = [made[name] for name in ("dataset", "noise", "method", "seed", "protocol", "hparams")]
    made["key"] = hashlib.sha256(json.dumps(hashed).encode()).hexdigest()
    made["name"] = f"{made['dataset']}__{slug}__{made['label']}__s{seed}__{made['key'][:8]}"
    return made


def record(
    cell: dict[str, Any],
    last: float,
    noisy_val: float | None = None,
    ensemble: float | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """The record of a finished cell with the given test accuracies."""
    rate = 0.5 * cell["noise"].get("rate", 0) if cell["noise"]["name"] == "asymmetric" else None
    realised = (cell["noise"].get("rate", 0.0) if rate is None else rate) + 0.001 * cell["seed"]
    epochs = cell["protocol"]["epochs"]
    shared = ("dataset", "noise", "noise_slug", "noise_display", "method", "label", "display")
    accuracy = {
        "last": {"epoch": epochs, "test": last},
        "last10": {"epoch": None, "test": last - 0.005},
        "noisy_val": None if noisy_val is None else {"epoch": 5, "test": noisy_val},
        "clean_val": None,
        "test_peek": {"epoch": 6, "test": max(last, noisy_val or 0) + 0.01},
    }
    both = None if ensemble is None else accuracy | {"last": {"epoch": epochs, "test": ensemble}}
    made = {
        "schema": SCHEMA,
        "results_version": RESULTS_VERSION,
        "key": cell["key"],
        "cell": {name: cell[name] for name in (*shared, "seed")},
        "config": {
            name: cell[name]
            for name in ("dataset", "noise", "method", "seed", "protocol", "hparams")
        },
        "track": cell["track"],
        "hparams_source": cell["hparams_source"],
        "privileges": cell["privileges"],
        "counts": {
            "train": 10575, "noisy_val": 1175, "clean_subset": 250, "clean_val": 0, "test": 3000,
        },
        "noise": {
            "nominal_rate": cell["noise"].get("rate", 0.0), "realised_rate": realised,
            "matrix": [[1.0]], "labels_sha256": "0" * 64,
            "train_part": {"realised_rate": realised, "matrix": [[1.0]]},
        },
        "accuracy": accuracy,
        "ensemble_accuracy": both,
        "confusion": {"last": [[3, 1], [0, 4]]},
        "epochs_sha256": sha256_of([]),
        "timing": {"total_s": 1.0},
        "provenance": {"fingerprint": cell["fingerprint"], "data_sha256": "d" * 64},
    } | changes  # fmt: skip
    return signed(made)


def signed(record: dict[str, Any]) -> dict[str, Any]:
    """The record with the checksum that fits it."""
    body = {name: value for name, value in record.items() if name != "record_sha256"}
    return body | {"record_sha256": sha256_of(body)}


def _with_epochs(record: dict[str, Any], epochs: list[dict[str, Any]]) -> dict[str, Any]:
    """A record that names the epochs beside it, unless it is not to be a whole one."""
    return signed(record | {"epochs_sha256": sha256_of(epochs)}) if is_intact(record) else record


def epoch_lines(cell: dict[str, Any], last: float, best: float) -> list[dict[str, Any]]:
    """Learning curves that rise to `best` in the middle and end at `last`."""
    total = cell["protocol"]["epochs"]
    lines = []
    for epoch in range(1, total + 1):
        risen = 1 - math.exp(-1.1 * epoch)
        test = risen * best + (last - best) * max(0.0, epoch / total - 0.4) / 0.6
        given = 0.05 + 0.9 * max(0.0, best - last) * (epoch / total) ** 2
        corrupted = {"fits_given": given, "fits_true": max(0.0, test - given)}
        lines.append(
            {
                "epoch": epoch, "lr": 0.05, "train": {"loss": 2 / epoch}, "test": test,
                "noisy_val": 0.6 * test, "clean_val": None, "ensemble_test": None, "seconds": 1.0,
                "memorisation": {
                    "clean_part": {"fits_given": test, "fits_true": test},
                    "corrupted_part": None if cell["noise"]["name"] == "clean" else corrupted,
                },
            }
        )  # fmt: skip
    return lines


def write_study(
    folder: Path,
    cells: list[dict[str, Any]],
    records: list[dict[str, Any]],
    epochs: dict[str, list[dict[str, Any]]] | None = None,
    *,
    packed: bool = False,
    protocol: dict[str, Any] | None = None,
) -> Path:
    """Lay a study out in `folder` and return it; `epochs` are by key."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"protocol": {"hparams": "tuned"} | (protocol or {}), "run": {"workers": 2}}
    head = {"schema": SCHEMA, "study": folder.name, "config": config, "cells": cells}
    (folder / "study.json").write_text(json.dumps(head), encoding="utf-8")
    epochs, names = epochs or {}, {cell["key"]: cell["name"] for cell in cells}
    records = [_with_epochs(made, epochs.get(made["key"], [])) for made in records]
    if packed:
        lines = [json.dumps(made | {"epochs": epochs.get(made["key"], [])}) for made in records]
        (folder / "records.jsonl").write_text("".join(f"{line}\n" for line in lines))
        return folder
    for made in records:
        place = folder / "cells" / names.get(made["key"], f"other__{made['key'][:8]}")
        place.mkdir(parents=True)
        (place / "record.json").write_text(json.dumps(made), encoding="utf-8")
        lines = [json.dumps(line) for line in epochs.get(made["key"], [])]
        (place / "epochs.jsonl").write_text("".join(f"{line}\n" for line in lines))
    return folder
