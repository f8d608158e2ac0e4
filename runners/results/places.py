"""Where a study's data lie, for the commands that look at images after it has run. No torch.

`places.json` beside `study.json` holds what no key may hold: the data root and paths of own data.
"""

from __future__ import annotations

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


def data_of_study(folder: Path, label: str) -> DataOfStudy:
    """The data set that a study calls `label`; one without `places.json` knows registered ones.

    Args:
        folder: of the study's results.
    """
    found = read_json(folder / "places.json")
    places = found if isinstance(found, dict) else {}
    own = (places.get("dataset") or {}).get(label) or {"config": label, "places": {}}
    root = places.get("data_root")
    return DataOfStudy(own["config"], own["places"], Path(root) if isinstance(root, str) else None)
