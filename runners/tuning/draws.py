"""What tuning tries: of every method its defaults, and a Latin hypercube over its ranges."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import qmc

import methods
from runners.cell.seeds import stream
from runners.study.config import Study, load_study
from runners.study.entries import DatasetEntry

FIRST_SEED = 100
"""Tuning seeds start here; reported studies start at 0."""


def draws(dataset: str, method: str, count: int) -> list[dict[str, Any]]:
    """The hyper-parameters to try: the default, then `count` draws that fill the ranges evenly.

    Each parameter's range is cut into `count` pieces and every piece is drawn from once, so a
    single one cannot be missed by chance and choices are balanced. The numbers come from a stream
    of their own, which other ranges begin anew. A draw that equals an earlier one (a few choices
    and nothing else) is left out; a method without ranges has its default only.
    """
    declared = methods.declaration(method)
    ranges = declared.searched
    tried: list[dict[str, Any]] = [{}]
    if not ranges:
        return tried
    words = json.dumps({name: str(search) for name, search in ranges.items()})
    rng = stream("tuning", dataset, method, words)
    shares = qmc.LatinHypercube(len(ranges), rng=rng).random(count)
    seen = [declared.defaults]
    for row in shares:
        pairs = zip(ranges.items(), row, strict=True)
        drawn = {name: search.at(float(share)) for (name, search), share in pairs}
        if declared.defaults | drawn not in seen:
            tried.append(drawn)
            seen.append(declared.defaults | drawn)
    return tried


def fixed(study: Study) -> dict[str, dict[str, Any]]:
    """Method -> what its only entry names and tuning does not search: all its draws have that."""
    found: dict[str, dict[str, Any]] = {}
    for entry in study.methods:
        searched = entry.declaration.searched
        own = {name: value for name, value in entry.named.items() if name not in searched}
        found[entry.method] = {} if entry.method in found else own
    return found


def tuning_study(
    path: Path,
    entry: DatasetEntry,
    overrides: Sequence[str],
    *,
    count: int,
    seeds: int,
    development: int,
) -> Study:
    """The settings of a study on one data set, its methods' draws as variants.

    Args:
        path, overrides: the study and its `--set`.
        entry: the data set.
        count: draws of each method beside its default.
        seeds: tuning seeds, from `FIRST_SEED` on.
        development: clean images that judge; the test set is not evaluated.
    """
    study = load_study(path, overrides)
    config = {"name": entry.config} if isinstance(entry.config, str) else entry.config
    variants = [
        {"name": name, "label": f"{name.rpartition(':')[2]}-draw{i}", **named, **values}
        for name, named in fixed(study).items()
        for i, values in enumerate(draws(entry.label, name, count))
    ]
    changed = {
        "study": f"{study.name}-{entry.label}",
        "axes.dataset": [{**config, "label": entry.label}],
        "axes.method": variants,
        "axes.clean_subset": None,
        "axes.seed": list(range(FIRST_SEED, FIRST_SEED + seeds)),
        "protocol.dev": development,
        "protocol.hparams": "default",
    }
    own = [f"{key}={json.dumps(value)}" for key, value in changed.items()]
    return load_study(path, [*overrides, *own], tuning=True)
