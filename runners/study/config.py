"""Loads a study file: every mistake of it at once, each one sentence, before anything runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import datasets
from runners.study import checks, schema
from runners.study.entries import dataset_entries, method_entries, noise_entries
from runners.study.fields import note_errors
from runners.study.presets import with_preset
from runners.study.problems import Problems, hint, one_line, shown
from runners.study.resolve import Study
from runners.study.schema import MOST_CELLS, StudyFile
from runners.study.slurm_section import check_slurm
from runners.study.tuned import TUNED, tuned_values
from runners.study.yaml_file import parse, read_mapping
from runners.system.errors import ConfigError

__all__ = ["ConfigError", "Study", "load_study"]


def load_study(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    tuning: bool = False,
    tuned_folder: Path | None = None,
) -> Study:
    """Reads, checks and expands a study.

    Args:
        path: a YAML file; it is named in messages as it is given.
        overrides: `KEY=VALUE` of the command line; VALUE is YAML and KEY a dotted schema key.
        tuning: whether a development set may be asked for.
        tuned_folder: holds one `<dataset>.yaml` of tuned hyper-parameters a data set; by default
            the folder `tuned` beside the study for the data sets it has, else that of the suite.

    Raises:
        ConfigError: with all mistakes of the file and the overrides.
    """
    problems = Problems(str(path))
    raw = read_mapping(Path(path), problems)
    if raw is None:
        raise ConfigError(list(problems.sentences))
    raw = _with_overrides(raw, overrides, problems)
    raw = with_preset(raw, problems)
    file = _validated(raw, problems)
    folders = [Path(path).parent / "tuned", TUNED] if tuned_folder is None else [tuned_folder]
    study = _expanded(file, Path(path).absolute().parent, tuning, folders, problems)
    problems.check()
    return study


def _with_overrides(
    raw: dict[str, Any], overrides: Sequence[str], problems: Problems
) -> dict[str, Any]:
    """`raw` with the values of `--set` in place; mistakes of theirs are noted."""
    known = schema.keys()
    sections = [key for key in ("axes", "protocol", "run", "slurm") if key in raw]
    changed = raw | {key: {} for key in sections if raw[key] is None}
    for text in overrides:
        key, equals, value = text.partition("=")
        own = Problems(f"--set {one_line(key)}")
        parsed = parse(value, own) if value.strip() else None
        if key not in known or not equals:
            ends = [each for each in known if each.rpartition(".")[2] == key]
            near = f"; did you mean {ends[0]}?" if ends else hint(key, known)
            own = Problems("--set")
            own.add("", f"{shown(text)} is not allowed: must be KEY=VALUE with a schema key{near}")
        problems.extend(own.sentences)
        if own:
            continue
        section, _, inner = key.partition(".")
        if not inner:
            changed[section] = parsed
        elif isinstance(changed.setdefault(section, {}), dict):
            changed[section][inner] = parsed
        problems.overridden.add(key)
    return changed


def _validated(raw: dict[str, Any], problems: Problems) -> StudyFile:
    """The file as a model; what is wrong is noted and left out, so that the rest is checked too."""
    axes = raw.get("axes")
    for key in ("dataset", "noise", "method"):
        if isinstance(axes, dict) and axes.get(key) == []:
            problems.refuse(f"axes.{key}", [], "one entry or more")
    try:
        return StudyFile.model_validate(raw)
    except ValidationError as error:
        note_errors(error, StudyFile, "", raw, problems)
        return StudyFile.model_validate(_without(raw, [e["loc"] for e in error.errors()]))


def _without(raw: dict[str, Any], wrong: list[tuple[Any, ...]]) -> dict[str, Any]:
    """`raw` without the values at `wrong`, and with empty axes where there are none."""
    kept = {key: dict(part) if isinstance(part, dict) else part for key, part in raw.items()}
    for section, *inner in wrong:
        if inner and isinstance(kept.get(section), dict):
            kept[section].pop(inner[0], None)
        else:
            kept.pop(section, None)
    empty = {"dataset": [], "noise": [], "method": []}
    return {"study": "unnamed", **kept, "axes": empty | kept.get("axes", {})}


def _expanded(
    file: StudyFile,
    base: Path,
    tuning: bool,
    tuned_folders: Sequence[Path],
    problems: Problems,
) -> Study:
    axes, protocol = file.axes, file.protocol
    datasets.forget()
    data_sets = dataset_entries(axes.dataset, base, problems)
    noises = noise_entries(axes.noise, base, problems)
    variants = method_entries(axes.method, base, problems)
    seeds = checks.seeds(axes.seed, problems)
    sizes = checks.clean_subsets(axes.clean_subset, protocol, problems)
    cells = math.prod(map(len, (data_sets, noises, sizes or (None,), variants, seeds)))
    if cells > MOST_CELLS:
        problems.add("axes", f"{cells:,} cells are not allowed: must be at most {MOST_CELLS:,}")
    checks.check_protocol(protocol, tuning, problems)
    check_slurm(file.slurm, file.run.backend, file.run.device, problems)
    tuned = {
        entry.label: tuned_values(entry.label, tuned_folders, variants, problems)
        if protocol.hparams == "tuned"
        else {}
        for entry in data_sets
    }
    checks.check_entries(data_sets, noises, variants, protocol.hparams, tuned, problems)
    checks.check_tuning_seeds(seeds, variants, protocol.hparams, tuned, problems)
    for entry in {entry.label: entry for entry in data_sets}.values():
        for size in sizes or (protocol.clean_subset,):
            sized = protocol.model_copy(update={"clean_subset": size})
            key = "axes.clean_subset" if sizes else "protocol.clean_subset"
            checks.check_setting(entry, sized, noises, variants, problems, key)
    return Study(
        name=file.study,
        datasets=tuple(data_sets),
        noises=tuple(noises),
        methods=tuple(variants),
        seeds=tuple(seeds),
        protocol=protocol,
        run=file.run,
        slurm=file.slurm,
        tuned=tuned,
        clean_subsets=sizes,
    )
