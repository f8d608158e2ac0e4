"""What a test cluster is like, and the configuration files that make it so."""

from __future__ import annotations

import re
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.slurm.install import search_path

NODE = "n1"
ACCOUNT = "lab"
DAEMONS = ("slurmctld", "slurmd", "slurmdbd", "mariadbd")
"""Those that listen on a port of their own."""


@dataclass(frozen=True)
class Settings:
    """What a cluster offers.

    Attributes:
        accounting: with slurmdbd: sacct, accounts and QOS work.
        cpus: advertised CPUs, which may be more than the machine has.
        memory_mb: advertised memory; booked, never enforced.
        gpus: advertised GPUs, links to /dev/null.
        max_array: MaxArraySize; elements go from 0 to one less.
        kill_wait: seconds from SIGTERM to SIGKILL.
        grace: seconds of notice in the partition `preempt`.
    """

    accounting: bool = False
    cpus: int = 8
    memory_mb: int = 16_000
    gpus: int = 2
    max_array: int = 16
    kill_wait: int = 5
    grace: int = 0


def write(folder: Path, settings: Settings, ports: dict[str, int]) -> None:
    """Writes slurm.conf and its companions into the folder, and links that play GPUs.

    Args:
        folder: of the cluster; holds `run`, `log`, `state`, `spool` and `gpu`.
        settings: what the cluster offers.
        ports: loopback ports by daemon.
    """
    gpus = [folder / "gpu" / f"gpu{number}" for number in range(settings.gpus)]
    for device in gpus:
        device.symlink_to("/dev/null")  # slurmd asks for a character device, and this is one
    lines = [f"NodeName={NODE} Name=gpu File={device}\n" for device in gpus]
    (folder / "gres.conf").write_text("".join(lines))
    parts = [_controller(folder, settings, ports), _scheduling(settings), _nodes(settings)]
    if settings.accounting:
        parts.append(_accounting(folder, ports))
        dbd = folder / "slurmdbd.conf"
        dbd.touch(mode=0o600)  # slurmdbd refuses any other mode
        dbd.write_text(_slurmdbd(folder, ports))
    (folder / "slurm.conf").write_text("\n".join(parts))
    if _version() >= (24, 5):  # older ones ask for no cgroups with the plugins chosen below
        (folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")


def _version() -> tuple[int, int]:
    command = ["slurmd", "-V"]
    said = subprocess.run(command, capture_output=True, text=True, env={"PATH": search_path()})
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _controller(folder: Path, settings: Settings, ports: dict[str, int]) -> str:
    host = socket.gethostname().partition(".")[0]
    gres = f"Gres=gpu:{settings.gpus} " if settings.gpus else ""
    return f"""\
ClusterName=test
# The address beside the name: nothing has to be resolved, and all ports stay on loopback.
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports["slurmctld"]}
SlurmdPort={ports["slurmd"]}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
SlurmctldPidFile={folder}/run/slurmctld.own.pid
SlurmdPidFile={folder}/run/slurmd.own.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.log
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
MailProg=/bin/true
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.txt
GresTypes=gpu
# More CPUs than there are.
SlurmdParameters=config_overrides
NodeName={NODE} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={settings.cpus} \
RealMemory={settings.memory_mb} {gres}State=UNKNOWN
"""


def _scheduling(settings: Settings) -> str:
    return f"""\
# No cgroups; pgid instead of linuxproc would add seconds to every job that calls srun.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=0,batch_sched_delay=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
# With a grace time, the warning that a job asked for (--signal) comes when it begins.
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
# A node that was silent comes back by itself, one that was set down does not.
ReturnToService=1
# Faults show within seconds; what has ended is remembered as long as usual.
KillWait={settings.kill_wait}
SlurmdTimeout=30
MinJobAge=300
OverTimeLimit=0
MaxArraySize={settings.max_array}
EnforcePartLimits=NO
DefMemPerCPU=100
"""


def _nodes(settings: Settings) -> str:
    long = "MaxTime=1-00:00:00 DefaultTime=01:00:00"
    return f"""\
PartitionName=main Nodes={NODE} Default=YES {long} PriorityTier=10 PreemptMode=OFF
PartitionName=preempt Nodes={NODE} {long} PriorityTier=1 PreemptMode=REQUEUE \
GraceTime={settings.grace}
PartitionName=short Nodes={NODE} MaxTime=00:02:00 DefaultTime=00:01:00 PriorityTier=10 \
PreemptMode=OFF
"""


def _accounting(folder: Path, ports: dict[str, int]) -> str:
    # AccountingStoragePass is no password: connections to slurmdbd ignore AuthInfo and look here
    # for munge's socket.
    return f"""\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={ports["slurmdbd"]}
AccountingStoragePass={folder}/run/munge.socket
AccountingStorageEnforce=associations,limits,qos
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
"""


def _slurmdbd(folder: Path, ports: dict[str, int]) -> str:
    return f"""\
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={ports["slurmdbd"]}
CommunicationParameters=NoInAddrAny
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/run/munge.socket
PidFile={folder}/run/slurmdbd.own.pid
LogFile={folder}/log/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={ports["mariadbd"]}
StorageUser=slurm
StoragePass=slurm
"""
