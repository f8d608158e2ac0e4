"""A page about a study says what the records say, runs nothing that people wrote, and works."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from analysis import records
from analysis.notes import NOTHING
from analysis.report_page import page as report_page
from runners.commands.arguments import run_parser
from runners.study.grid import select
from tests.helpers.browser import CHROMIUM, visit
from tests.helpers.records import (
    ASYMMETRIC,
    CLEAN,
    HARDER,
    METHODS,
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
    return report_page.render(records.load(folder), None, highlight, None)


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


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


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    return half_finished(tmp_path_factory.mktemp("report") / "half")


@pytest.fixture(scope="module")
def page(study) -> str:
    text, run = report(study)
    assert run.returncode == 0, run.stderr
    return text


def test_tables_and_findings_say_what_the_records_say(page):
    said = shown(page)
    assert "27 of 32 cells finished" in said
    assert "62.5 ± 0.7" in said  # cross-entropy under symmetric noise 0.4
    assert "Symmetric 0.4, last, all methods: Fine-tune has the best mean (71.5, 2 seeds)" in said
    entries = data_of(page)["entries"]
    first = entries[0]["values"]
    assert first["last"]["accuracy"][:2] == ["70.5 ± 0.7", 70.5]
    assert first["noisy_val"]["accuracy"][:2] == ["75.5 ± 0.7", 75.5]
    assert first["last"]["worst_class"][1] == 80.0
    low, high = first["last"]["accuracy"][2:4]
    assert (round(low, 1), round(high, 1)) == (64.1, 76.9)  # 70.5 -+ 12.706 * 0.7071 / sqrt(2)


def test_nothing_of_a_half_finished_study_is_hidden(page):
    said = shown(page)
    assert "27 of its 32 cells count" in said
    assert "failed Asymmetric 0.4 Fine-tuneᶜ 0 RuntimeError: no luck Details Traceback last" in said
    assert "not finished Asymmetric 0.4 Fine-tuneᶜ 1" in said
    assert "not finished Asymmetric 0.4 Co-teachingʳ 0, 1" in said
    assert f"{NOTHING} (0/2) 1 failed" in said
    assert "(1/2)" in said
    assert "stale" in said and "ran under other code" in said


def test_a_study_without_any_record_has_a_page(tmp_path):
    folder = write_study(tmp_path / "empty", [cell("gce", SYMMETRIC, 0)], [])
    text = made(folder)
    assert "no cell of 1 is finished yet" in shown(text)
    assert f"{NOTHING} (0/1)" in shown(text)


def test_names_of_people_are_text_and_nothing_else(tmp_path):
    hostile = {"display": EVIL, "noise_display": EVIL, "dataset": EVIL, "hparams": {EVIL: EVIL}}
    cells = [cell("gce", SYMMETRIC, 0, **hostile)]
    origin = {"fingerprint": "x", "git_sha": EVIL, "device": EVIL, "warnings": [EVIL]}
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8, provenance=origin)])
    (folder / "suspects.csv").write_text(f"index,path\n1,{EVIL}\n")
    text = made(folder)
    assert "<img" not in text and text.count("<script") == 2 == text.count("</script>")
    assert data_of(text)["methods"][0]["name"] == EVIL
    assert shown(text).count(EVIL) >= 5


def test_the_page_allows_no_script_but_its_own_and_no_request(page):
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'") and f"script-src 'sha256-{digest}';" in policy
    assert not re.findall(r"(?:src|href)=\"(?!#|data:text/plain)", page)
    written = sum(
        len(path.read_text().splitlines()) for path in (ROOT / "analysis").glob("**/*.js")
    )
    assert written < 400


def test_commands_name_the_cells_they_stand_for(study, page):
    class Cell:
        def __init__(self, planned):
            self.__dict__.update(planned, dataset_name=planned["dataset"])

    cells = [Cell(each) for each in json.loads((study / "study.json").read_text())["cells"]]
    payload = data_of(page)
    for entry in payload["entries"]:
        seed = entry["seeds"][1]
        words = shlex.split(f"{entry['command']} --only seed={seed['seed']}")
        assert words[:2] == ["python", "runners/run_grid.py"]
        options = run_parser("run_grid.py", "").parse_args(words[2:])
        assert options.results == Path("again") and options.study.name == "half.yaml"
        assert [each.name for each in select(cells, options.only)] == [seed["name"]]
    assert '<a download="half.yaml" href="data:text/plain' in page


def test_a_study_file_of_the_checkout_is_named():
    folder = ROOT / "results" / "reference" / "feature_dependent"
    assert data_of(made(folder))["file"] == "benchmarks/feature_dependent.yaml"


def test_suspects_are_listed_up_to_fifty(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0)]
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8)])
    rows = "".join(f"image{k}.png,cat,dog\n" for k in range(60))
    (folder / "suspects.csv").write_text(f"path,given,suggested\n{rows}")
    said = shown(made(folder))
    assert "image49.png" in said and "image50.png" not in said
    assert "the first 50, 10 more are in the file" in said


def test_thirty_methods_fit_in_three_megabytes_and_few_have_a_colour(tmp_path, monkeypatch):
    cells, finished, epochs = [], [], {}
    protocol = {"network": "small_cnn", "epochs": 60, "batch_size": 128, "clean_subset": 250}
    monkeypatch.setattr(report_page.data.entries, "MOST_VALUES", 20_000)
    for number in range(30):
        monkeypatch.setitem(METHODS, f"m{number}", (f"Method {number}", [], {"k": number}))
        for noise in (SYMMETRIC, HARDER, ASYMMETRIC):
            for seed in range(2):
                cells.append(planned := cell(f"m{number}", noise, seed, protocol=protocol))
                counts = {"last": [[100 + number] * 10] * 10}
                finished.append(record(planned, 0.5 + number / 100, 0.8, confusion=counts))
                epochs[planned["key"]] = epoch_lines(planned, 0.5 + number / 100, 0.9)
    folder = write_study(tmp_path / "many", cells, finished, epochs, packed=True)
    text = made(folder, "m7")
    assert len(text.encode()) < 3_000_000
    coloured = [m["label"] for m in data_of(text)["methods"] if m.get("colour")]
    assert coloured == ["m0", "m7", "m29"]  # the reference, the named one, the best
    curve = data_of(text)["entries"][0]["seeds"][0]["curves"]
    assert curve["epoch"] == [*range(1, 60, 3), 60]
    assert "One of 3 epochs is drawn" in shown(text)
    assert all(value == round(value, 4) for value in curve["test"])


def test_a_method_that_the_study_lacks_is_a_mistake(study):
    _, run = report(study, "--highlight", "gcee")
    assert run.returncode == 2
    assert run.stderr.startswith("report.py: --highlight: 'gcee' is no method of study half; did")
    assert "did you mean gce? allowed are cross_entropy, gce, co_teaching, fine_tune" in run.stderr


CLICKS = """
const $ = (selector) => document.querySelector(selector);
const column = (k) => [...$(".results").tBodies[0].rows].filter((row) => !row.hidden)
  .map((row) => row.cells[k].querySelector(".value").textContent);
