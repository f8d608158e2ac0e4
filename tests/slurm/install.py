"""The programs of SLURM: found on this machine, or installed where that is possible."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PLAIN = {
    "munged": "munge",
    "sbatch": "slurm-client",
    "slurmctld": "slurmctld",
    "slurmd": "slurmd",
}
ACCOUNTING = {"slurmdbd": "slurmdbd", "mariadbd": "mariadb-server"}
"""Programs and the Debian packages that bring them."""

NO_START = (
    "#!/bin/sh\n# Forbids packages to start their services while tests install them.\nexit 101\n"
)
POLICY = Path("/usr/sbin/policy-rc.d")
LOCK = Path(tempfile.gettempdir(), "noisy-label-slurm-install.lock")
PATIENCE = 600
"""Seconds for one call of apt-get."""


class Unavailable(Exception):
    """There can be no SLURM on this machine; the message says why."""


def search_path() -> str:
    """PATH with the folders of daemons, which a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def ensure(accounting: bool) -> None:
    """Installs with apt-get what is missing.

    Args:
        accounting: whether slurmdbd and a MariaDB server are needed too.

    Raises:
        Unavailable: not root, no apt-get, or it fails.
    """
    if os.geteuid() != 0:
        raise Unavailable("needs root: slurmd starts tasks as their owner")
    wanted = PLAIN | (ACCOUNTING if accounting else {})
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other processes may want the same
        _install(wanted)


def _install(wanted: dict[str, str]) -> None:
    packages = [wanted[name] for name in wanted if shutil.which(name, path=search_path()) is None]
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise Unavailable(f"{', '.join(packages)} missing, and no apt-get here to install them")
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(NO_START)
        POLICY.chmod(0o755)
    try:
        command = ("install", "--no-install-recommends", *packages)
        # The package lists may be missing or old: they are fetched only if it fails without.
        if _apt(*command) and (words := _apt("update") or _apt(*command)):
            raise Unavailable(f"apt-get cannot install {', '.join(packages)}: {words}")
    finally:
        if ours:
            POLICY.unlink()


def _apt(*arguments: str) -> str:
    """Runs apt-get; returns what it complained about, and nothing where it did its work."""
    options = ["-qq", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120"]
    try:
        done = subprocess.run(
            ["apt-get", *options, *arguments],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"no end after {PATIENCE} s"
    words = " ".join(done.stderr.split())[-300:]
    return (words or f"exit code {done.returncode}") if done.returncode else ""
