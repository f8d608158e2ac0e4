"""A page about a study says what the records say, runs nothing that people wrote, and works."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from analysis import frames, studies
from analysis import report as report_command
from analysis.marks import NOTHING
from analysis.report_page import curves
from analysis.style import COLOURS
from runners.commands.arguments import run_parser
from runners.study.grid import select
from runners.system.errors import UserError
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
from tests.helpers.reports import (
    EVIL,
    ROOT,
    command_of,
    data_of,
    half_finished,
    made,
    named,
    report,
    shown,
)


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
    first = named(page, entries[0])
    # Half of the interval: 12.706 * 0.7071 / sqrt(2) = 6.353.
    assert first["last"]["accuracy"] == [705, 7, 0, 6353, 2]
    assert first["noisy_val"]["accuracy"] == [755, 7, 0, 6353, 2]
    assert first["last"]["worst_class"][0] == 800


def test_nothing_of_a_half_finished_study_is_hidden(page):
    said = shown(page)
    assert "27 of its 32 cells count" in said
    assert "failed Asymmetric 0.4 Fine-tuneᶜ 0 RuntimeError: no luck Details Traceback last" in said
    assert "not finished Asymmetric 0.4 Fine-tuneᶜ 1" in said
    assert "not finished Asymmetric 0.4 Co-teachingʳ 0, 1" in said
    assert f"{NOTHING} (0/2) 1 failed" in said
    assert "(1/2)" in said
    assert "stale" in said and "ran under other code" in said


def test_a_failure_that_cannot_be_read_is_a_failure_in_tables_and_page(tmp_path):
    folder = write_study(tmp_path / "s", [planned := cell("gce", SYMMETRIC, 0)], [])
    failed = folder / "cells" / planned["name"]
    failed.mkdir(parents=True)
    (failed / "failed.json").write_text('{"reason": ')
    assert frames.cells(studies.load(folder))["failed"].tolist() == [""]
    assert "failed Symmetric 0.4 GCE 0 it does not say why" in shown(made(folder))


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
    assert "img-src data:;" in policy
    assert not re.findall(r"(?:src|href)=\"(?!#|data:text/plain|data:image/)", page)
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
        words = shlex.split(f"{command_of(payload, entry)} --only seed={seed['seed']}")
        assert words[:2] == ["python", "runners/run_grid.py"]
        options = run_parser("run_grid.py", "").parse_args(words[2:])
        assert options.results == Path("again") and options.study.name == "half.yaml"
        assert [each.key[:8] for each in select(cells, options.only)] == [seed["key"]]
    assert '<a download="half.yaml" href="data:text/plain' in page


def test_a_study_file_of_the_checkout_is_named():
    folder = ROOT / "results" / "reference" / "feature_dependent"
    assert data_of(made(folder))["file"] == "benchmarks/feature_dependent.yaml"


def test_a_study_file_that_names_other_methods_is_not_taken_for_it(tmp_path):
    folder = tmp_path / "feature_dependent"
    shutil.copytree(ROOT / "results" / "reference" / folder.name, folder)
    head = json.loads((folder / "study.json").read_text())
    del head["config"]["axes"]["method"][3:]
    (folder / "study.json").write_text(json.dumps(head))
    assert data_of(made(folder))["file"] == "feature_dependent.yaml"


@pytest.mark.parametrize(
    ("judged", "word"), [({}, "true"), ({"judged_by": "given labels"}, "given")]
)
def test_test_labels_are_called_true_only_where_they_are_known_to_be(tmp_path, judged, word):
    planned = cell("gce", SYMMETRIC, 0)
    page = made(write_study(tmp_path / "s", [planned], [record(planned, 0.8, **judged)]))
    assert data_of(page)["test_labels"] == word


def test_rates_are_joined_at_one_size_of_the_clean_subset(tmp_path):
    cells = [
        cell(
            "gce", noise, 0, noise_slug=f"{noise['name']}-{noise.get('rate')}-clean{size}",
            noise_display=f"{noise['name'].capitalize()} {noise.get('rate')}, {size} clean images",
            protocol={"network": "small_cnn", "epochs": 12, "clean_subset": size},
        )
        for noise in (CLEAN, SYMMETRIC, HARDER) for size in (50, 250)
    ]  # fmt: skip
    page = made(write_study(tmp_path / "sizes", cells, [record(each, 0.8) for each in cells]))
    assert data_of(page)["families"] == [
        {"name": "Symmetric, 50 clean images", "settings": [0, 2, 4]},
        {"name": "Symmetric, 250 clean images", "settings": [1, 3, 5]},
    ]


def test_thirty_methods_fit_in_three_megabytes_and_few_have_a_colour(tmp_path, monkeypatch):
    cells, finished, epochs = [], [], {}
    protocol = {"network": "small_cnn", "epochs": 60, "batch_size": 128, "clean_subset": 250}
    monkeypatch.setattr(curves, "MOST_VALUES", 0)
    monkeypatch.setattr(curves, "LEAST_VALUES", 20_000)
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
    many = data_of(made(folder, *(f"m{k}" for k in range(1, 12))))["methods"]
    assert {m["colour"] for m in many if m.get("colour")} == {"currentColor", *COLOURS[1:-1]}
    curve = data_of(text)["entries"][0]["seeds"][0]["curves"]
    assert data_of(text)["epochs"][curve["epoch"]] == [*range(1, 60, 3), 60]
    assert "One of 3 epochs is drawn" in shown(text)
    assert curve["test"][-1] == round(1000 * epochs[cells[0]["key"]][-1]["test"]) == 500


def test_the_criterion_that_is_found_in_the_epochs_is_on_the_page(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2)]
    lines = epoch_lines(cells[0], 0.5, 0.8)
    counts = [0, 900, 500, 200, 100, 300, 400, 500, 600, 700, 800, 900]  # settle at epoch 5
    epochs = {
        each["key"]: [
            line | {"changed_predictions": count} for line, count in zip(lines, counts, strict=True)
        ]
        for each in cells
    }
    records = [record(each, 0.5) for each in cells]
    page = made(write_study(tmp_path / "s", cells, records, epochs))
    found = named(page, data_of(page)["entries"][0])
    settled = frames.cells(studies.load(tmp_path / "s"), wanted=["label_wave"])["label_wave"]
    assert found["label_wave"]["accuracy"][0] == round(1000 * settled.mean())
    assert found["label_wave"]["accuracy"][0] not in (500, found["last"]["accuracy"][0])
    assert "label wave" in shown(page)


def test_where_there_is_no_room_only_means_have_curves_and_the_page_says_so(study, monkeypatch):
    monkeypatch.setattr(curves, "MOST_VALUES", 0)
    monkeypatch.setattr(curves, "LEAST_VALUES", 300)
    text = made(study)
    assert "Curves of single seeds are left out for the same reason." in shown(text)
    first = data_of(text)["entries"][0]
    assert data_of(text)["epochs"][first["curves"]["epoch"]] == [1, 4, 7, 10, 12]
    assert not any("curves" in seed for seed in first["seeds"])


def test_a_method_that_the_study_lacks_is_a_mistake(study, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["report.py", str(study), "--highlight", "gcee"])
    with pytest.raises(UserError, match="'gcee' is no method of study half; did you mean gce"):
        report_command.main()


def test_a_study_named_by_its_file_is_made_again_by_that_file(study, tmp_path, monkeypatch):
    file = tmp_path / "mine.yaml"
    file.write_text("study: half\n")
    words = ["report.py", str(file), "--results", str(study.parent), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", words)
    report_command.main()
    payload = data_of((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert shlex.split(command_of(payload, payload["entries"][0]))[2] == str(file)


def test_the_end_of_a_log_is_shown_where_there_is_one(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(2)]
    folder = write_study(tmp_path / "s", cells, [record(each, 0.8) for each in cells])
    lines = "".join(f"line {number}\n" for number in range(50))
    (folder / "cells" / cells[1]["name"] / "log.txt").write_text(lines)
    first, second = data_of(made(folder))["entries"][0]["seeds"]
    assert "log" not in first
    assert second["log"].splitlines() == [f"line {number}" for number in range(40, 50)]
