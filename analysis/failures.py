"""Why cells of a study have failed, out of the `failed.json` that they left."""

from __future__ import annotations

import json

from analysis.studies import Study
from runners.system.console import plain


def reason(study: Study, key: str) -> str | None:
    """Why a planned cell without a record has failed, in one line; None if it has not.

    Empty where it left a file that does not say why. A packed study does not keep such files.
    """
    path = study.sources.get(key, study.folder) / "failed.json"
    if study.packed or key in study.records or not path.is_file():
        return None
    try:
        return " ".join(plain(json.loads(path.read_text(encoding="utf-8"))["reason"]).split())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ""
