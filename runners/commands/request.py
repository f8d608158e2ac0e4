"""One command on a study: what was typed, and the cells that it is about."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import networks
from datasets.base import DataError, Dataset
from runners.cell.run_context import RunContext
from runners.monitor.queue import plan_with_queue
from runners.results.failures import is_full_disk
from runners.results.plan import Plan
from runners.results.store import CellStatus, State, StudyFolder
from runners.study.cell import Cell
from runners.study.config import Study
from runners.study.grid import select, study_json
from runners.study.problems import Problems
from runners.study.resolve import settings
from runners.study.sizes import CLEAN_PARTS, clean_counts, too_large
from runners.system.console import counted
from runners.system.errors import UserError


@dataclass(frozen=True)
class Request:
    """A command line, its study and the cells that it selects.

    Attributes:
        study: as loaded, the command line's changes included.
        options: the command line.
        grid: all cells of the study.
    """

    study: Study
    options: argparse.Namespace
    grid: Sequence[Cell]

    @cached_property
    def selected(self) -> list[Cell]:
        """The cells of `--only`, but for those that the command itself leaves out.

        Raises:
            ConfigError: an unknown axis or value.
        """
        chosen = select(self.grid, self.options.only)
        return [cell for cell in chosen if cell.key not in self.options.skip]

    @cached_property
    def folder(self) -> StudyFolder:
        """The study's folder of results."""
        root = data_root(self.options.data, self.study)
        return StudyFolder(self.options.results.resolve(), self.study.name, root)

    def context(self, plan: Plan) -> RunContext:
        """What all cells of a run have in common.

        Raises:
            UserError: a data set that a wanted cell needs is missing or damaged.
        """
        root, run = self.folder.data_root, self.study.run
        needing = [cell for cell in plan.cells if self.wanted(plan.shown(cell.name))]
        check_data(needing, root, self.options.study)
        return RunContext(
            self.folder,
            root,
            run.checkpoint_every,
            run.checkpoint_minutes,
            run.cell_timeout,
            run.keep_weights,
        )

    def look(self) -> tuple[Plan, str]:
        """The plan as it is now, and a sentence where the queue gave no answer."""
        return plan_with_queue(self.selected, self.folder)

    def wanted(self, status: CellStatus) -> bool:
        """Whether a cell is to be run: what is missing or may pass by itself, and what is asked."""
        match status.state:
            case State.MISSING | State.LOST:
                return True
            case State.FAILED:
                return status.transient or self.options.retry_failed
            case State.STALE:
                return self.options.rerun_stale
            case State.DAMAGED:
                return self.options.rerun_damaged
        return False

    def prepare_folder(self) -> None:
        """Makes the study's folder.

        Raises:
            UserError: the results folder cannot be written.
        """
        try:
            if lost := self.folder.finished_beside({cell.key for cell in self.grid}):
                print(
                    f"{self.folder.study} named {counted(lost, 'finished cell')} that this study "
                    "does not have: tables will not count them; give one of the two studies "
                    "another name (study: or --set study=NAME) to keep both",
                    file=sys.stderr,
                )
            self.folder.prepare(study_json(self.study, self.grid), self._places())
        except OSError as error:
            if is_full_disk(error):
                raise
            raise UserError(
                f"--results: {str(self.options.results)!r} cannot be written ({error.strerror}): "
                "must be a folder that you may write to"
            ) from error

    def _places(self) -> dict[str, Any]:
        """Where the study's own files lie, for the commands that look at images afterwards."""
        root = self.folder.data_root
        return {
            "data_root": None if root is None else str(root),
            "dataset": {
                entry.label: {"config": entry.config, "places": entry.places}
                for entry in self.study.datasets
            },
            "noise": {
                entry.slug: {"config": entry.params, "places": entry.places}
                for entry, _ in settings(
                    self.study.protocol, self.study.noises, self.study.clean_subsets
                )
            },
        }

    def sweep(self) -> None:
        """Removes what killed processes have left of the selected cells."""
        self.folder.sweep(cell.name for cell in self.selected)


Command = Callable[[Request], int]
"""Does what was asked for; returns the exit code."""


def check_data(selected: Sequence[Cell], root: Path | None, study: Path) -> None:
    """Raises UserError if data, or a file of a noise, of these cells are missing or damaged."""
    for dataset in dict.fromkeys(cell.data_set for cell in selected):
        try:
            dataset.check(root)
        except DataError as error:
            raise UserError(f"{study}: axes.dataset: {error}") from error
    _check_counts(selected, root, study)
    for cell in {(cell.data, cell.noise_slug): cell for cell in selected}.values():
        try:
            cell.noise_model.check(cell.data_set, root)
        except DataError as error:
            raise UserError(f"{study}: axes.noise: {error}") from error
    for network in dict.fromkeys(cell.protocol["network"] for cell in selected):
        try:
            networks.stamp(network)
        except DataError as error:
            raise UserError(f"{study}: protocol.network: {error}") from error


def _check_counts(selected: Sequence[Cell], root: Path | None, study: Path) -> None:
    """Raises UserError if clean parts ask for more than a class has, known only when it is read."""
    loaded: dict[str, list[int] | None] = {}
    for cell in {(cell.dataset, cell.noise_slug): cell for cell in selected}.values():
        dataset = cell.data_set
        if clean_counts(dataset) is not None or not any(cell.protocol[p] for p in CLEAN_PARTS):
            continue
        if cell.dataset not in loaded:
            loaded[cell.dataset] = _counts(dataset, root)
        counts, staying = loaded[cell.dataset], getattr(cell.noise_model, "counts_left", None)
        counts = staying(counts) if counts and staying else counts
        if wrong := too_large(dataset, cell.protocol, counts):
            (part, size, allowed), problems = wrong, Problems(str(study))
            problems.refuse(f"protocol.{part}", size, allowed)
            problems.check()


def _counts(dataset: Dataset, root: Path | None) -> list[int] | None:
    """Training images of each class by true label; None where the cells will say what is wrong."""
    try:
        labels = dataset.load(root).train_labels
    except Exception:  # whatever a stranger's data set raises
        return None
    return np.bincount(labels[labels >= 0], minlength=dataset.classes).tolist()


def data_root(given: Path | None, study: Study) -> Path | None:
    """Where data sets are looked for first: --data, DATA_ROOT, run.data_root, else nowhere."""
    named = given or os.environ.get("DATA_ROOT") or study.run.data_root
    try:
        return Path(named).expanduser().resolve() if named else None
    except RuntimeError as error:
        text = f"run.data_root: {str(named)!r} is not allowed: must be a folder ({error})"
        raise UserError(text) from error
