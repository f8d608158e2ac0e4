"""Where a study's data lie, for the commands that look at images after it has run. No torch.

`places.json` beside `study.json` holds what no key may hold: the data root and paths of own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
from datasets.base import Dataset
from runners.system.files import read_json


@dataclass(frozen=True)
class DataOfStudy:
    """A data set of a finished study.

    Attributes:
        config: as in the key of its cells.
        places: values of its parameters that are paths.
        root: data root of the run that was the last to prepare the study.
    """

    config: str | dict[str, Any]
    places: dict[str, str]
    root: Path | None

    @property
    def dataset(self) -> Dataset:
        """The data set.

        Raises:
            DataError, KeyError, ImportError, ValueError: it is not there any more.
        """
        return datasets.of(self.config, self.places)


def data_of_study(folder: Path, config: Mapping[str, Any], label: str) -> DataOfStudy:
    """The data set that a study calls `label`.

    Args:
        folder: of the study's results.
        config: of its `study.json`.
    """
    configs = (config.get("axes") or {}).get("dataset") or []
    own = next((each for each in configs if _label(each) == label), label)
    found = read_json(folder / "places.json")
    places = found if isinstance(found, dict) else {}
    paths = (places.get("dataset") or {}).get(label) or {}
    root = places.get("data_root")
    return DataOfStudy(own, dict(paths), Path(root) if isinstance(root, str) else None)


def _label(config: Any) -> str:
    if isinstance(config, str):
        return config.rpartition(":")[2]
    return config.get("label") or str(config.get("name")).rpartition(":")[2]
