"""Compares the suite's losses and steps with vectors: `python tests/check_reference.py FOLDER`.

Loads every file of the folder whose name begins with that of a check (`CHECKS`), computes the same
quantities in float64 with the methods of the suite, and prints the largest absolute difference per
quantity; a file without a check is named. Exit code 1 if a difference is above 1e-8, 2 if there is
nothing to check.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

import numpy as np
import torch
from torch import Tensor

from tests.vector_checks import corrections, losses, steps
from tests.vector_checks.common import Vectors

TOLERANCE = 1e-8

CHECKS: dict[str, Callable[[Vectors], Iterator[tuple[str, Tensor]]]] = {
    "gce": losses.check_gce,
    "co_teaching": losses.check_co_teaching,
    "mw_net": steps.check_mw_net,
    "metalabelnet": steps.check_metalabelnet,
    "sce": losses.check_sce,
    "robust_losses": losses.check_robust_losses,
    "bootstrap": losses.check_bootstrap,
    "elr": losses.check_elr,
    "mslg": steps.check_mslg,
    "l2rw": steps.check_l2rw,
    "pencil": losses.check_pencil,
    "jocor": losses.check_jocor,
    "forward_correction": losses.check_forward,
    "joint_optimization": corrections.check_joint_optimization,
    "mlc": corrections.check_mlc,
    "conv_mlc": corrections.check_conv_mlc,
    "mlnt": corrections.check_mlnt,
}


def differences(path: Path) -> dict[str, float]:
    """Largest absolute difference per quantity that a file holds; inf where shapes differ."""
    method = next(name for name in CHECKS if path.name.startswith(name))
    with np.load(path, allow_pickle=False) as file:
        vectors = {name: torch.from_numpy(np.asarray(file[name])) for name in file.files}
    found = {}
    for name, value in CHECKS[method](vectors):
        if name not in vectors:
            continue
        ours, expected = value.detach().double(), vectors[name].double()
        same = ours.shape == expected.shape
        found[name] = float((ours - expected).abs().max()) if same else float("inf")
    return found or {"nothing to compare": float("inf")}


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
        for name, difference in differences(path).items():
            print(f"{path.name:<24} {name:<32} {difference:.2e}")
            worst = max(worst, difference) if difference == difference else float("inf")
    print(f"{len(files)} files, largest difference {worst:.2e}, allowed {TOLERANCE:.0e}")
    return int(worst > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
