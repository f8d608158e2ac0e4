"""What SLURM's states, reasons and refusals mean, as tables."""

from __future__ import annotations

import fnmatch

FINAL = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT"),
}
"""States in which nothing of a job runs or will run again."""


def is_final(state: str) -> bool:
    """Whether a job in this state is over; one that nobody knows here is taken for alive."""
    return state.partition(" ")[0].rstrip("+") in FINAL  # sacct: "CANCELLED by 1000"


_OVER = "asks for more than its quality of service allows one job"
_HELD = "release it with: scontrol release JOB"

STUCK = {
    "PartitionTimeLimit": "the time limit is above the partition's: lower slurm.time",
    "PartitionNodeLimit": "the partition has fewer nodes than this: change slurm.partition",
    # For the first seconds SLURM also says so where the time limit is too long.
    "PartitionConfig": "the partition has no such nodes or times: lower slurm.time, "
    "slurm.cpus_per_task, slurm.mem or slurm.gpus_per_node, or change slurm.partition",
    "BadConstraints": "no node has these features: change slurm.constraint or slurm.exclude",
    "AccountNotAllowed": "the account may not use the partition: change slurm.account",
    "InvalidAccount": "the account is not valid: change slurm.account",
    "InvalidQOS": "the quality of service is not valid: change slurm.qos",
    "QOSNotAllowed": "the quality of service is not allowed here: change slurm.qos",
    "QOSMaxWallDurationPerJobLimit": "the time limit is above that of the quality of service: "
    "lower slurm.time or change slurm.qos",
    "QOSTimeLimit": "the time limit is above that of the quality of service: lower slurm.time or "
    "change slurm.qos",
    "QOSMaxCpu*PerJob*": f"{_OVER}: lower slurm.cpus_per_task or change slurm.qos",
    "QOSMaxMem*PerJob*": f"{_OVER}: lower slurm.mem or change slurm.qos",
    "QOSMaxGRES*PerJob*": f"{_OVER}: lower slurm.gpus_per_node or change slurm.qos",
    "QOSMax*PerJob*": f"{_OVER}: ask for less or change slurm.qos",
    "QOSMax*PerNode*": f"{_OVER} on a node: ask for less or change slurm.qos",
    "QOSMin*": "asks for less than its quality of service demands: ask for more or change "
    "slurm.qos",
    "AssocMaxWallDurationPerJobLimit": "the time limit is above the account's: lower slurm.time or "
    "change slurm.account",
    "AssocMax*PerJob*": "asks for more than the account allows one job: ask for less or change "
    "slurm.account",
    "DependencyNeverSatisfied": "waits for a job that failed: cancel it and submit again",
    "ReservationDeleted": "its reservation is gone: change slurm.additional",
    "DeadLine": "cannot end before its deadline: change slurm.additional",
    "JobHeldUser": f"it was held: {_HELD}",
    "JobHeldAdmin": f"it was held by an operator: {_HELD}",
    "job requeued in held state": f"it was requeued and held: {_HELD}",
    "launch failed requeued held": f"its start failed and it is held: {_HELD}",
    "JobHoldMaxRequeue": f"it was requeued too often and is held: {_HELD}",
}
"""Reasons that do not pass by themselves, with what to change; `*` stands for any letters."""


def stuck(code: str) -> str | None:
    """What to change where squeue's reason of a pending job does not pass by itself, else None.

    Exact names win over patterns; of running jobs a reason means nothing.
    """
    plain = code.strip().strip("()").lower()
    exact = {pattern.lower(): sentence for pattern, sentence in STUCK.items()}
    fitting = (text for pattern, text in exact.items() if fnmatch.fnmatchcase(plain, pattern))
    return exact.get(plain) or next(fitting, None)


CULPRITS = {
    "invalid partition": "slurm.partition",
    "permitted to use this partition": "slurm.partition or slurm.account",
    "invalid account": "slurm.account",
    "invalid qos": "slurm.qos",
    "qosmaxsubmit": "slurm.cells_per_task or slurm.qos",
    "qosgrpsubmit": "slurm.cells_per_task or slurm.qos",
    "assocmaxsubmit": "slurm.cells_per_task or slurm.account",
    "assocgrpsubmit": "slurm.cells_per_task or slurm.account",
    "accounting/qos policy": "slurm.account or slurm.qos",
    "invalid feature": "slurm.constraint",
    "invalid generic resource": "slurm.gres",
    "invalid node name": "slurm.exclude",
    "time limit": "slurm.time",
    "memory specification": "slurm.mem",
    "cpu count per node": "slurm.cpus_per_task",
    "more processors requested": "slurm.cpus_per_task",
    "reservation": "slurm.additional",
    "license": "slurm.additional",
    "begin time": "slurm.additional",
    "unrecognized option": "slurm.additional",
    "requested node configuration": "slurm.gpus_per_node, slurm.cpus_per_task, slurm.mem or "
    "slurm.constraint",
    "node count": "slurm.partition",
}
"""Words of sbatch's refusals -> the key of a study that they are about."""


def culprit(words: str) -> str | None:
    """The key that made sbatch refuse, or None if its words do not tell."""
    return next((key for part, key in CULPRITS.items() if part in words.lower()), None)


def is_full(words: str) -> bool:
    """Whether sbatch refused because this user, or the account, has too many jobs in the queue."""
    return any(part in words.lower() for part in ("maxsubmit", "grpsubmit"))
