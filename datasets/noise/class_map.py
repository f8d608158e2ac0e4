"""Class-dependent noise by a map of one's own: which class is mistaken for which."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BeforeValidator, Field

from datasets.base import Dataset
from datasets.noise import class_names
from datasets.noise.base import ClassNoise, register


def _texts(value: Any) -> Any:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, dict) else value


@register
class ClassMap(ClassNoise):
    """With probability `rate` a label of a class in `map` becomes the class that it names.

    Classes are named, or numbered from 0 unless a class has a number for a name; those that are not
    in the map keep all their labels.
    """

    name: Literal["class_map"] = "class_map"
    map: Annotated[dict[str, str], BeforeValidator(_texts), Field(min_length=1)]

    @property
    def slug(self) -> str:
        return self._short("-")

    @property
    def display(self) -> str:
        return self._short(" ").replace("class_map", "Class map")

    def _short(self, blank: str) -> str:
        pairs = [f"{true}_{given}" for true, given in self.map.items()]
        return blank.join(["class_map", *pairs, str(self.rate), *["exact"] * self.exact])

    def targets(self, dataset: Dataset) -> np.ndarray:
        """As in the base class.

        Raises:
            ValueError: the map names a class that the data set does not have, or one twice.
        """
        number = class_names.by_name(dataset)
        target = np.eye(dataset.classes)
        moved: dict[int, str] = {}
        for pair in self.map.items():
            for name in pair:
                if name not in number:
                    raise ValueError(
                        f"class_map: {name!r} is no class of {dataset.name}: must be "
                        f"{class_names.allowed(dataset)}"
                    )
            true, given = (number[name] for name in pair)
            if true in moved:
                raise ValueError(f"class_map: {moved[true]!r} and {pair[0]!r} are one class")
            moved[true] = pair[0]
            target[true] = np.eye(dataset.classes)[given]
        return target
