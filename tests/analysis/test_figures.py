"""Figures show what the records say, legibly, and come out as the same bytes every time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from analysis import frames, studies, style
from analysis.figures import accuracy, cost, curves
from analysis.seed_statistics import half_width
from tests.helpers.figures import drawn, made_study, visible
from tests.helpers.records import (
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


@pytest.fixture
def study(tmp_path) -> studies.Study:
    return made_study(tmp_path / "made")


def lines(axis) -> list:
    return [line for line in axis.lines if len(line.get_xdata()) > 1]


def all_figures(study: studies.Study) -> list:
    frame, epochs = frames.cells(study), frames.epochs(study)
    wrong, looks = epochs[epochs["fits_given"].notna()], style.looks(frame)
    return [
        accuracy.against_noise(frame, "last", looks),
        curves.learning(frame, epochs, looks),
        curves.memorisation(frame, wrong, looks),
        cost.against_accuracy(frame, frame, study.records, "last", looks),
    ]


def test_a_noise_family_with_several_rates_is_drawn_over_them_and_the_rest_as_points(study):
    figure = all_figures(study)[0]
    over_rates, points = visible(figure)
    assert list(over_rates.get_xticks()) == [0.4, 0.6]
    assert points.get_title() == "Asymmetric 0.4"
    first = over_rates.containers[0].lines[0]
    assert list(first.get_ydata()) == pytest.approx([70.5, 70.5])
    (segment, *_) = over_rates.containers[0].lines[2][0].get_segments()
    assert np.ptp(segment[:, 1]) == pytest.approx(2 * half_width([70, 71]))


def test_clean_labels_are_rate_zero_of_the_families(tmp_path):
    (axis,) = visible(all_figures(made_study(tmp_path / "made", (CLEAN, SYMMETRIC, HARDER)))[0])
    assert list(axis.get_xticks()) == [0.0, 0.4, 0.6]


def test_of_many_rates_some_are_printed_so_that_none_hides_another(tmp_path):
    noises = [SYMMETRIC | {"rate": round(0.1 * k, 1)} for k in range(1, 10)]
    (axis,) = visible(all_figures(made_study(tmp_path / "many", noises, ["gce"]))[0])
    assert list(axis.get_xticks()) == [0.1, 0.3, 0.5, 0.7, 0.9]


def test_learning_curves_are_means_over_seeds_one_panel_a_setting(study):
    figure = all_figures(study)[1]
    titles = [axis.get_title() for axis in visible(figure)]
    assert titles == ["Symmetric 0.4", "Symmetric 0.6", "Asymmetric 0.4"]
    shown = lines(visible(figure)[0])
    assert len(shown) == len(METHODS)
    assert list(shown[0].get_xdata()) == list(range(1, 13))
    assert shown[0].get_ydata()[-1] == pytest.approx(70.5, abs=0.01)
    assert len(visible(figure)[0].collections) == len(METHODS)


def test_cells_that_ran_on_other_data_are_in_no_curve(tmp_path, monkeypatch):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    origin = {"fingerprint": "code-of-today"}
    made = [
        record(each, 0.5, provenance=origin | {"data_sha256": ("e" if each["seed"] else "d") * 64})
        for each in cells
    ]
    epochs = {each["key"]: epoch_lines(each, *[0.5 if each["seed"] else 0.9] * 2) for each in cells}
    folder = write_study(tmp_path / "made", cells, made, epochs, packed=True)
    (axis,) = visible(drawn(monkeypatch, folder)["learning_curves"])
    assert axis.lines[0].get_ydata()[-1] == pytest.approx(50, abs=0.01)


def test_memorisation_has_both_shares_of_every_noisy_setting(tmp_path):
    study = made_study(tmp_path / "made", (CLEAN, SYMMETRIC), ["gce", "mw_net"])
    given, true = visible(all_figures(study)[2])
    assert given.get_title() == "Symmetric 0.4"
    ends = [epoch_lines(study.cells[-1], last, 0.85)[-1] for last in (0.76, 0.77)]
    for axis, share in ((given, "fits_given"), (true, "fits_true")):
        shares = [end["memorisation"]["corrupted_part"][share] for end in ends]
        assert lines(axis)[1].get_ydata()[-1] == pytest.approx(100 * np.mean(shares))


def test_methods_differ_by_more_than_colour(study):
    looks = list(style.looks(frames.cells(study)).values())
    assert len({look.marker for look in looks}) == len(METHODS)
    assert len({look.colour for look in looks}) == len(METHODS)
    many = [f"m{number}" for number in range(30)]
    frame = frames.cells(study).iloc[:1]
    frame = frame.loc[frame.index.repeat(30)].assign(label=many)
    drawn = {(look.colour, look.marker, look.dashes) for look in style.looks(frame).values()}
    assert len(drawn) == 30


def test_no_letter_is_below_8_points_and_the_figure_as_wide_as_a_page(study):
    for figure in all_figures(study):
        assert figure.get_figwidth() == 6.5
        sizes = {text.get_fontsize() for text in figure.findobj(Text) if text.get_text()}
        assert min(sizes) >= 8


def test_the_legend_covers_no_panel(study):
    for figure in all_figures(study):
        figure.draw_without_rendering()
        (legend,) = figure.legends
        box = legend.get_window_extent()
        assert not any(box.overlaps(axis.get_tightbbox()) for axis in visible(figure))
        assert "sees 250 clean images" in legend.get_title().get_text()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "analysis" / "make_figures.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)


def test_the_command_writes_the_same_bytes_again(tmp_path):
    study = made_study(tmp_path / "made", (SYMMETRIC,), ["gce", "mw_net"])
    done = run(study.folder)
    assert done.returncode == 0, done.stderr
    first = {path.name: path.read_bytes() for path in (study.folder / "figures").iterdir()}
    names = ["accuracy_against_noise", "learning_curves", "memorisation_curves"]
    names += ["noise_matrices", "confusion_matrices", "cost_against_accuracy"]
    assert sorted(first) == sorted(f"{name}.{kind}" for name in names for kind in ("pdf", "png"))
    assert run(study.folder, "--out", tmp_path / "again").returncode == 0
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    with Image.open(study.folder / "figures" / "learning_curves.png") as image:
        assert image.width == 1300
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)


def test_long_names_are_wrapped_so_that_the_legend_fits(tmp_path):
    name = "a rather long name of a variant, as a person may give it in a study"
    cells = [
        cell("gce", SYMMETRIC, 0, label=f"m{k}", display=name[:60] + str(k), hparams={"q": k / 99})
        for k in range(10)
    ]
    made = [record(planned, 0.8) for planned in cells]
    frame = frames.cells(studies.load(write_study(tmp_path / "made", cells, made)))
    figure = accuracy.against_noise(frame, "last", style.looks(frame))
    (legend,) = figure.legends
    figure.canvas.draw()
    assert legend.get_window_extent().width <= figure.bbox.width
    assert all("\n" in text.get_text() for text in legend.get_texts())


def test_a_dollar_in_a_name_is_no_formula(tmp_path):
    planned = cell("gce", SYMMETRIC, 0, display="GCE $q_$")
    folder = write_study(tmp_path / "made", [planned], [record(planned, 0.8)])
    assert run(folder).returncode == 0


def test_a_study_without_finished_cells_draws_nothing_and_says_so(tmp_path):
    folder = write_study(tmp_path / "made", [cell("gce", SYMMETRIC, 0)], [])
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "no cell of 1 is finished yet" in done.stdout
    assert not (folder / "figures").exists()
