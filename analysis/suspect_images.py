"""The images behind a list of suspects: the data set of a finished study, as it was when it ran."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from analysis.studies import Study
from analysis.suspect_scores import Group, files
from datasets.base import Arrays, DataError, Dataset
from runners.results.places import data_of_study
from runners.system.errors import UserError


def data_of_group(study: Study, group: Group, data: Path | None) -> tuple[Dataset, Arrays]:
    """The data set of a group, which must be that of its records.

    Args:
        study: the study.
        group: cells of one setting.
        data: root of the data sets; None for DATA_ROOT or that of the run.

    Raises:
        UserError: it is not there, or has changed.
    """
    label = group.first["dataset"]
    dataset, arrays = read(study, label, data)
    if not ran_on(group, arrays):
        raise UserError(
            f"study {study.name}: {label} has changed since it ran: run the study again "
            "(--rerun-stale)"
        )
    return dataset, arrays


def read(study: Study, label: str, data: Path | None) -> tuple[Dataset, Arrays]:
    """A data set of a study as it is now; arguments and errors as of `data_of_group`."""
    own = data_of_study(study.folder, label)
    root = data or (Path(os.environ["DATA_ROOT"]) if "DATA_ROOT" in os.environ else own.root)
    try:
        dataset = own.dataset
        return dataset, dataset.load(root)
    except (DataError, ImportError, KeyError, ValueError) as error:
        raise UserError(f"study {study.name}: {label} cannot be read: {error}") from error


def ran_on(group: Group, arrays: Arrays) -> bool:
    """Whether these are the data of the records of a group."""
    wanted = {record["provenance"].get("data_sha256") for _, record in group.cells}
    return not wanted - {arrays.sha256, None, ""}


class Named:
    """Images by what a list of suspects calls them: their path, else their index.

    Args:
        dataset, arrays: of a group.

    Attributes:
        arrays: the same.
    """

    def __init__(self, dataset: Dataset, arrays: Arrays) -> None:
        self.arrays = arrays
        paths = files(arrays, dataset) if "path" in arrays.train_inputs else None
        names = range(len(arrays.train_images)) if paths is None else paths
        self._positions = {str(name): position for position, name in enumerate(names)}

    def get(self, name: str) -> np.ndarray | None:
        """uint8 (C, H, W); None where there is no such image."""
        position, train = self._positions.get(name), self.arrays.train_images
        if position is None:
            return None
        before = position < len(train)
        return train[position] if before else self.arrays.test_images[position - len(train)]
