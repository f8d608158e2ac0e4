"""Parameters of data sets and noise models that are paths: a study's label stands for them.

A path says where something lies, not what it is; so it is in no key and no random stream.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, Field


class IsPath:
    """Marks a field whose text is a path, relative to the study file or absolute."""


OnDisk = Annotated[str, IsPath(), Field(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]


def path_fields(model: type[BaseModel]) -> list[str]:
    """Names of the fields of a model that are paths."""
    return [
        name
        for name, field in model.model_fields.items()
        if _marked(field.metadata) or _inside(field.annotation)
    ]


def _marked(metadata: Any) -> bool:
    return any(isinstance(item, IsPath) for item in metadata)


def _inside(annotation: Any) -> bool:
    """Whether a part of a union is marked, as in `OnDisk | None`."""
    return _marked(getattr(annotation, "__metadata__", ())) or any(
        _inside(part) for part in get_args(annotation) if not isinstance(part, str)
    )
