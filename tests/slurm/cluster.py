"""A real SLURM of one node, started from nothing and taken down without a trace.

For tests, as root on Debian or Ubuntu, on loopback only; systemd is not needed. By hand:

    eval "$(python tests/slurm/cluster.py up)"    # then squeue, sbatch and scontrol work here
    python tests/slurm/cluster.py status
    python tests/slurm/cluster.py down

Partitions: `main` (default, one day), `preempt` (requeued when `main` needs the CPUs) and `short`
(two minutes). With `--accounting`: account `lab`, QOS `normal`, `brief` (MaxWall one minute) and
`few` (two jobs in the queue).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from tests.slurm import configuration, processes
from tests.slurm.configuration import ACCOUNT, NODE, Settings
from tests.slurm.faults import Faults
from tests.slurm.install import Unavailable, ensure, search_path
from tests.slurm.processes import Daemon, poll

BY_HAND = Path("/tmp/noisy-label-slurm")
LONGEST_FOLDER = 80
"""Letters; the name of a Unix socket may have 107."""
START = 60
"""Seconds within which a daemon must answer: the machine may be busy."""


class Cluster(Faults):
    """One node, its daemons and its folder.

    Attributes:
        folder: everything that the cluster writes.
        settings: what it offers.
    """

    def __init__(self, folder: Path, settings: Settings | None = None) -> None:
        """A cluster that is running in the folder is taken over with its settings."""
        self.folder = folder.resolve()
        if len(str(self.folder)) > LONGEST_FOLDER:
            raise Unavailable(f"{self.folder} is too long a name: at most {LONGEST_FOLDER} letters")
        self.conf = self.folder / "slurm.conf"
        self.made = self.folder / "cluster.json"
        if self.made.exists():
            settings = Settings(**json.loads(self.made.read_text()))
        self.settings = settings or Settings()
        names = ["munged", "slurmctld", "slurmd"]
        if self.settings.accounting:
            names[1:1] = ["mariadbd", "slurmdbd"]
        self.daemons = {name: Daemon(name, self.folder) for name in names}

    @property
    def env(self) -> dict[str, str]:
        """The environment of commands on this cluster, without traces of any other one."""
        foreign = ("SLURM_", "SBATCH_", "SQUEUE_", "SACCT_", "SCANCEL_", "SRUN_")
        kept = {key: text for key, text in os.environ.items() if not key.startswith(foreign)}
        return {**kept, "PATH": search_path(), "SLURM_CONF": str(self.conf)}

    def start(self) -> None:
        """Installs what is missing, writes the configuration and starts what does not run.

        Raises:
            Unavailable: SLURM cannot be installed here.
            TimeoutError: a daemon does not answer; the message ends with its log.
        """
        ensure(self.settings.accounting)
        if not self.made.exists():
            for name in ("run", "log", "state", "spool", "gpu"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            configuration.write(self.folder, self.settings, _free_ports())
            self.made.write_text(json.dumps(vars(self.settings)))
        for name, daemon in self.daemons.items():
            if daemon.pid is None:
                getattr(self, f"_start_{name}")()

    def stop(self) -> None:
        """Ends every process of the cluster and removes its folder; jobs are killed."""
        # The controller first: it would requeue what is killed next.
        for name in ("slurmctld", "slurmd"):
            self.daemons[name].stop()
        processes.kill_jobs(self.conf)
        for daemon in reversed(self.daemons.values()):
            daemon.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def problem(self) -> str:
        """Why the cluster cannot be used; empty if it can."""
        dead = [name for name, daemon in self.daemons.items() if daemon.pid is None]
        if dead:
            return f"{', '.join(dead)} not running"
        state = self.node_state()
        return "" if state in ("idle", "mixed", "allocated") else f"node {NODE} is {state}"

    def log(self, name: str, lines: int = 30) -> str:
        """The end of a daemon's log."""
        texts = [self.folder / "log" / f"{name}.{end}" for end in ("log", "out")]
        found = [text.read_text(errors="replace") for text in texts if text.exists()]
        return "\n".join("".join(found).splitlines()[-lines:])

    def _answers(self, name: str, *command: str, says: str = "") -> None:
        def question() -> bool:
            code, words = self.ask(*command)
            return code == 0 and says in words

        poll(question, START, lambda: f"{name} does not answer\n{self.log(name)}")

    def _start_munged(self) -> None:
        run, key = self.folder / "run", self.folder / "run" / "munge.key"
        if not key.exists():
            key.touch(mode=0o600)
            key.write_bytes(os.urandom(1024))
        # --force: its folder may belong to somebody else or be open to others.
        options = {
            "key-file": key,
            "socket": run / "munge.socket",
            "pid-file": run / "munged.own.pid",
            "log-file": self.folder / "log" / "munged.log",
            "seed-file": run / "munge.seed",
        }
        given = [f"--{option}={value}" for option, value in options.items()]
        self.daemons["munged"].start(["munged", "--foreground", "--force", *given], self.env)
        self._answers("munged", "munge", "-n", "-S", str(run / "munge.socket"))

    def _start_mariadbd(self) -> None:
        data, log = self.folder / "mariadb", self.folder / "log" / "mariadbd.log"
        door = self.folder / "run" / "mariadb.socket"
        if not data.exists():
            made = ["--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db"]
            self.run("mariadb-install-db", *made, "--auth-root-authentication-method=normal")
        port = self.port("StoragePort", "slurmdbd.conf")
        options = [f"--datadir={data}", f"--socket={door}", f"--log-error={log}", "--user=root"]
        options += [f"--port={port}", "--bind-address=127.0.0.1"]
        options += ["--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=2"]
        self.daemons["mariadbd"].start(["mariadbd", "--no-defaults", *options], self.env)
        sql = ["mariadb", "--no-defaults", "-uroot", "-S", str(door), "-e"]
        self._answers("mariadbd", *sql, "select 1")
        user = "slurm@'127.0.0.1'"
        self.run(*sql, f"create user if not exists {user} identified by 'slurm'")
        self.run(*sql, f"grant all on slurm_acct_db.* to {user}")

    def _start_slurmdbd(self) -> None:
        environment = {**self.env, "SLURM_CONF": str(self.folder / "slurmdbd.conf")}
        self.daemons["slurmdbd"].start(["slurmdbd", "-D"], environment)
        self._answers("slurmdbd", "sacctmgr", "-n", "list", "cluster")
        # The account must be there before slurmctld starts: the first jobs would be refused.
        for what in (
            "cluster test",
            f"account {ACCOUNT} cluster=test",
            "qos brief MaxWall=00:01:00",
            "qos few MaxSubmitJobsPerUser=2",
            f"user root account={ACCOUNT} cluster=test qos=normal,brief,few defaultqos=normal",
        ):
            self.ask("sacctmgr", "-i", "-Q", "add", *what.split())  # it may be there already
        where = ["user", "root", "where", "cluster=test", "set", f"defaultaccount={ACCOUNT}"]
        self.ask("sacctmgr", "-i", "-Q", "modify", *where)

    def _start_slurmctld(self) -> None:
        self.daemons["slurmctld"].start(["slurmctld", "-D", "-f", self.conf], self.env)
        self._answers("slurmctld", "scontrol", "ping", says="UP")

    def _launch_slurmd(self, *options: str) -> None:
        self.daemons["slurmd"].start(["slurmd", "-D", "-f", self.conf, *options], self.env)

    def _start_slurmd(self) -> None:
        self._launch_slurmd()
        poll(lambda: not self.problem(), START, lambda: f"{self.problem()}\n{self.log('slurmd')}")

    def port(self, key: str, file: str = "slurm.conf") -> str:
        """The port that stands under a key of a configuration file."""
        lines = (self.folder / file).read_text().splitlines()
        return next(line.partition("=")[2] for line in lines if line.startswith(f"{key}="))


