"""What was run and by what code, as terms and sentences for the head of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from analysis.findings import cost
from analysis.studies import Study
from runners.system.console import counted

PROTOCOL = {
    "network": "Network", "epochs": "Epochs", "batch_size": "Batch size", "optimizer": "Optimizer",
    "lr": "Learning rate", "clean_subset": "Clean images",
}  # fmt: skip


def facts(study: Study) -> list[tuple[str, str]]:
    """(term, what holds of the study) in the order of the page."""
    cells, records = study.cells, list(study.records.values())
    said = [
        ("Cells", f"{len(records)} of {len(cells)} finished"),
        ("Data sets", _listed(cell["dataset"] for cell in cells)),
        ("Noise", _listed(cell["noise_display"] for cell in cells)),
        ("Methods", _listed(cell["display"] for cell in cells)),
        ("Seeds", _listed(cell["seed"] for cell in cells)),
        ("Track", _listed(cell["track"] for cell in cells)),
    ]
    for name, term in PROTOCOL.items():
        values = [v for cell in cells if (v := cell["protocol"].get(name)) is not None]
        said += [(term, _listed(values))] if values else []
    if records:
        said += [("Cost", cost(records)), *_code(records)]
    return said


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


def _code(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    origins = [record["provenance"] for record in records]
    said = [
        ("Results version", _counts(record.get("results_version") for record in records)),
        ("Commit", _counts(_commit(origin) for origin in origins)),
        ("Python", _counts(origin.get("python") for origin in origins)),
        ("Packages", _counts(_packages(origin.get("packages")) for origin in origins)),
        ("Device", _counts(origin.get("device") for origin in origins)),
        ("Processor", _counts(origin.get("processor") for origin in origins)),
    ]
    return [(term, text) for term, text in said if text]


def _commit(origin: Mapping[str, Any]) -> str | None:
    sha = origin.get("git_sha")
    return f"{sha}{' with changes on top' * bool(origin.get('dirty'))}" if sha else None


def _packages(versions: Any) -> str | None:
    if not isinstance(versions, dict):
        return None
    return " ".join(f"{name} {version}" for name, version in sorted(versions.items())) or None


def _counts(values: Iterable[Any]) -> str:
    """The values, with the number of cells of each where there are several."""
    counts = Counter("not recorded" if value in (None, "") else str(value) for value in values)
    if set(counts) == {"not recorded"}:
        return ""
    if len(counts) == 1:
        return next(iter(counts))
    return "; ".join(f"{text} ({counted(n, 'cell')})" for text, n in counts.most_common())
