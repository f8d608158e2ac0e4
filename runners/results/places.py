"""Where a study's data lie, for the commands that look at images after it has run. No torch.

`places.json` beside `study.json` holds what no key may hold: the data root and paths of own data
and of files that noise models read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import datasets.noise
from datasets.base import DataError, Dataset
from datasets.noise.base import NoiseModel
from runners.results.sources import stamp_of
from runners.system.files import read_json


@dataclass(frozen=True)
class DataOfStudy:
    """A data set of a finished study.

    Attributes:
        config: as in the key of its cells.
        places: values of its parameters that are paths.
        root: data root of the run that was the last to prepare the study.
        missing: a sentence where nothing says what the data set is; else empty.
    """

    config: str | dict[str, Any]
    places: dict[str, str]
    root: Path | None
    missing: str = ""

    @property
    def dataset(self) -> Dataset:
        """The data set.

        Raises:
            DataError, KeyError, ImportError, ValueError: it is not there any more.
        """
        if self.missing:
            raise DataError(self.missing)
        return datasets.of(self.config, self.places)

    @property
    def is_read(self) -> bool:
        """Whether `dataset` can be had without decoding images that have changed."""
        if not self.places:
            return True
        try:
            look = getattr(datasets.REGISTRY.load(self.config["name"]), "is_read", None)
            return look is None or look(datasets.parameters(self.config, self.places))
        except (ImportError, KeyError, ValueError):
            return True


def data_of_study(folder: Path, label: str) -> DataOfStudy:
    """The data set that a study calls `label`; one without `places.json` knows registered ones.

    Args:
        folder: of the study's results.
    """
    root, missing = _file(folder).get("data_root"), ""
    own = _entry(folder, "dataset", label)
    if own is None:
        own = {"config": label, "places": {}}
        if not datasets.REGISTRY.has(label):
            missing = (
                f"{folder / 'places.json'} does not say where its images are: run the study again, "
                "which writes it and leaves finished cells as they are"
            )
    root = Path(root) if isinstance(root, str) else None
    return DataOfStudy(own["config"], own["places"], root, missing)


def stamp_today(folder: Path, cell: Mapping[str, Any]) -> str | None:
    """What stands for the content of a planned cell's data and label files as they are now.

    None where nobody can tell without decoding images, or a file is not there.

    Args:
        folder: of the study's results.
        cell: as `study.json` has it.
    """
    own = data_of_study(folder, cell["dataset"])
    try:
        model = _noise(folder, cell)
        if own.missing or model is None or not own.is_read:
            return None
        return stamp_of(own.dataset, model, cell["protocol"]["network"], own.root)
    except (DataError, ImportError, KeyError, ValueError):
        return None


def _noise(folder: Path, cell: Mapping[str, Any]) -> NoiseModel | None:
    """The noise model of a planned cell; None where its files are not known."""
    own = _entry(folder, "noise", cell["noise_slug"])
    return own and datasets.noise.of(own["config"], own["places"])


def _file(folder: Path) -> dict[str, Any]:
    found = read_json(folder / "places.json")
    return found if isinstance(found, dict) else {}


def _entry(folder: Path, kind: str, label: str) -> dict[str, Any] | None:
    """What the file has of a data set or noise; None where that is not what was written."""
    entries = _file(folder).get(kind)
    own = entries.get(label) if isinstance(entries, dict) else None
    if not isinstance(own, dict) or not isinstance(own.get("places"), dict):
        return None
    config = own.get("config")
    named = isinstance(config, str) or (isinstance(config, dict) and "name" in config)
    return own if named else None
