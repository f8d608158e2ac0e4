"""Wheels for a machine without network that has torch: `python runners/fetch_wheels.py`.

Downloads what such a machine lacks, in the versions of requirements.lock, into `wheels/`, and says
how large that is. Over there, in the repository:

    python -m pip install --no-index --no-deps --target site wheels/*.whl
    PYTHONPATH=site python runners/gpu_check.py --out results/gpu_check
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from runners.commands.arguments import guarded
from runners.system.console import counted
from runners.system.errors import UserError

LACKING = (
    *("annotated-types", "pydantic", "pydantic_core", "ruamel.yaml", "submitit"),
    *("typing-inspection", "typing_extensions", "cloudpickle"),
)
"""What the suite needs and a machine set up for torch, numpy, pandas and pytest may not have."""
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (28, 27, 17)] + ["manylinux2014_x86_64"]


def locked(names: list[str], lock: Path = ROOT / "requirements.lock") -> list[str]:
    """Requirements `name==version` of these packages.

    Raises:
        UserError: one of them is not in the lock file.
    """
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
    pinned = {_canonical(line.partition("==")[0]): line for line in lines}
    if unknown := [name for name in names if _canonical(name) not in pinned]:
        raise UserError(f"{', '.join(unknown)}: not in {lock.name}: must be packages named there")
    return [pinned[_canonical(name)] for name in names]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def fetch(names: list[str], python: str, folder: Path) -> int:
    """Downloads the wheels and prints their size; returns the exit code."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--implementation", "cp"]
    command += ["--python-version", python, "--dest", str(folder)]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    if subprocess.run([*command, *locked(names)]).returncode != 0:
        print("pip could not download all wheels; its reason stands above", file=sys.stderr)
        return 1
    wheels = list(folder.glob("*.whl"))
    size = sum(wheel.stat().st_size for wheel in wheels)
    print(f"{folder}: {counted(len(wheels), 'wheel')}, {size / 1e6:.1f} MB")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(LACKING), help="default: what lacks there")
    parser.add_argument("--python", default="3.12", help="version over there (default 3.12)")
    parser.add_argument("--out", type=Path, default=ROOT / "wheels", metavar="DIR")
    options = parser.parse_args()
    return guarded(lambda: fetch(options.names, options.python, options.out))


if __name__ == "__main__":
    sys.exit(main())
