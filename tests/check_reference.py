"""Compares the suite's losses and steps with vectors: `python tests/check_reference.py FOLDER`.

Loads every file of the folder whose name begins with that of a check (`CHECKS`), computes the same
quantities in float64 with the methods of the suite, and prints the largest absolute difference per
quantity; a stored quantity that is no input and is not compared is named with the reason, and a
file without a check is named. Exit code 1 if a difference is above 1e-8 or a quantity is left out
without a reason, 2 if there is nothing to check.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch
from torch import Tensor

from tests.vector_checks.checks import CHECKS, Check
from tests.vector_checks.common import INPUT

TOLERANCE = 1e-8
UNKNOWN = "nobody has said why"


def check_of(path: Path) -> Check:
    return CHECKS[next(name for name in CHECKS if path.name.startswith(name))]


def differences(path: Path) -> dict[str, float | str]:
    """Largest absolute difference per quantity that a file holds; inf where shapes differ.

    Of a quantity that is not compared, and is no input, why.
    """
    check = check_of(path)
    with np.load(path, allow_pickle=False) as file:
        vectors = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    found = {}
    for name, value in check.compute(vectors):
        if name not in vectors:
            continue
        ours, expected = value.detach().double(), vectors[name].double()
        same = ours.shape == expected.shape
        found[name] = _largest(ours - expected) if same else float("inf")
    if not found:
        return {"nothing to compare": float("inf")}
    reasons = {name: check.reason(name) or UNKNOWN for name in vectors if name not in found}
    return found | {name: reason for name, reason in reasons.items() if reason != INPUT}


def _largest(gap: Tensor) -> float:
    return float(gap.abs().max()) if gap.numel() else 0.0


def main() -> int:
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        print("usage: python tests/check_reference.py FOLDER (a folder of .npz files)")
        return 2
    everything = sorted(Path(sys.argv[1]).glob("*.npz"))
    files = [path for path in everything if path.name.startswith(tuple(CHECKS))]
    for path in everything:
        if path not in files:
            print(f"no check for file {path.name}")
    if not files:
        print(f"{sys.argv[1]} holds no file to check: must hold one of {', '.join(CHECKS)} *.npz")
        return 2
    worst = 0.0
    for path in files:
        for name, found in differences(path).items():
            if isinstance(found, str):
                print(f"{path.name:<24} {name:<32} not compared: {found}")
                worst = float("inf") if found == UNKNOWN else worst
                continue
            print(f"{path.name:<24} {name:<32} {found:.2e}")
            worst = max(worst, found) if found == found else float("inf")
    print(f"{len(files)} files, largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
