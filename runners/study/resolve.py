"""A validated study, and the protocol that its cells inherit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from datasets.base import Dataset
from methods.declaration import Privileges
from runners.study.entries import DatasetEntry, MethodEntry, NoiseEntry
from runners.study.schema import Protocol, Run
from runners.study.slurm_section import Slurm
from runners.study.tuned import ByDataset
from runners.system.console import counted

LARGEST_BATCH = 128
LEAST_UPDATES = 20
"""Of an epoch, under an automatic batch size."""


@dataclass(frozen=True)
class Study:
    """One study, checked and expanded.

    Attributes:
        name: of the study and its folder of results.
        datasets, noises, methods, seeds: the axes.
        protocol, run, slurm: the other sections, with the preset and all defaults filled in.
        tuned: hyper-parameters by label of a data set and method, empty where there are none.
        clean_subsets: an axis of sizes; empty where the protocol has the one size.
    """

    name: str
    datasets: tuple[DatasetEntry, ...]
    noises: tuple[NoiseEntry, ...]
    methods: tuple[MethodEntry, ...]
    seeds: tuple[int, ...]
    protocol: Protocol
    run: Run
    slurm: Slurm
    tuned: ByDataset
    clean_subsets: tuple[int, ...] = ()

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
            **({"clean_subset": list(self.clean_subsets)} if self.clean_subsets else {}),
            "method": variants,
            "seed": list(self.seeds),
        }
        return {"study": self.name, "axes": axes, "protocol": self.protocol.model_dump()}


def settings(
    protocol: Protocol, noises: Iterable[NoiseEntry], clean_subsets: Sequence[int]
) -> list[tuple[NoiseEntry, Protocol]]:
    """Every noise with every size of the clean subset, whose names then say the size too."""
    if not clean_subsets:
        return [(noise, protocol) for noise in noises]
    return [
        (
            replace(
                noise,
                slug=f"{noise.slug}-clean{size}",
                display=f"{noise.display}, {counted(size, 'clean image')}",
            ),
            protocol.model_copy(update={"clean_subset": size}),
        )
        for noise in noises
        for size in clean_subsets
    ]


def needing_clean_subset(variants: Iterable[MethodEntry]) -> list[str]:
    """Labels of the variants that are given the clean subset."""
    return [v.label for v in variants if Privileges.CLEAN_SUBSET in v.declaration.privileges]


def protocol_for(
    protocol: Protocol, dataset: Dataset, variants: Iterable[MethodEntry]
) -> dict[str, Any]:
    """The protocol as a cell of that data set runs it: every automatic value decided.

    A clean subset is drawn where the study names its size, or where any of its methods needs one,
    and then for all of them alike; else its size is 0. An automatic batch gives at least
    `LEAST_UPDATES` updates an epoch, where there are images enough.
    """
    resolved = protocol.model_dump(exclude={"preset", "hparams"})
    if resolved["network"] is None:
        resolved["network"] = dataset.default_network
    if resolved["augment"] == "auto":
        resolved["augment"] = dataset.augment
    if resolved["clean_subset"] is None:
        needed = needing_clean_subset(variants)
        resolved["clean_subset"] = dataset.clean_subset if needed else 0
    if resolved["batch_size"] is None:
        # Without the development images: what was tuned is used with the same batch.
        taken = () if dataset.own_clean_counts else ("clean_subset", "clean_val")
        left = dataset.n_train - sum(resolved[part] for part in taken)
        left -= int(Fraction(str(resolved["noisy_val"])) * max(0, left))
        resolved["batch_size"] = min(LARGEST_BATCH, max(2, left // LEAST_UPDATES))
    return resolved