const choose = (id, value) => { const s = document.getElementById(id); s.value = value;
  s.dispatchEvent(new Event("change")); };
const found = { overflow: document.documentElement.scrollWidth - innerWidth };
found.start = column(2);
found.best = [...document.querySelectorAll(".best .value")].map((each) => each.textContent);
const head = $(".results thead").rows[0].cells[2];
head.querySelector("button").click();
found.down = [head.ariaSort, column(2)];
head.querySelector("button").click();
found.up = [head.ariaSort, column(2)];
choose("criterion", "noisy_val");
found.other = column(2);
found.words = $("#shown").textContent;
choose("criterion", "last"); choose("metric", "worst_class");
found.worst = column(1);
choose("metric", "accuracy"); choose("group", "with clean images");
found.filtered = [...$(".results").tBodies[0].rows].filter((row) => !row.hidden).length;
choose("group", "");
found.charts = ["settings", "rates", "curves"].map((id) =>
  document.querySelectorAll(`#${id} svg.chart`).length);
const series = $("#settings .series");
series.focus();
found.tip = $("#tip").hidden ? "" : $("#tip").textContent;
const line = $("#rates .series");
line.focus();
line.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
found.next = $("#tip").textContent;
line.blur();
found.gone = $("#tip").hidden;
found.opened = [];
for (const entry of document.querySelectorAll(".entry")) {
  entry.click();
  found.opened.push([$("#explorer").open, $("#explorer-title").textContent]);
  if (entry.dataset.entry === "4") {  // cross-entropy under symmetric noise 0.4
    found.body = $("#explorer-body").textContent;
    found.drawn = document.querySelectorAll("#explorer svg.chart").length;
    found.wide = $("#explorer").scrollWidth - $("#explorer").clientWidth;
  }
  $("#close").click();
}
found.closed = !$("#explorer").open;
return found;
"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize("width", [1280, 360])
def test_everything_on_the_page_works_in_a_browser(study, page, width):
    seen = visit(study / "report.html", CLICKS, width=width)
    assert seen["errors"] == [] and seen["requests"] == []
    found = seen["found"]
    assert found["overflow"] <= 0 and found["wide"] <= 0
    assert found["start"] == ["62.5 ± 0.7", "65.5 ± 0.7", "68.0", "71.5 ± 0.7"]
    assert "71.5 ± 0.7" in found["best"] and "68.0" not in found["best"]
    assert found["down"] == ["descending", found["start"][::-1]]
    assert found["up"] == ["ascending", found["start"]]
    assert found["other"] == ["67.5 ± 0.7", "70.5 ± 0.7", "73.0", "76.5 ± 0.7"]
    assert "best noisy-validation accuracy" in found["words"]
    assert found["worst"] == ["50.0 ± 0.0", "60.0 ± 0.0", "70.0 ± 0.0", "80.0 ± 0.0"]
    assert found["filtered"] == 1
    assert found["charts"] == [4, 1, 4]
    assert found["tip"] == "Fine-tuneᶜ: 79.5 ± 0.7, 95 % interval 73.1 to 85.9, 2 seeds"
    assert found["next"].startswith("Cross-entropy: Symmetric 0.4: 62.5 ± 0.7")
    assert found["gone"] and found["closed"]
    assert len(found["opened"]) == 16 and all(is_open for is_open, _ in found["opened"])
    assert found["drawn"] == 4
    for words in ("62.0 (epoch 12)", "seed=1", "small_cnn", "code-of-today"):
        assert words in found["body"]


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_names_of_people_run_nothing_in_a_browser(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0, display=EVIL, noise_display=EVIL, hparams={EVIL: EVIL})]
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8)])
    (folder / "report.html").write_text(made(folder), encoding="utf-8")
    script = """document.querySelector(".entry").click();
      return [document.title, document.images.length, document.querySelector("#explorer").open]"""
    seen = visit(folder / "report.html", script)
    assert seen == {"found": ["s: report", 0, True], "errors": [], "requests": []}
