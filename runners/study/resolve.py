"""A validated study, and what its cells inherit: the protocol and the hyper-parameters.

Hyper-parameters are looked for in this order: named by the study, the tuned file of the data set
(only with `protocol.hparams: tuned`), the paper's own (only with `paper`), the method's defaults.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import methods
from datasets.base import Dataset
from datasets.registry import is_outside
from methods.declaration import Declaration
from runners.study.entries import DatasetEntry, MethodEntry, NoiseEntry, checked, note_unknown
from runners.study.problems import Problems
from runners.study.schema import Protocol, Run
from runners.study.slurm_section import Slurm
from runners.study.yaml_file import read_mapping

ROOT = Path(__file__).resolve().parents[2]
TUNED = ROOT / "benchmarks" / "tuned"
Tuned = Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Study:
    """One study, checked and expanded.

    Attributes:
        name: of the study and its folder of results.
        datasets, noises, methods, seeds: the axes.
        protocol, run, slurm: the other sections, with the preset and all defaults filled in.
        tuned: label of a data set -> method -> tuned hyper-parameters, empty where there are none.
    """

    name: str
    datasets: tuple[DatasetEntry, ...]
    noises: tuple[NoiseEntry, ...]
    methods: tuple[MethodEntry, ...]
    seeds: tuple[int, ...]
    protocol: Protocol
    run: Run
    slurm: Slurm
    tuned: Tuned

    @property
    def track(self) -> str:
        """`paper` exactly if a preset is set, else `fair`."""
        return "fair" if self.protocol.preset is None else "paper"

    @property
    def config(self) -> dict[str, Any]:
        """The study with all filled in, but `run` and `slurm`: no path, worker or device."""
        variants = [{"name": m.method, "label": m.label, **m.named} for m in self.methods]
        axes = {
            "dataset": [entry.config for entry in self.datasets],
            "noise": [entry.params for entry in self.noises],
            "method": variants,
            "seed": list(self.seeds),
        }
        return {"study": self.name, "axes": axes, "protocol": self.protocol.model_dump()}


def protocol_for(protocol: Protocol, dataset: Dataset) -> dict[str, Any]:
    """The protocol as a cell of that data set runs it: every automatic value decided."""
    resolved = protocol.model_dump(exclude={"preset", "hparams"})
    if resolved["network"] is None:
        resolved["network"] = dataset.default_network
    if resolved["augment"] == "auto":
        resolved["augment"] = "crop_flip" if dataset.augment else "none"
    if resolved["clean_subset"] is None:
        resolved["clean_subset"] = dataset.clean_subset
    return resolved


def hparams_for(
    entry: MethodEntry, mode: str, tuned: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], str]:
    """All hyper-parameters of a variant on one data set, and where they come from.

    Args:
        entry: the method or variant.
        mode: `protocol.hparams`.
        tuned: method -> tuned values of the data set.

    Returns:
        The values in declared order, and `study`, `tuned`, `paper` or `default`.
    """
    source, values = "default", dict(entry.declaration.defaults)
    if mode == "tuned" and entry.method in tuned:
        source = "tuned"
        values |= tuned[entry.method]
    if mode == "paper":
        source = "paper"
        values |= entry.declaration.paper
    return values | entry.named, "study" if entry.named else source


def tuned_values(
    dataset: str, folder: Path, entries: Iterable[MethodEntry], problems: Problems
) -> dict[str, dict[str, Any]]:
    """The tuned hyper-parameters of a data set by method; empty without a file.

    Those of outside methods are taken (and checked) only where a study names the method.
    """
    path = folder / f"{dataset}.yaml"
    if not path.exists():
        return {}
    own = Problems(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))
    known = {name: methods.declaration(name) for name in methods.names()}
    known |= {entry.method: entry.declaration for entry in entries}
    by_method = {}
    for method, values in (read_mapping(path, own) or {}).items():
        if method in known and isinstance(values, dict):
            by_method[method] = _tuned_method(method, known[method], values, own)
        elif method in known:
            own.refuse(method, values, "a mapping of hyper-parameters to values")
        elif not is_outside(method):
            own.unknown_key(method, methods.names())
    problems.extend(own.sentences)
    return by_method


def _tuned_method(
    method: str, declaration: Declaration, values: dict[str, Any], problems: Problems
) -> dict[str, Any]:
    for key in [key for key in values if key not in declaration.fields]:
        note_unknown(declaration.hparams, key, method, problems)
    known = {key: value for key, value in values.items() if key in declaration.fields}
    values = checked(declaration.hparams, known, method, problems)
    return {key: value for key, value in (values or {}).items() if key in known}
