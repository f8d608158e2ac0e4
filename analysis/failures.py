"""Why cells of a study have failed, out of the `failed.json` that they left."""

from __future__ import annotations

from typing import Any

from analysis.studies import Study
from runners.system.console import plain
from runners.system.files import read_json


def failure(study: Study, key: str) -> dict[str, Any] | None:
    """What a planned cell without a record has left of its failure; None if it has not failed.

    Empty where its file cannot be read. A packed study does not keep such files.
    """
    path = study.sources.get(key, study.folder) / "failed.json"
    if study.packed or key in study.records or not path.is_file():
        return None
    try:
        found = read_json(path)
    except OSError:
        found = None
    return found if isinstance(found, dict) else {}


def reason(study: Study, key: str) -> str | None:
    """Why a planned cell without a record has failed, in one line; None if it has not.

    Empty where it left a file that does not say why.
    """
    found = failure(study, key)
    said = found.get("reason") if found else ""
    text = " ".join(plain(said).split()) if isinstance(said, str) else ""
    return None if found is None else text
