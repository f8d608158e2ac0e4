"""What stands out in a table, how it is laid out, and that every format holds it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from analysis import command, formats, frames, make_tables, studies, tables
from tests.helpers.records import ASYMMETRIC, METHODS, SYMMETRIC, cell, record, write_study
from tests.helpers.tables import one_column, table_of, ten_records

ROOT = Path(__file__).resolve().parents[2]
FIVE = [0.80, 0.81, 0.82, 0.79, 0.83]


def shifted(by: float, *noise: float) -> list[float]:
    return [v + by + n for v, n in zip(FIVE, noise or (0,) * 5, strict=True)]


VALUES = {
    "co_teaching": shifted(-0.03),
    "fine_tune": shifted(-0.002, 0.01, -0.01, 0.01, -0.01, 0.0),
    "cross_entropy": shifted(-0.2),
    "gce": FIVE,
    "mw_net": shifted(-0.1, 0, 0.001, 0, 0.001, 0),
}


def test_best_second_like_the_best_and_first_of_a_group_are_marked(tmp_path):
    table = table_of(one_column(tmp_path, VALUES, seeds=5))
    found = {
        name.rstrip("ᶜʳ"): {
            kind
            for kind in ("best", "second", "close", "first_of_group")
            if getattr(entries[0], kind)
        }
        for name, entries in table.rows
    }
    assert found == {
        "Co-teaching": set(),  # alone in its group, so not the best of several
        "Fine-tune": {"second", "close", "first_of_group"},
        "Meta-Weight-Net": set(),
        "Cross-entropy": set(),
        "GCE": {"best", "first_of_group"},
    }
    assert "| *<ins>80.8 ± 2.1 ≈</ins>* |" in formats.markdown(table)
    assert r"\textit{\underline{80.8 $\pm$ 2.1 $\approx$}}" in formats.latex(table)
    assert "<em><u>80.8 ± 2.1 ≈</u></em>" in formats.html(table)
    said = "underlined: the second; italic: the best of those that are told the same; ≈ not told"
    assert said in table.notes[1]


def test_who_is_told_the_same_stands_side_by_side_and_ceilings_last(tmp_path):
    values = {"oracle": FIVE, **VALUES}
    names = [name for name, _ in table_of(one_column(tmp_path, values, seeds=5)).rows]
    assert names == [
        "Co-teachingʳ", "Fine-tuneᶜ", "Meta-Weight-Netᶜ", "Cross-entropy", "GCE", "Oracleᵒ",
    ]  # fmt: skip


def test_like_the_best_is_what_the_corrected_test_does_not_tell_apart(tmp_path):
    """One difference is told apart alone (p = 0.03), no more among three of them."""
    close = shifted(-0.01, 0.007, -0.007, 0.005, -0.005, 0.003)
    pair = table_of(one_column(tmp_path / "a", {"gce": FIVE, "mw_net": close}, seeds=5))
    assert not pair.rows[1][1][0].close
    three = {"gce": FIVE, "mw_net": close, "fine_tune": close, "clean_only": close}
    table = table_of(one_column(tmp_path / "b", three, seeds=5))
    assert [entries[0].close for _, entries in table.rows] == [False, True, True, True]


def test_of_one_seed_nothing_is_marked_as_like_the_best(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.8], "mw_net": [0.7]}, seeds=1))
    assert "≈" not in formats.markdown(table)


def test_the_lowest_cost_is_the_best(tmp_path):
    cells = [cell(m, SYMMETRIC, s) for m in ("gce", "mw_net", "fine_tune") for s in range(2)]
    seconds = {"gce": 120.0, "mw_net": 60.0, "fine_tune": 90.0}
    done = [record(c, 0.8, timing={"total_s": seconds[c["method"]]}) for c in cells]
    study = studies.load(write_study(tmp_path / "made", cells, done, packed=True))
    table = tables.build(study, frames.cells(study, "cost"), ["last"], "cost")
    entries = [entries[0] for _, entries in table.rows]
    assert [entry.text for entry in entries] == ["2.0 ± 0.0", "1.0 ± 0.0", "1.5 ± 0.0"]
    assert [entry.best for entry in entries] == [False, True, False]
    assert [entry.second for entry in entries] == [False, False, True]


def test_a_failed_cell_is_marked_and_its_reason_stands_in_a_footnote(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    folder = write_study(tmp_path / "made", cells, [record(cells[0], 0.8), record(cells[1], 0.8)])
    place = folder / "cells" / cells[2]["name"]
    place.mkdir()
    (place / "failed.json").write_text(json.dumps({"reason": "the loss is\nnan"}))
    table = table_of(studies.load(folder, fingerprint=lambda _: "code-of-today"))
    assert table.rows[0][1][0].text == "80.0 ± 0.0 (2/3) \N{MULTIPLICATION SIGN}"
    (note,) = [note for note in table.notes if note.startswith("\N{MULTIPLICATION SIGN}")]
    assert note.endswith("failed: simulated, Symmetric 0.4, GCE, seed 2: the loss is nan.")


def wide(folder: Path, settings: int = 19, seeds: int = 1) -> studies.Study:
    """Every method on two data sets, with `settings` noise settings on the first."""
    noises = [SYMMETRIC | {"rate": round(0.02 * (k + 1), 2)} for k in range(settings)]
    places = [("simulated", noise) for noise in noises] + [("cifar10", ASYMMETRIC)]
    cells = [
        cell(m, noise, seed, dataset=name)
        for name, noise in places for m in METHODS for seed in range(seeds)
    ]  # fmt: skip
    done = [record(c, 0.5 + 0.01 * list(METHODS).index(c["method"])) for c in cells]
    return studies.load(write_study(folder / "wide", cells, done, packed=True))


def test_a_wide_table_is_split_by_data_set_with_its_methods_repeated(tmp_path):
    text = formats.markdown(table_of(wide(tmp_path)))
    heads = [line for line in text.splitlines() if line.startswith("| Method")]
    assert [line.count("|") - 2 for line in heads] == [7, 7, 5, 1]
    assert "| Asymmetric 0.4 |" in heads[3].replace("  ", " ")
    assert text.count("| GCE") == 4
    assert text.count("### wide: test accuracy, last, simulated (2 of 4)") == 1
    assert "|  Symmetric 0.02 |" in heads[0]
    assert text.count("What one seed can show") == 1


def test_settings_may_be_the_rows(tmp_path):
    lines = formats.markdown(table_of(ten_records(tmp_path)), "setting").splitlines()
    assert [part.strip() for part in lines[2].strip("|").split("|")] == [
        "Setting", "realised noise", "Cross-entropy", "Co-teachingʳ", "MetaLabelNetᶜ‡",
    ]  # fmt: skip
    assert lines[4].startswith("| Symmetric 0.4  | 40.1 %         | <ins>73.0 ± 1.4 ≈</ins> | **")
    assert "best mean of a row" in lines[8]


class Cells(HTMLParser):
    """Counts elements, and takes no element for another's end."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}

    def handle_starttag(self, tag, attrs) -> None:
        self.count[tag] = self.count.get(tag, 0) + 1
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


