"""Tuned hyper-parameters: the file that holds them, and who may take them.

`benchmarks/tuned/<data set>.yaml` has one flat mapping a method (`gce: {q: 0.9}`) and, under
`tuned_under`, for each method under what it was tuned. A study that differs from that is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from annotated_types import Ge, MinLen
from pydantic import BaseModel, ConfigDict, ValidationError

import methods
from datasets.registry import is_outside
from methods.declaration import Declaration, Privileges
from runners.study.entries import MethodEntry
from runners.study.fields import Real, Whole, note_errors
from runners.study.problems import Problems
from runners.study.values import checked, note_unknown
from runners.study.yaml_file import read_mapping
from runners.system.canonical import RESULTS_VERSION

ROOT = Path(__file__).resolve().parents[2]
TUNED = ROOT / "benchmarks" / "tuned"
UNDER = "tuned_under"


class TunedUnder(BaseModel):
    """Under what the values of one method were found.

    Attributes:
        fixed: what all draws had in place of a default, of hyper-parameters that are not searched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: str
    epochs: Whole
    lr: Real
    batch_size: Whole
    clean_subset: Whole
    noises: list[str]
    seeds: Annotated[list[Whole], MinLen(1)]
    draws: Annotated[Whole, Ge(1)]
    results_version: Whole
    fixed: dict[str, Any] = {}


@dataclass(frozen=True)
class Tuned:
    """The tuned values of a method on a data set; `under` is None where the file does not say."""

    values: Mapping[str, Any]
    under: TunedUnder | None


ByDataset = Mapping[str, Mapping[str, Tuned]]
"""Label of a data set -> method -> what was tuned."""


@dataclass(frozen=True)
class Hparams:
    """All hyper-parameters of a variant on one data set.

    Attributes:
        values: in declared order.
        sources: of each value `study`, `tuned`, `paper` or `default`.
        tuned: whose values were taken, if any were.
    """

    values: dict[str, Any]
    sources: dict[str, str]
    tuned: Tuned | None


def hparams_for(entry: MethodEntry, mode: str, tuned: Mapping[str, Tuned]) -> Hparams:
    """What a variant is run with, and where each value comes from.

    The study's own word counts first, then (by `protocol.hparams`) the tuned file or the paper,
    then the method's defaults. A variant that names what tuning does not search, such as another
    form of the loss, takes only values that were tuned with the same.
    """
    declared = entry.declaration
    base = "paper" if mode == "paper" else "default"  # the defaults are the paper's, too
    values, sources = dict(declared.defaults), dict.fromkeys(declared.fields, base)
    more, used = {}, None
    found = tuned.get(entry.method) if mode == "tuned" else None
    fixed = found.under.fixed if found and found.under else {}
    others = {name: at for name, at in entry.named.items() if name not in declared.searched}
    if found and others.items() <= fixed.items():
        used, more = found, found.values
    if mode == "paper":
        more = declared.paper
    for source, some in ((mode, more), ("study", entry.named)):
        values |= some
        sources |= dict.fromkeys(some, source)
    return Hparams(values, sources, used if "tuned" in sources.values() else None)


def tuned_at(
    tuned: Tuned | None,
    protocol: Mapping[str, Any],
    declared: Declaration,
    values: Mapping[str, Any],
) -> str:
    """Under what else the values were tuned than they are used; empty where nothing differs."""
    if tuned is None:
        return ""
    under = tuned.under
    if under is None:
        return "unknown conditions"
    words = {
        "network": under.network,
        "epochs": f"{under.epochs:,} epochs",
        "lr": f"lr {under.lr:g}",
        "batch_size": f"batch size {under.batch_size:,}",
    }
    if Privileges.CLEAN_SUBSET in declared.privileges:
        words["clean_subset"] = f"{under.clean_subset:,} clean images"
    differ = [text for key, text in words.items() if getattr(under, key) != protocol[key]]
    differ += [f"{name} {at}" for name, at in under.fixed.items() if values.get(name) != at]
    if under.results_version != RESULTS_VERSION:
        differ.append(f"results version {under.results_version}")
    return ", ".join(differ)


def tuned_values(
    dataset: str, folders: Iterable[Path], entries: Iterable[MethodEntry], problems: Problems
) -> dict[str, Tuned]:
    """What was tuned on a data set by method, of the first folder that has it; else empty.

    That of outside methods is taken (and checked) only where a study names the method.
    """
    path = next((p for p in (f / f"{dataset}.yaml" for f in folders) if p.exists()), None)
    if path is None:
        return {}
    own = Problems(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path))
    known = {name: methods.declaration(name) for name in methods.names()}
    known |= {entry.method: entry.declaration for entry in entries}
    content = read_mapping(path, own) or {}
    under = _under(content.pop(UNDER, {}), own)
    by_method = {}
    for method, values in content.items():
        if method in known and isinstance(values, dict):
            of_method = _tuned_method(method, known[method], values, own)
            by_method[method] = Tuned(of_method, under.get(method))
        elif method in known:
            own.refuse(method, values, "a mapping of hyper-parameters to values")
        elif not is_outside(method):
            own.unknown_key(method, [*methods.names(), UNDER])
    problems.extend(own.sentences)
    return by_method


def _under(raw: Any, problems: Problems) -> dict[str, TunedUnder]:
    if not isinstance(raw, dict):
        problems.refuse(UNDER, raw, "a mapping of methods to what they were tuned under")
        return {}
    found = {}
    for method, values in raw.items():
        try:
            found[method] = TunedUnder.model_validate(values)
        except ValidationError as error:
            note_errors(error, TunedUnder, f"{UNDER}.{method}", values, problems)
    return found


def _tuned_method(
    method: str, declaration: Declaration, values: dict[str, Any], problems: Problems
) -> dict[str, Any]:
    for key in [key for key in values if key not in declaration.fields]:
        note_unknown(declaration.hparams, key, method, problems)
    known = {key: value for key, value in values.items() if key in declaration.fields}
    values = checked(declaration.hparams, known, method, problems)
    return {key: value for key, value in (values or {}).items() if key in known}
