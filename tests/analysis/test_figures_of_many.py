"""Figures of many methods, settings and sizes of the clean subset, as the command draws them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from analysis import command, make_figures, style
from analysis.figures.ranks import cliques
from analysis.rank_tests import critical_difference
from tests.helpers.figures import drawn, legend, made_study, of_records, visible
from tests.helpers.records import (
    ASYMMETRIC,
    METHODS,
    SYMMETRIC,
    cell,
    epoch_lines,
    record,
    write_study,
)


def rates(count: int) -> list[dict]:
    return [SYMMETRIC | {"rate": round(0.1 * k, 1)} for k in range(1, count + 1)]


def variants(count: int, noises=(SYMMETRIC,), seeds: int = 2) -> list[dict]:
    """Cells of two other methods and of so many variants of GCE."""
    named = [("cross_entropy", {}), ("mw_net", {})]
    named += [
        ("gce", {"label": f"gce-{k}", "display": f"GCE {k}", "hparams": {"q": k / 99}})
        for k in range(count)
    ]
    return [cell(m, n, s, **of) for n in noises for m, of in named for s in range(seeds)]


def accuracy(planned: dict) -> dict:
    place = int(planned["label"].partition("-")[2] or 0)
    return {"last": 0.5 + 0.02 * place + 0.01 * planned["seed"]}


def test_of_many_methods_the_reference_the_best_and_the_named_are_in_colour(tmp_path, monkeypatch):
    folder = of_records(tmp_path / "many", variants(10), accuracy)
    figure = drawn(monkeypatch, folder, "--highlight", "gce-3")["accuracy_against_noise"]
    names = ["Cross-entropy", "Meta-Weight-Netᶜ", "GCE 3", "GCE 9", "other methods (8)"]
    assert legend(figure) == names
    (axis,) = visible(figure)
    colours = [container.lines[0].get_color() for container in axis.containers]
    assert colours.count(style.OTHERS) == 8 and len(set(colours)) == 5
    with_bars = [c.lines[0].get_color() for c in axis.containers if c.has_yerr]
    assert len(with_bars) == 4 and style.OTHERS not in with_bars


def test_ten_methods_are_all_in_colour(tmp_path, monkeypatch):
    folder = of_records(tmp_path / "ten", variants(8), accuracy)
    (axis,) = visible(drawn(monkeypatch, folder)["accuracy_against_noise"])
    assert style.OTHERS not in {container.lines[0].get_color() for container in axis.containers}


def test_named_methods_are_in_colour_however_many_and_no_colour_is_a_grey(tmp_path, monkeypatch):
    folder = of_records(tmp_path / "many", variants(14), accuracy)
    named = [f"gce-{k}" for k in range(9)]
    figure = drawn(monkeypatch, folder, "--highlight", ",".join(named), "--reference", "mw_net")
    entries = legend(figure["accuracy_against_noise"])
    assert entries == ["Meta-Weight-Netᶜ", *(f"GCE {k}" for k in range(9)), "other methods (6)"]
    (axis,) = visible(figure["accuracy_against_noise"])
    looks = [c.lines[0] for c in axis.containers if c.lines[0].get_color() != style.OTHERS]
    assert len({(line.get_color(), line.get_marker()) for line in looks}) == 10
    assert style.COLOURS[-1] not in {line.get_color() for line in looks}


def test_before_any_method_is_in_all_settings_the_first_are_in_colour(tmp_path, monkeypatch):
    cells = variants(10, rates(2))
    made = [record(each, 0.8) for each in cells if each["noise"]["rate"] == 0.1]
    folder = write_study(tmp_path / "begun", cells, made, packed=True)
    entries = legend(drawn(monkeypatch, folder)["accuracy_against_noise"])
    assert entries[:2] == ["Cross-entropy", "Meta-Weight-Netᶜ"]
    assert entries[2:] == [*(f"GCE {k}" for k in range(6)), "other methods (4)"]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("--highlight", "--highlight: 'gec' is no method of study made; did you mean gce? allowed"),
        ("--reference", "--reference: 'gec' is no method of the study; it has cross_entropy, gce"),
    ],
)
def test_an_unknown_method_is_one_sentence(tmp_path, monkeypatch, capsys, option, sentence):
    study = made_study(tmp_path / "made", (SYMMETRIC,), ["cross_entropy", "gce"])
    with pytest.raises(SystemExit) as end:
        drawn(monkeypatch, study.folder, option, "gec")
    said = capsys.readouterr().err
    assert end.value.code == 2 and sentence in said and len(said.splitlines()) == 1


def test_settings_that_do_not_fit_on_a_page_are_on_the_next(tmp_path, monkeypatch):
    cells = [cell("gce", noise, 0) for noise in rates(9)] + [cell("gce", ASYMMETRIC, 0)]
    epochs = {planned["key"]: epoch_lines(planned, 0.8, 0.81) for planned in cells}
    made = [record(planned, 0.8, 0.81) for planned in cells]
    folder = write_study(tmp_path / "made", cells, made, epochs, packed=True)
    figures = drawn(monkeypatch, folder)
    titles = [
        [axis.get_title() for axis in visible(figures[f"learning_curves_{page}"])]
        for page in (1, 2)
    ]
    assert len(titles[0]) == 9 and titles[1] == ["Asymmetric 0.4"]


def test_pages_of_an_earlier_run_do_not_stay_beside_those_of_today(tmp_path, monkeypatch):
    folder = of_records(tmp_path / "made", variants(1), accuracy)
    (folder / "figures").mkdir(exist_ok=True)
    others = [
        f"accuracy_against_noise_{page}.{kind}" for page in (1, 12) for kind in ("png", "pdf")
    ]
    for name in (*others, "my_own.png", "accuracy_against_noise_1.txt"):
        (folder / "figures" / name).touch()
    monkeypatch.setattr(sys, "argv", ["make_figures.py", str(folder)])
    command.run(make_figures.main)
    left = {path.name for path in (folder / "figures").iterdir()}
    assert left.isdisjoint(others)
    assert {"accuracy_against_noise.png", "my_own.png", "accuracy_against_noise_1.txt"} <= left


def test_a_method_without_a_finished_cell_has_no_entry_in_the_legend(tmp_path, monkeypatch):
    cells = [cell(method, SYMMETRIC, 0) for method in ("gce", "mw_net", "fine_tune")]
    folder = write_study(tmp_path / "begun", cells, [record(cells[1], 0.8)], packed=True)
    assert legend(drawn(monkeypatch, folder)["accuracy_against_noise"]) == ["Meta-Weight-Netᶜ"]


def test_below_eight_settings_a_sentence_says_why_ranks_are_not_drawn(
    tmp_path, monkeypatch, capsys
):
    cells = [cell(m, n, s) for n in rates(7) for m in METHODS for s in range(2)]
    figures = drawn(monkeypatch, of_records(tmp_path / "seven", cells, accuracy))
    assert not {"critical_differences", "profiles"} & set(figures)
    said = capsys.readouterr().out
    assert "Critical differences and profiles are not drawn. Friedman and Nemenyi are left" in said


def test_from_eight_settings_on_ranks_and_profiles_are_drawn(tmp_path, monkeypatch):
    figures = drawn(monkeypatch, of_records(tmp_path / "s", variants(10, rates(8)), accuracy))
    (axis,) = figures["critical_differences"].axes
    texts = [text.get_text() for text in axis.texts]
    assert "GCE 9  1.00" in texts and "GCE 5  5.00" in texts
    apart = critical_difference(12, 8)
    assert f"critical difference {apart:.2f}" in texts
    joined = [line.get_xdata() for line in axis.lines if line.get_label() == "joined"]
    assert joined and all(high - low < apart + 0.1 for low, high in joined)
    colours = [line.get_color() for line in axis.lines if len(line.get_xdata()) == 3]
    assert colours.count(style.OTHERS) == 9 and len(colours) == 12
    (axis,) = visible(figures["profiles"])
    assert len(axis.lines) == 12
    best = dict(zip(np.round(axis.lines[-1].get_xdata()), axis.lines[-1].get_ydata(), strict=True))
    assert (best[67], best[70]) == (100, 0)


def test_profiles_of_two_methods_come_without_ranks(tmp_path, monkeypatch, capsys):
    cells = [cell(m, n, s) for n in rates(8) for m in ("gce", "mw_net") for s in range(2)]
    figures = drawn(monkeypatch, of_records(tmp_path / "two", cells, accuracy))
    assert "profiles" in figures and "critical_differences" not in figures
    said = capsys.readouterr().out
    assert "Critical differences are not drawn. Ranks over settings are not tested: fewer" in said


def test_bars_join_the_widest_groups_that_are_not_told_apart():
    assert cliques([1.0, 1.5, 2.4, 5.0], 1.0) == [(0, 1), (1, 2)]
    assert cliques([1.0, 1.5, 1.9, 5.0], 1.0) == [(0, 2)]
    assert cliques([1.0, 2.0, 3.0], 1.0) == []


def of_sizes(methods=("cross_entropy", "mw_net"), sizes=(50, 250, 1000)) -> list[dict]:
    """Cells as `axes.clean_subset` plans them."""
    protocol = {"network": "small_cnn", "epochs": 12, "batch_size": 128}
    return [
        cell(
            m, noise, s, protocol=protocol | {"clean_subset": size},
            noise_slug=f"{noise['name']}-0.4-clean{size}",
            noise_display=f"{noise['name'].capitalize()} 0.4, {size} clean images",
        )
        for noise in (SYMMETRIC, ASYMMETRIC) for size in sizes for m in methods for s in range(2)
    ]  # fmt: skip


def by_size(planned: dict) -> dict:
    size = planned["protocol"]["clean_subset"]
    last = 0.6 if planned["method"] == "cross_entropy" else 0.6 + size / 10_000
    return {"last": last, "counts": {"clean_subset": size, "test": 3000}}


def test_accuracy_is_drawn_over_the_sizes_of_the_clean_subset(tmp_path, monkeypatch):
    figures = drawn(monkeypatch, of_records(tmp_path / "sizes", of_sizes(), by_size))
    panels = visible(figures["accuracy_against_clean_images"])
    assert [axis.get_title() for axis in panels] == ["Symmetric 0.4", "Asymmetric 0.4"]
    for axis in panels:
        assert axis.get_xscale() == "log"
        assert [label.get_text() for label in axis.get_xticklabels()] == ["50", "250", "1,000"]
        reference, sees = (container.lines[0] for container in axis.containers)
        assert list(sees.get_xdata()) == pytest.approx([50, 250, 1000], rel=0.06)
        assert list(sees.get_ydata()) == pytest.approx([60.5, 62.5, 70])
        assert list(reference.get_ydata()) == pytest.approx([60, 60, 60])
        assert reference.get_linestyle() == "--" and sees.get_linestyle() == "-"
    titles = [axis.get_title() for axis in visible(figures["accuracy_against_noise"])]
    assert titles == ["50 clean images", "250 clean images", "1000 clean images"]
    assert len(visible(figures["noise_matrices"])) == 3  # two noises and the scale


def test_what_sees_no_clean_images_and_ran_at_one_size_is_a_level_line(tmp_path, monkeypatch):
    cells = [
        planned
        for planned in of_sizes()
        if planned["method"] == "mw_net" or planned["protocol"]["clean_subset"] == 250
    ]
    figures = drawn(monkeypatch, of_records(tmp_path / "sizes", cells, by_size))
    for axis in visible(figures["accuracy_against_clean_images"]):
        assert len(axis.containers) == 1
        (level,) = [line for line in axis.lines if list(line.get_xdata()) == [0, 1]]
        assert list(level.get_ydata()) == pytest.approx([60, 60])


def test_noises_of_one_name_have_panels_that_say_how_they_differ(tmp_path, monkeypatch):
    cells = [
        cell(
            "gce", SYMMETRIC | {"rate": rate, "include_true_class": included}, 0,
            noise_slug=f"symmetric-{rate}-{included}",
            noise_display=f"Symmetric {rate}{' include true class' * included}",
        )
        for included in (False, True) for rate in (0.2, 0.4)
    ]  # fmt: skip
    figure = drawn(monkeypatch, of_records(tmp_path / "two", cells, lambda _: {}))
    titles = [axis.get_title() for axis in visible(figure["accuracy_against_noise"])]
    assert titles == ["Symmetric", "Symmetric include true\nclass"]


def test_a_study_of_one_size_has_no_figure_over_sizes(tmp_path, monkeypatch):
    figures = drawn(monkeypatch, of_records(tmp_path / "one", of_sizes(sizes=(50,)), by_size))
    assert "accuracy_against_noise" in figures
    assert "accuracy_against_clean_images" not in figures
