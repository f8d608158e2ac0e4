"""What every method keeps to, shown on two epochs of the simulated data set."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import methods
from methods.base import Task, overrides
from methods.declaration import Privileges
from runners.cell.checkpoint import Checkpointer
from runners.cell.record import weights_sha256
from runners.contract.method_runs import CutOff, Cutting, Subject, start, state


def trains(subject: Subject) -> str | None:
    """It trains for two epochs and logs a finite loss."""
    history = start(subject.cell).train()
    logged = history[-1]["train"]
    if "loss" not in logged:
        return f"step() logs {', '.join(logged) or 'nothing'}: must log a scalar called loss"
    return None


def learns(subject: Subject) -> str | None:
    """Training changes the weights of the reported network."""
    run = start(subject.cell)
    before = [parameter.clone() for parameter in run.method.network.parameters()]
    run.train()
    same = all(map(torch.equal, before, run.method.network.parameters()))
    return "they are those of the beginning: step() must update self.network" if same else None


def repeats(subject: Subject) -> str | None:
    """The same cell gives the same bits twice."""
    one, other = start(subject.cell), start(subject.cell)
    if one.train() != other.train() or state(one) != state(other):
        return "two runs differ: random numbers must come from self.rng or torch's global stream"
    return None


def resumes(subject: Subject) -> str | None:
    """Cut off after a step or at the end of an epoch, it resumes to the same bits."""
    whole = start(subject.cell)
    history, expected = whole.train(), state(whole)
    for where, seconds, after in (("a step", 0.0, 3), ("an epoch", 1e9, 1)):
        with tempfile.TemporaryDirectory() as folder:
            settings = (Path(folder, "checkpoint.pt"), {"key": subject.cell.key}, 1, seconds)
            cutting = Cutting(*settings)
            cutting.left = after
            with contextlib.suppress(CutOff):
                start(subject.cell).train(cutting)
            second = start(subject.cell)
            resumed = second.train(Checkpointer(*settings))
            if resumed != history or state(second) != expected:
                return (
                    f"cut off after {where} it ends elsewhere: what it keeps must be buffers, "
                    "modules, optimisers or plain attributes, and begin_epoch must not draw anew"
                )
    return None


def is_fair(subject: Subject) -> str | None:
    """It starts from the same network and meets the same batches as cross-entropy."""
    own, baseline = start(subject.cell), start(subject.baseline)
    if weights_sha256(own.method.network) != weights_sha256(baseline.method.network):
        return "self.network has other initial weights: it must be the first new_network()"
    own.train()
    baseline.train()
    pairs = list(zip(own.batches, baseline.batches, strict=True))
    if not all(torch.equal(a.index, b.index) and torch.equal(a.images, b.images) for a, b in pairs):
        return "it meets other batches: step() must not change what it is given in place"
    return None


def sees_no_test_image(subject: Subject) -> str | None:
    """The test set changes nothing of what it learns."""
    one = start(subject.cell)
    arrays = one.data.arrays
    changed = replace(
        arrays, test_images=255 - arrays.test_images, test_labels=arrays.test_labels[::-1].copy()
    )
    other = start(subject.cell, replace(one.data, arrays=changed))
    one.train()
    other.train()
    return None if state(one) == state(other) else "with another test set it learns otherwise"


def sees_no_true_label(subject: Subject) -> str | None:
    """True labels outside the clean subset change nothing of what it learns, a ceiling apart."""
    if Privileges.TRUE_LABELS in methods.declaration(subject.name).privileges:
        return None
    one = start(subject.cell)
    truth = one.data.arrays.train_labels.copy()
    hidden = np.setdiff1d(np.arange(len(truth)), one.data.split.clean_subset)
    truth[hidden] = (truth[hidden] + 1) % one.data.dataset.classes
    arrays = replace(one.data.arrays, train_labels=truth)
    noisy = replace(one.data.noisy, truth=truth)
    other = start(subject.cell, replace(one.data, arrays=arrays, noisy=noisy))
    one.train()
    other.train()
    return None if state(one) == state(other) else "with other true labels it learns otherwise"


@contextlib.contextmanager
def _noted_privileges() -> Iterator[set[Privileges]]:
    """Inside, every privilege that a task is asked for is noted."""
    asked: set[Privileges] = set()
    require = Task._require

    def noted(task: Task, privilege: Privileges) -> None:
        asked.add(privilege)
        require(task, privilege)

    Task._require = noted
    try:
        yield asked
    finally:
        Task._require = require


def uses_its_privileges(subject: Subject) -> str | None:
    """It uses every privilege that it declares, and no other."""
    declared = methods.declaration(subject.name).privileges
    with _noted_privileges() as asked:
        start(subject.cell).train()
    # The type of noise is told by a study's file and by no question to the task.
    told = declared & ~Privileges.NOISE_TYPE
    unused = [name for name in told.names if Privileges[name.upper()] not in asked]
    if unused:
        return f"it declares {', '.join(unused)} and never asks for it: tables would mark it so"
    return None


@contextlib.contextmanager
def _noted_hyperparameters(name: str) -> Iterator[set[str]]:
    """Inside, the hyper-parameters that a method reads are noted by name."""
    read: set[str] = set()
    find, declared = methods.declaration, methods.declaration(name)

    class Noted(declared.hparams):
        def __getattribute__(self, attribute: str) -> Any:
            read.add(attribute)
            return super().__getattribute__(attribute)

    noting = replace(declared, hparams=Noted)
    methods.declaration = lambda asked: noting if asked == name else find(asked)
    try:
        yield read
    finally:
        methods.declaration = find


def uses_its_hyperparameters(subject: Subject) -> str | None:
    """It reads every hyper-parameter that it declares, with its switches off or on."""
    declared = methods.declaration(subject.name)
    switches = [{}, *({n: not v} for n, v in declared.defaults.items() if isinstance(v, bool))]
    read: set[str] = set()
    for changed in switches:
        cell = replace(subject.cell, hparams={**subject.cell.hparams, **changed})
        with _noted_hyperparameters(subject.name) as noted:
            start(cell).train()
        read |= noted
    unread = [name for name in declared.fields if name not in read]
    return f"{', '.join(unread)} is never read: it must have an effect" if unread else None


def predicts(subject: Subject) -> str | None:
    """Its predictions are probabilities; the reported network comes first among its members."""
    run = start(subject.cell)
    run.train()
    method, batch = run.method.eval(), run.batches[0]
    with torch.no_grad():
        single, members = method.predict(batch.images), method.predict_members(batch.images)
    expected = (len(batch.labels), method.task.classes)
    if tuple(single.shape) != expected:
        return f"predict() gives {tuple(single.shape)}: must be (B, C) = {expected}"
    total = single.sum(1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-4) or (single < 0).any():
        return "predict() gives rows that are no probabilities: they must sum to 1"
    if members.shape[1:] != single.shape or not torch.equal(members[0], single):
        return "predict_members() must give (M, B, C) with predict() as its first member"
    return None


def judges(subject: Subject) -> str | None:
    """Corrected labels and clean probabilities have one row a training image."""
    run = start(subject.cell)
    run.train()
    method, count = run.method.eval(), run.method.task.n_train
    corrected, clean = method.corrected_labels(), method.clean_probability()
    if corrected is not None and tuple(corrected.shape) != (count, method.task.classes):
        return f"corrected_labels() gives {tuple(corrected.shape)}: must be (n_train, C)"
    if clean is not None and tuple(clean.shape) != (count,):
        return f"clean_probability() gives {tuple(clean.shape)}: must be (n_train,)"
    if clean is not None and not ((clean >= 0) & (clean <= 1)).all():
        return "clean_probability() leaves [0, 1]"
    if corrected is None and overrides(type(method), "corrected_labels"):
        return "corrected_labels() is overridden and gives None"
    return None


CHECKS = (
    *(trains, learns, repeats, resumes, is_fair, sees_no_test_image, sees_no_true_label),
    *(uses_its_privileges, uses_its_hyperparameters, predicts, judges),
)