def _free_ports() -> dict[str, int]:
    """A free loopback port for each daemon that listens on one."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in configuration.DAEMONS]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    return dict(zip(configuration.DAEMONS, ports, strict=True))


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[Cluster]:
    """A cluster in a new temporary folder, which is gone at the end, whatever happens.

    Raises:
        Unavailable: SLURM cannot be had here.
    """
    parent = tempfile.gettempdir()
    folder = tempfile.mkdtemp(prefix="slurm-", dir=parent if len(parent) < 40 else "/tmp")
    cluster = Cluster(Path(folder), settings)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def main() -> int:
    """The command line; `up` prints what a shell has to evaluate."""
    parser = argparse.ArgumentParser(description="A SLURM of one node to play with.")
    parser.add_argument("command", choices=["up", "status", "down"])
    parser.add_argument("--folder", type=Path, default=BY_HAND, help="of the cluster")
    parser.add_argument("--accounting", action="store_true", help="with sacct, accounts and QOS")
    parser.add_argument("--gpus", type=int, default=2, help="advertised GPUs, played by /dev/null")
    options = parser.parse_args()
    try:
        settings = Settings(accounting=options.accounting, gpus=options.gpus)
        cluster = Cluster(options.folder, settings)
        if options.command == "down":
            cluster.stop()
            return 0
        if options.command == "up":
            cluster.start()
            print(f"export SLURM_CONF={cluster.conf} PATH=$PATH:/usr/sbin:/sbin")
    except (Unavailable, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    problem = cluster.problem()
    print(problem or f"{', '.join(cluster.daemons)} run, node {NODE} is usable", file=sys.stderr)
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main())
