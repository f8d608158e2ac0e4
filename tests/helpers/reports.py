"""Made-up studies and the pages of `analysis/report.py` about them."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

from analysis import studies
from analysis.report_page import page as report_page
from tests.helpers.records import (
    ASYMMETRIC,
    CLEAN,
    HARDER,
    SYMMETRIC,
    cell,
    epoch_lines,
    record,
    write_study,
)

ROOT = Path(__file__).resolve().parents[2]
EVIL = "<img src=x onerror=document.title='taken'></script><script>document.title='taken'</script>"


def report(folder: Path, *arguments: str) -> tuple[str, subprocess.CompletedProcess[str]]:
    """The page that the command line writes, and what it prints."""
    command = [sys.executable, str(ROOT / "analysis" / "report.py"), str(folder), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    page = folder / "report.html"
    return (page.read_text(encoding="utf-8") if page.is_file() else ""), run


def made(folder: Path, *highlight: str) -> str:
    """The same page, made in this process."""
    return report_page.render(studies.load(folder), None, highlight, None)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def named(page: str, entry: dict) -> dict[str, dict]:
    """Criterion -> metric -> the numbers that an entry has (see `entries.value`)."""
    data = data_of(page)
    return {
        criterion["id"]: dict(zip((m["id"] for m in data["metrics"]), values, strict=True))
        for criterion, values in zip(data["criteria"], entry["values"], strict=True)
    }


def command_of(data: dict, entry: dict) -> str:
    """The command line of an entry, put together as the page's script does."""
    start, end = data["command"]
    parts = data["settings"][entry["setting"]], data["methods"][entry["method"]]
    return " ".join([start, *(part["only"] for part in parts), end])


def shown(page: str) -> str:
    """What a reader sees of a page without its data and script."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return html.unescape(" ".join(re.sub(r"<[^>]*>", " ", text).split()))


def half_finished(folder: Path, **changes) -> Path:
    """Four methods under four settings with two seeds; some cells missing, failed or stale."""
    cells, finished, epochs = [], [], {}
    for noise in (CLEAN, SYMMETRIC, HARDER, ASYMMETRIC):
        for place, method in enumerate(("cross_entropy", "gce", "co_teaching", "fine_tune")):
            for seed in range(2):
                cells.append(planned := cell(method, noise, seed, **changes))
                if noise == ASYMMETRIC and method in ("co_teaching", "fine_tune"):
                    continue
                if noise == SYMMETRIC and method == "co_teaching" and seed:
                    continue
                last = 0.7 + 0.03 * place + 0.01 * seed - 0.2 * noise.get("rate", 0)
                counts = [[8 - place, 2 + place], [1, 9]]
                finished.append(record(planned, last, last + 0.05, confusion={"last": counts}))
                epochs[planned["key"]] = epoch_lines(planned, last, last + 0.06)
    write_study(folder, cells, finished, epochs)
    failed = (
        folder
        / "cells"
        / next(c["name"] for c in cells if c["label"] == "fine_tune" and c["noise"] == ASYMMETRIC)
    )
    failed.mkdir()
    said = {"reason": "RuntimeError: no luck", "details": "Traceback", "log_tail": ["last words"]}
    (failed / "failed.json").write_text(json.dumps(said))
    return folder