def test_html_is_one_page_with_a_group_for_each_privilege(tmp_path):
    page = Cells()
    text = formats.html(table_of(one_column(tmp_path, VALUES, seeds=5)))
    page.feed(text)
    assert page.open == []
    assert (page.count["table"], page.count["tbody"], page.count["td"]) == (1, 3, 5)
    assert "script" not in page.count and "link" not in page.count
    for group in ("given the noise rate", "given clean images", "noisy labels only"):
        assert f">{group}</th>" in text


def test_html_escapes_names(tmp_path):
    planned = cell("gce", SYMMETRIC, 0, display="<b>&")
    made = write_study(tmp_path / "s", [planned], [record(planned, 0.8)], packed=True)
    assert "&lt;b&gt;&amp;</th>" in formats.html(table_of(studies.load(made)))


@pytest.fixture
def run(monkeypatch, capsys):
    """A function: arguments -> exit code and what was said of mistakes."""

    def called(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["make_tables.py", *map(str, arguments)])
        try:
            command.run(make_tables.main)
        except SystemExit as end:
            return end.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return called


def test_only_the_asked_formats_are_written(tmp_path, run):
    study = ten_records(tmp_path)
    assert run(study.folder, "--format", "html,csv", "--out", tmp_path / "out")[0] == 0
    written = {path.name for path in (tmp_path / "out").glob("accuracy*")}
    names = {f"accuracy_{c}.{s}" for c in ("last", "noisy_val") for s in ("csv", "html")}
    assert written == names | {"accuracy.html"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "md,pdf"], "--format: 'pdf' is no format; allowed are md, tex, csv, html"),
        (["--rows", "method", "--columns", "method"], "--rows and --columns are both method"),
    ],
)
def test_a_mistake_in_the_layout_is_one_sentence(run, arguments, message):
    code, said = run(*arguments)
    assert code == 2 and message in said and len(said.strip().splitlines()) == 1


def test_latex_compiles_and_fits_into_the_text(tmp_path):
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    shown = r"[a]_b & 50% #1 $x^2$ {~} \end"
    odd = cell("gce", SYMMETRIC, 0, display=shown)
    folder = write_study(tmp_path / "odd", [odd], [record(odd, 0.8)], packed=True)
    default = studies.load(ROOT / "results" / "reference" / "default")
    made = [studies.load(folder), wide(tmp_path, 8, 2), default]
    texts = [formats.latex(table_of(study)) for study in made]
    texts += [formats.latex(table_of(default, "last", "noisy_val"), "setting")]
    body = "\n".join([r"\usepackage{booktabs}", r"\begin{document}", *texts, r"\end{document}"])
    text = r"\documentclass{article}" + f"\n{body}"
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    line = [pdflatex, "-halt-on-error", "-interaction=batchmode", "all.tex"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, check=False)
    log = (tmp_path / "all.log").read_text(encoding="latin-1")
    assert done.returncode == 0, log[-2_000:]
    assert "Overfull" not in log, log[log.index("Overfull") :][:300]
