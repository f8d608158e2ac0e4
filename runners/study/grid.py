"""The cells of a study, and the keys that name their results."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from itertools import product
from typing import Any

from runners.study.cell import Cell
from runners.study.problems import hint, shown
from runners.study.resolve import Study, protocol_for, settings
from runners.study.tuned import hparams_for, tuned_at
from runners.system.canonical import SCHEMA
from runners.system.errors import ConfigError


def cells(study: Study) -> list[Cell]:
    """All cells of a study, by data set, noise, method and seed in the order of the file."""
    grid = []
    for data_set in study.datasets:
        tuned, mode = study.tuned[data_set.label], study.protocol.hparams
        resolved = [
            (entry, hparams_for(entry, mode, tuned), entry.declaration.privileges.names)
            for entry in study.methods
        ]
        every = [
            (noise, protocol_for(protocol, data_set.dataset, study.methods))
            for noise, protocol in settings(study.protocol, study.noises, study.clean_subsets)
        ]
        for (noise, protocol), method, seed in product(every, resolved, study.seeds):
            entry, hparams, privileges = method
            under = hparams.tuned and hparams.tuned.under
            grid.append(
                Cell(
                    dataset=data_set.label,
                    dataset_config=data_set.config,
                    noise=noise.params,
                    noise_slug=noise.slug,
                    noise_display=noise.display,
                    dataset_places=data_set.places,
                    noise_places=noise.places,
                    method=entry.method,
                    label=entry.label,
                    display=entry.display,
                    seed=seed,
                    protocol=protocol,
                    hparams=hparams.values,
                    hparams_source=hparams.sources,
                    tuned_under=under.model_dump(exclude_defaults=True) if under else None,
                    tuned_at=tuned_at(hparams.tuned, protocol, entry.declaration, hparams.values),
                    track=study.track,
                    privileges=privileges,
                )
            )
    return grid


AXES = {
    "dataset": lambda cell: [cell.dataset, cell.dataset_name],
    "noise": lambda cell: [cell.noise_slug, cell.noise["name"]],
    "method": lambda cell: [cell.label, cell.method],
    "seed": lambda cell: [str(cell.seed)],
}


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """The cells that fit every `AXIS=a,b` of `--only`: commas are "or", repeats are "and".

    Noises match by folder name, methods by label, which may be patterns (`gce*`); what is no label
    matches by name.

    Raises:
        ConfigError: an unknown axis, a value that no cell has, or no cell that fits them all.
    """
    left, problems = list(cells), []
    for text in only:
        axis, equals, values = text.partition("=")
        if not equals or axis not in AXES:
            allowed = f"AXIS=a,b with AXIS one of {', '.join(AXES)}"
            near = hint(axis, AXES)
            problems.append(f"--only: {shown(text)} is not allowed: must be {allowed}{near}")
            continue
        wanted = [value.strip() for value in values.split(",")]
        known = list(dict.fromkeys(name for cell in cells for name in AXES[axis](cell)))
        chosen: set[str] = set()
        for value in wanted:
            fitting = {cell.key for cell in cells if _fits(value, AXES[axis](cell))}
            # What is the label of a cell means that label, and else the name of several.
            exact = {cell.key for cell in cells if value == AXES[axis](cell)[0]}
            chosen |= exact or fitting
            if not fitting:
                allowed = f"one of {shown(', '.join(known), 400)[1:-1]}{hint(value, known)}"
                problems.append(f"--only: {axis}: {shown(value)} is not allowed: must be {allowed}")
        left = [cell for cell in left if cell.key in chosen]
    if not left and not problems:
        given = " ".join(f"--only {text}" for text in only)
        problems.append(f"--only: no cell fits {given} together: must leave at least one cell")
    if problems:
        raise ConfigError(problems)
    return left


def _fits(value: str, names: list[str]) -> bool:
    return value in names or fnmatch.fnmatchcase(names[0], value)


def study_json(study: Study, cells: Sequence[Cell]) -> dict[str, Any]:
    """The content of `study.json`: the resolved study and its whole grid."""
    fields = (
        *("key", "name", "dataset", "noise", "noise_slug", "noise_display", "method", "label"),
        *("display", "seed", "privileges", "track", "hparams", "hparams_source"),
        *("tuned_under", "tuned_at", "protocol"),
    )
    listed = [{field: getattr(cell, field) for field in fields} for cell in cells]
    return {"schema": SCHEMA, "study": study.name, "config": study.config, "cells": listed}
