"""Short study files, read as a user would have them read."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.study.config import Study, load_study
from runners.system.errors import ConfigError

AXES = "axes: {dataset: simulated, noise: clean, method: gce, seed: 1}\n"
STUDY = f"study: s\n{AXES}"


def load(tmp_path: Path, text: str, *overrides: str, tuned: str = "", **options) -> Study:
    (tmp_path / "s.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "tuned").mkdir(exist_ok=True)
    if tuned:
        (tmp_path / "tuned" / "simulated.yaml").write_text(tuned, encoding="utf-8")
    folder = tmp_path / "tuned"
    return load_study(tmp_path / "s.yaml", overrides, tuned_folder=folder, **options)


def problems(tmp_path: Path, text: str, *overrides: str, **options) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, *overrides, **options)
    return caught.value.problems
