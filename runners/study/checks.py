"""Mistakes that show only when the parts of a study are seen together, or with their data set."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import networks
from datasets.base import Dataset
from methods.declaration import Privileges
from runners.study.entries import DatasetEntry, MethodEntry, NoiseEntry, is_known
from runners.study.fields import whole
from runners.study.presets import PRESETS
from runners.study.problems import Problems, shown
from runners.study.resolve import needing_clean_subset, protocol_for
from runners.study.schema import MOST_CELLS, MOST_SEED, Protocol
from runners.study.sizes import check_sizes, clean_counts
from runners.study.tuned import ByDataset, Tuned, hparams_for
from runners.system.canonical import canonical

SEEDS_ALLOWED = (
    f"a number of seeds from 1 to {MOST_CELLS:,} or a list of seeds from 0 to {MOST_SEED:,}"
)


def seeds(raw: Any, problems: Problems) -> list[int]:
    """The seeds of `axes.seed`: 0 to n - 1 for a number n, or those of a list."""
    if not isinstance(raw, list):
        count = _whole(raw)
        if count is not None and 1 <= count <= MOST_CELLS:
            return list(range(count))
        problems.refuse("axes.seed", raw, SEEDS_ALLOWED)
        return []
    accepted = []
    for index, value in enumerate(raw):
        seed = _whole(value)
        if seed is None or not 0 <= seed <= MOST_SEED:
            problems.refuse(f"axes.seed[{index}]", value, SEEDS_ALLOWED)
        else:
            accepted.append(seed)
    if not raw:
        problems.refuse("axes.seed", raw, SEEDS_ALLOWED)
    _duplicates("axes.seed", [(str(seed), str(seed)) for seed in accepted], problems)
    return accepted


def _whole(value: Any) -> int | None:
    try:
        return whole(value)
    except ValueError:
        return None


def _duplicates(key: str, labelled: Iterable[tuple[str, str]], problems: Problems) -> None:
    """Notes entries whose second part is the same, under their first parts."""
    first: dict[str, str] = {}
    for label, identity in labelled:
        if identity not in first:
            first[identity] = label
        elif first[identity] == label:
            problems.add(key, f"duplicate cells: {label} is given twice: must be given once")
        else:
            both = f"{first[identity]} and {label}"
            problems.add(key, f"duplicate cells: {both} are the same: must differ in a value")


def clean_subsets(
    sizes: list[int] | None, protocol: Protocol, problems: Problems
) -> tuple[int, ...]:
    """The sizes of `axes.clean_subset`; empty without any."""
    if sizes == []:
        problems.refuse("axes.clean_subset", sizes, "null or one size or more")
    elif sizes and protocol.clean_subset is not None:
        allowed = "null where axes.clean_subset has the sizes"
        problems.refuse("protocol.clean_subset", protocol.clean_subset, allowed)
    _duplicates("axes.clean_subset", [(str(size), str(size)) for size in sizes or ()], problems)
    return tuple(sizes or ())


def check_entries(
    data_sets: list[DatasetEntry],
    noises: list[NoiseEntry],
    variants: list[MethodEntry],
    mode: str,
    tuned: ByDataset,
    problems: Problems,
) -> None:
    """Notes duplicate cells and labels that two entries share."""
    for axis, labelled in (
        ("axes.dataset", [(entry.label, canonical(entry.config)) for entry in data_sets]),
        ("axes.noise", [(entry.slug, canonical(entry.params)) for entry in noises]),
    ):
        _duplicates(axis, labelled, problems)
        _shared_labels(axis, labelled, problems)
    for values in tuned.values():
        cells = [
            (v.label, canonical([v.method, hparams_for(v, mode, values).values])) for v in variants
        ]
        _duplicates("axes.method", cells, problems)
    owner: dict[str, MethodEntry] = {}
    for variant in variants:
        other = owner.setdefault(variant.label, variant)
        if (other.method, other.named) != (variant.method, variant.named):
            label = shown(variant.label)
            problems.add("axes.method", f"label {label} is given to two variants: must be unique")


def check_tuning_seeds(
    seeds: list[int],
    variants: list[MethodEntry],
    mode: str,
    tuned: ByDataset,
    problems: Problems,
) -> None:
    """Notes seeds that the tuning of a method in the study has seen: they may not be reported."""
    for values in tuned.values():
        for variant in variants:
            used = hparams_for(variant, mode, values).tuned
            seen = set(seeds) & set(used.under.seeds if used and used.under else ())
            for seed in sorted(seen):
                allowed = f"a seed on which {variant.method} was not tuned ({_listed(used)} were)"
                problems.refuse("axes.seed", seed, allowed)
            if seen:
                return


def _listed(tuned: Tuned) -> str:
    return " and ".join(map(str, tuned.under.seeds))


def _shared_labels(axis: str, labelled: Iterable[tuple[str, str]], problems: Problems) -> None:
    first: dict[str, str] = {}
    for label, identity in labelled:
        if first.setdefault(label, identity) != identity:
            problems.add(axis, f"label {shown(label)} is given to two entries: must be unique")


def check_protocol(protocol: Protocol, tuning: bool, problems: Problems) -> None:
    """Notes unknown presets and networks, and keys of the protocol that do not fit together."""
    if protocol.preset is not None and protocol.preset not in PRESETS:
        allowed = f"null or one of {', '.join(PRESETS)}"
        problems.refuse("protocol.preset", protocol.preset, allowed, PRESETS)
    if protocol.network is not None:
        is_known(protocol.network, "protocol.network", networks.REGISTRY, problems, "null or ")
    wanted = {"step": "one epoch or more", "linear": "exactly one epoch"}.get(protocol.schedule)
    count = len(protocol.milestones)
    fits = {"step": count >= 1, "linear": count == 1}.get(protocol.schedule, count == 0)
    if not fits and not problems.keys & {"protocol.milestones", "protocol.schedule"}:
        allowed = f"{wanted or 'empty'} with schedule {protocol.schedule}"
        problems.refuse("protocol.milestones", protocol.milestones, allowed)
    if any(epoch >= protocol.epochs for epoch in protocol.milestones):
        allowed = f"epochs of the study, which has {protocol.epochs:,}, counted from 0"
        problems.refuse("protocol.milestones", protocol.milestones, allowed)
    if protocol.dev and not tuning:
        problems.refuse("protocol.dev", protocol.dev, "0: a development set is for tuning only")


def check_setting(
    entry: DatasetEntry,
    protocol: Protocol,
    noises: list[NoiseEntry],
    variants: list[MethodEntry],
    problems: Problems,
    size_key: str = "protocol.clean_subset",
) -> None:
    """Notes what a data set cannot give: enough images of each class, an asymmetric map.

    Args:
        size_key: of the study file, where the size of the clean subset stands.
    """
    dataset, name = entry.dataset, entry.label
    told = [v for v in variants if Privileges.TRANSITION_MATRIX in v.declaration.privileges]
    for noise in noises:
        _check_noise(noise, dataset, name, told, problems)
    resolved = protocol_for(protocol, dataset, variants)
    needing = needing_clean_subset(variants)
    if needing and clean_counts(dataset) == () and not protocol.clean_subset:
        allowed = f"without clean images: of {name} no true label is known (column clean_label)"
        problems.refuse("axes.method", needing[0], allowed)
    elif needing and resolved["clean_subset"] < dataset.classes:
        allowed = f"at least {dataset.classes}, one of each class of {name}, for {needing[0]}"
        problems.refuse(size_key, resolved["clean_subset"], allowed)
    told_all = [v for v in variants if Privileges.TRUE_LABELS in v.declaration.privileges]
    if told_all and dataset.truth != "all":
        allowed = f"without the true labels: those of {name} are not known (column clean_label)"
        problems.refuse("axes.method", told_all[0].label, allowed)
    if resolved["augment"] == "resized_crop_flip" and not dataset.packed:
        allowed = f"flip, crop_flip or crop_flip_vflip for {name}: resized crops are cut out of "
        problems.refuse("protocol.augment", resolved["augment"], f"{allowed}packed images only")
    check_sizes(dataset, resolved, noises, size_key, problems)


def _check_noise(
    noise: NoiseEntry,
    dataset: Dataset,
    name: str,
    told: list[MethodEntry],
    problems: Problems,
) -> None:
    """Notes a noise that the data set cannot have, or without the matrix that methods are told."""
    if noise.model.needs_truth and dataset.truth != "all":
        allowed = (
            f"given or labels_file: true labels of {name} are not known (they are with a column "
            "clean_label, or labels: true)"
        )
        problems.refuse("axes.noise", noise.slug, allowed)
        return
    try:
        matrix = noise.model.transition_matrix(dataset)
    except ValueError as error:
        problems.add("axes.noise", f"{noise.slug} is not allowed: {error}")
        return
    if matrix is None and told:
        allowed = "a noise that has a transition matrix"
        problems.refuse("axes.noise", noise.slug, f"{allowed}, for {told[0].label}")
