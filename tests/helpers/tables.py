"""Made-up studies and their tables."""

from __future__ import annotations

from pathlib import Path

from analysis import frames, studies, tables
from tests.helpers.records import ASYMMETRIC, SYMMETRIC, cell, record, write_study


def ten_records(folder: Path) -> studies.Study:
    """Twelve planned cells, of which MetaLabelNet's two under asymmetric noise are missing."""
    values = {
        ("cross_entropy", "symmetric"): [(0.72, 0.83, None), (0.74, 0.83, None)],
        ("co_teaching", "symmetric"): [(0.85, 0.85, 0.86), (0.84, 0.86, 0.87)],
        ("metalabelnet", "symmetric"): [(0.8441, 0.83, None), (0.8454, 0.84, None)],
        ("cross_entropy", "asymmetric"): [(0.75, 0.8, None), (0.75, 0.8, None)],
        ("co_teaching", "asymmetric"): [(0.815, 0.82, 0.83), (0.825, 0.82, 0.83)],
    }
    cells, made = [], []
    for noise in (SYMMETRIC, ASYMMETRIC):
        for method in ("cross_entropy", "co_teaching", "metalabelnet"):
            source = "default" if method == "metalabelnet" else "tuned"
            for seed in range(2):
                cells.append(cell(method, noise, seed, source=source))
                accuracies = values.get((method, noise["name"]))
                if accuracies:
                    made.append(record(cells[-1], *accuracies[seed]))
    assert len(made) == 10
    return studies.load(write_study(folder / "golden", cells, made, packed=True))


def table_of(study: studies.Study, *criteria: str) -> tables.Table:
    return tables.build(study, frames.cells(study), list(criteria or ("last",)))


def one_column(folder: Path, values: dict[str, list[float]], seeds: int = 3, **changes):
    """A packed study under symmetric noise with the given accuracies by method."""
    cells = [cell(m, SYMMETRIC, s, **changes) for m in values for s in range(seeds)]
    made = [
        record(planned, values[planned["method"]][planned["seed"]], 0.8)
        for planned in cells
        if planned["seed"] < len(values[planned["method"]])
    ]
    return studies.load(write_study(folder / "made", cells, made, packed=True))
