"""A page about a study works in a browser, on a desktop and on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.browser import CHROMIUM, visit
from tests.helpers.records import SYMMETRIC, cell, record, write_study
from tests.helpers.reports import EVIL, half_finished, made

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


pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = half_finished(tmp_path_factory.mktemp("browser") / "half")
    (folder / "report.html").write_text(made(folder), encoding="utf-8")
    return folder


@pytest.mark.parametrize("width", [1280, 360])
def test_everything_on_the_page_works_in_a_browser(study, width):
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
    assert found["tip"] == "Fine-tuneᶜ: 79.5 ± 0.7, 95 % interval 73.1 to 85.9, seeds: 2"
    assert found["next"].startswith("Cross-entropy: Symmetric 0.4: 62.5 ± 0.7")
    assert found["gone"] and found["closed"]
    assert len(found["opened"]) == 16 and all(is_open for is_open, _ in found["opened"])
    assert found["drawn"] == 4
    chosen = "--only noise=symmetric-0.4 --only method=cross_entropy"
    again = f"run_grid.py half.yaml {chosen} --results again --only seed=1"
    (cell,) = (study / "cells").glob("*__symmetric-0.4__cross_entropy__s1__*")
    for words in ("62.0 (epoch 12)", again, cell.name, "small_cnn", "code-of-today"):
        assert words in found["body"]


def test_names_of_people_run_nothing_in_a_browser(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0, display=EVIL, noise_display=EVIL, hparams={EVIL: EVIL})]
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8)])
    (folder / "report.html").write_text(made(folder), encoding="utf-8")
    script = """document.querySelector(".entry").click();
      return [document.title, document.images.length, document.querySelector("#explorer").open]"""
    seen = visit(folder / "report.html", script)
    assert seen == {"found": ["s: report", 0, True], "errors": [], "requests": []}
