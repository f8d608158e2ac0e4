"""The page itself: one file out of a template, a style and a script."""

from __future__ import annotations

import base64
import hashlib
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from analysis import frames, notes
from analysis.findings import LEVEL, TOLD_APART
from analysis.report_page import again, data, entries, facts, states, suspects
from analysis.studies import Study

FOLDER = Path(__file__).parent
SCRIPTS = ("dom.js", "charts.js", "explorer.js", "report.js")
COLUMNS = 8
"""Settings that stand side by side in one table."""


def script() -> str:
    """The page's whole script, in a scope of its own."""
    parts = [(FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return '\n(() => {\n"use strict";\n' + "\n".join(parts) + "})();\n"


def render(
    study: Study, reference: str | None, highlight: Sequence[str], named: Path | None
) -> str:
    """The text of the page.

    Args:
        study: the study, finished or not.
        reference: label of a method that figures never leave grey; None for the default.
        highlight: further such labels.
        named: the study file, where the user has named one.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=True, trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    payload = data.payload(study, reference, highlight, named)
    code = script()
    digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        study=study, payload=payload, tables=_tables(payload), facts=facts.facts(study),
        problems=states.problems(payload), sentences=study.sentences(), unread=study.unread,
        notes=_notes(study, payload), level=f"{100 * LEVEL:.0f}",
        told_apart=TOLD_APART,
        suspects=suspects.suspects(study), study_text=again.as_file(study),
        study_link="data:text/plain;charset=utf-8," + urllib.parse.quote(again.as_file(study)),
        elsewhere=again.ELSEWHERE, style=_own("report.css"), script=Markup(code), digest=digest,
        text=entries.text, json=Markup(data.as_json(payload)),
    )  # fmt: skip


def _own(name: str) -> Markup:
    return Markup((FOLDER / name).read_text(encoding="utf-8"))


def _notes(study: Study, payload: dict[str, Any]) -> list[str]:
    asked = study.config.get("protocol") or {}
    names = [criterion["id"] for criterion in payload["criteria"]]
    tuned, preset = asked.get("hparams") == "tuned", asked.get("preset")
    said = notes.below(frames.cells(study), names, "accuracy", "", tuned, preset)
    return [note for note in said if note]  # the page says itself what is bold


def _tables(payload: dict[str, Any]) -> list[dict[str, Any]]:
    """Tables of at most `COLUMNS` settings of one data set, a row a method; entries by number."""
    places = {(e["method"], e["setting"]): k for k, e in enumerate(payload["entries"])}
    datasets = list(dict.fromkeys(setting["dataset"] for setting in payload["settings"]))
    found = []
    for dataset in datasets:
        mine = [k for k, s in enumerate(payload["settings"]) if s["dataset"] == dataset]
        parts = [mine[at : at + COLUMNS] for at in range(0, len(mine), COLUMNS)]
        for number, part in enumerate(parts, start=1):
            rows = [
                (k, [places.get((k, setting)) for setting in part])
                for k in range(len(payload["methods"]))
            ]
            rows = [(k, row) for k, row in rows if any(place is not None for place in row)]
            of = f", part {number} of {len(parts)}" if len(parts) > 1 else ""
            found.append({"caption": f"{dataset}{of}", "settings": part, "rows": rows})
    return found
