"""One cell of a grid: what names it and what its key is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import datasets
import datasets.noise
from datasets.base import Dataset
from datasets.noise.base import NoiseModel
from runners.system.canonical import canonical, sha256_of


@dataclass(frozen=True)
class Cell:
    """One run: a method on a data set under a noise with a seed, everything decided.

    Attributes:
        dataset: its name in folders and tables; `dataset_config` its name and parameters.
        method, seed: of the axes; an outside method is `package.module:Class`.
        noise: resolved parameters with `name`; `noise_slug`, `noise_display`: its names.
        label, display: names of the variant in folders and tables; in no key, no random stream.
        protocol, hparams: fully resolved.
        hparams_source: of each hyper-parameter `study`, `tuned`, `paper` or `default`.
        tuned_under: under what tuned values were found, None where there are none.
        tuned_at: how that differs from this cell, in words; empty where it does not.
        track: `fair` or `paper`.
        privileges: lower-case names of what the method is told beyond noisy labels.
        dataset_places, noise_places: parameters that are paths, in no key; `label` is instead.
    """

    dataset: str
    dataset_config: str | dict[str, Any]
    noise: dict[str, Any]
    noise_slug: str
    noise_display: str
    method: str
    label: str
    display: str
    seed: int
    protocol: dict[str, Any]
    hparams: dict[str, Any]
    hparams_source: dict[str, str]
    tuned_under: dict[str, Any] | None
    tuned_at: str
    track: str
    privileges: list[str]
    dataset_places: dict[str, str] = field(default_factory=dict)
    noise_places: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """All that may change a number of the result, and nothing else."""
        return {
            "dataset": self.dataset_config,
            "noise": self.noise,
            "method": self.method,
            "seed": self.seed,
            "protocol": self.protocol,
            # What is not set is not there: a method may get an option without a change of keys.
            "hparams": {name: v for name, v in self.hparams.items() if v is not None},
        }

    @property
    def data_set(self) -> Dataset:
        return datasets.of(self.dataset_config, self.dataset_places)

    @property
    def noise_model(self) -> NoiseModel:
        return datasets.noise.of(self.noise, self.noise_places)

    @property
    def dataset_name(self) -> str:
        """The data set as the registry knows it."""
        config = self.dataset_config
        return config if isinstance(config, str) else config["name"]

    @property
    def data(self) -> str:
        """Names the data in random streams: the same numbers whatever the label."""
        config = self.dataset_config
        return config if isinstance(config, str) else canonical(config)

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of `config`, as 64 hexadecimal digits."""
        return sha256_of(self.config)

    @cached_property
    def name(self) -> str:
        """Name of the cell's folder."""
        label = f"{self.dataset}__{self.noise_slug}__{self.label}"
        return f"{label}__s{self.seed}__{self.key[:8]}"

    @property
    def origin(self) -> str:
        """Where the hyper-parameters come from, in words; defaults beside others go unsaid."""
        by_source: dict[str, list[str]] = {}
        for name, source in self.hparams_source.items():
            by_source.setdefault(source, []).append(name)
        told = {s: names for s, names in by_source.items() if s != "default"} or by_source
        texts = [f"{s} ({', '.join(names)})" if len(told) > 1 else s for s, names in told.items()]
        return ", ".join(texts) + (f" at {self.tuned_at}" if self.tuned_at else "")

    def __hash__(self) -> int:
        return hash(self.key)
