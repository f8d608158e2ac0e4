"""Heat maps, reliability and cost show what the records hold, as the command draws them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh

from tests.helpers.figures import drawn, legend, of_records, visible
from tests.helpers.records import ASYMMETRIC, HARDER, SYMMETRIC, cell, record, write_study


def heat_maps(figure) -> dict[str, np.ndarray]:
    """Values by title, without the scale of colours."""
    return {
        axis.get_title(): np.asarray(mesh.get_array())
        for axis in visible(figure)
        for mesh in axis.collections
        if isinstance(mesh, QuadMesh) and axis.get_title()
    }


def noise_of(planned: dict, matrix) -> dict:
    return {
        "nominal_rate": 0.4, "realised_rate": 0.4, "matrix": matrix,
        "labels_sha256": "0" * 64, "train_part": {"realised_rate": 0.4, "matrix": matrix},
    }  # fmt: skip


def test_matrices_of_the_noise_are_the_mean_over_seeds_where_the_truth_is_known(
    tmp_path, monkeypatch
):
    seen = {0: [[0.6, 0.4], [0.0, 1.0]], 1: [[0.7, 0.3], [0.004, 0.996]]}

    def changes(planned: dict) -> dict:
        known = planned["noise"]["name"] == "symmetric"
        return {"noise": noise_of(planned, seen[planned["seed"]] if known else None)}

    cells = [
        cell(m, n, s) for n in (SYMMETRIC, ASYMMETRIC) for m in ("gce", "mw_net") for s in (0, 1)
    ]
    figure = drawn(monkeypatch, of_records(tmp_path / "made", cells, changes))["noise_matrices"]
    assert list(heat_maps(figure)) == ["Symmetric 0.4"]
    assert heat_maps(figure)["Symmetric 0.4"].tolist() == [
        pytest.approx([65, 35]), pytest.approx([0.2, 99.8])
    ]  # fmt: skip
    printed = [text.get_text() for text in figure.axes[0].texts]
    assert printed == ["65", "35", "100"]  # not the 0.2


def test_many_classes_have_no_printed_values(tmp_path, monkeypatch):
    wide = np.full((30, 30), 1 / 30).tolist()
    cells = [cell("gce", SYMMETRIC, 0)]
    folder = of_records(tmp_path / "wide", cells, lambda cell: {"noise": noise_of(cell, wide)})
    figure = drawn(monkeypatch, folder)["noise_matrices"]
    (values,) = heat_maps(figure).values()
    assert values.shape == (30, 30) and values.sum(1) == pytest.approx(np.full(30, 100))
    assert not figure.axes[0].texts


def test_rows_of_a_confusion_matrix_are_shares_of_the_true_class(tmp_path, monkeypatch):
    counts = {0: [[8, 2, 0], [1, 1, 2], [0, 0, 5]], 1: [[6, 4, 0], [4, 0, 0], [0, 0, 20]]}
    cells = [cell("gce", SYMMETRIC, s) for s in (0, 1)]
    folder = of_records(
        tmp_path / "made", cells, lambda cell: {"confusion": {"last": counts[cell["seed"]]}}
    )
    (values,) = heat_maps(drawn(monkeypatch, folder)["confusion_matrices"]).values()
    assert values.sum(1) == pytest.approx([100, 100, 100])
    assert values.tolist() == [
        pytest.approx([70, 30, 0]), pytest.approx([62.5, 12.5, 25]), pytest.approx([0, 0, 100])
    ]  # fmt: skip


def test_of_many_methods_in_several_settings_confusions_of_a_few_are_shown(tmp_path, monkeypatch):
    methods = ["cross_entropy", "gce", "co_teaching", "mw_net", "clean_only", "fine_tune", "oracle"]
    cells = [cell(m, n, 0) for n in (SYMMETRIC, HARDER) for m in methods]
    folder = of_records(
        tmp_path / "made", cells, lambda cell: {"last": 0.5 + 0.05 * methods.index(cell["method"])}
    )
    figures = drawn(monkeypatch, folder, "--highlight", "clean_only")
    shown = list(heat_maps(figures["confusion_matrices"]))
    settings = ["Symmetric 0.4", "Symmetric 0.6"]
    names = ["Cross-entropy", "Clean only", "Fine-tune", "Co-teaching"]
    assert shown == [f"{name}\n{setting}" for name in names for setting in settings]


@pytest.mark.parametrize("highlight", ["", "co_teaching,mw_net,metalabelnet,clean_only,fine_tune"])
def test_of_a_study_just_begun_confusions_of_what_is_finished_are_shown(
    tmp_path, monkeypatch, highlight
):
    methods = ["gce", "co_teaching", "mw_net", "metalabelnet", "clean_only", "fine_tune"]
    cells = [cell(m, n, 0) for n in (SYMMETRIC, HARDER) for m in methods]
    folder = write_study(tmp_path / "begun", cells, [record(cells[0], 0.8)], packed=True)
    figures = drawn(monkeypatch, folder, "--highlight", highlight)
    assert list(heat_maps(figures["confusion_matrices"])) == ["GCE\nSymmetric 0.4"]


def test_test_labels_that_nobody_has_checked_are_not_called_true(tmp_path, monkeypatch):
    given = {"judged_by": "given labels"}
    folder = of_records(tmp_path / "own", [cell("gce", SYMMETRIC, 0)], lambda _: dict(given))
    figures = drawn(monkeypatch, folder)
    axis, bar = visible(figures["confusion_matrices"])
    assert (axis.get_ylabel(), bar.get_ylabel()) == ("given class", "share of the given class (%)")
    for name in ("accuracy_against_noise", "cost_against_accuracy"):
        words = figures[name].legends[0].get_title().get_text()
        assert "simulated: judged by labels that may be wrong" in " ".join(words.split())


def bins(*of_bins: tuple[int, float, float]) -> dict:
    names = ("count", "confidence", "accuracy")
    return dict(zip(names, map(list, zip(*of_bins, strict=True)), strict=True))


def test_reliability_is_of_the_predictions_of_all_seeds_together(tmp_path, monkeypatch):
    of_seed = {
        0: bins((0, None, None), (10, 0.4, 0.5), (30, 0.60, 0.7), (100, 0.9, 0.7)),
        1: bins((0, None, None), (19, 0.4, 0.5), (10, 0.64, 0.3), (300, 0.9, 0.9)),
    }
    cells = [cell("gce", SYMMETRIC, s) for s in (0, 1)]
    folder = of_records(
        tmp_path / "made", cells, lambda cell: {"calibration": {"last": of_seed[cell["seed"]]}}
    )
    figure = drawn(monkeypatch, folder)["reliability"]
    diagonal, line = visible(figure)[0].lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert list(line.get_xdata()) == pytest.approx([61, 90])  # 29 predictions are too few
    assert list(line.get_ydata()) == pytest.approx([60, 85])
    assert legend(figure) == ["GCE", "calibrated"]


def test_records_without_calibration_have_no_reliability(tmp_path, monkeypatch):
    folder = of_records(tmp_path / "made", [cell("gce", SYMMETRIC, 0)], lambda cell: {})
    figures = drawn(monkeypatch, folder, "--criterion", "last,last10")
    assert "reliability" not in figures
    assert "confusion_matrices" in figures and "confusion_matrices_last10" not in figures


MINUTES_AND_ACCURACY = {
    "cross_entropy": (1, 0.70),  # the cheapest
    "gce": (2, 0.70),  # dominated: as good, but dearer
    "co_teaching": (3, 0.80),
    "mw_net": (9, 0.75),  # dominated by fine_tune
    "metalabelnet": (8, 0.90),
    "clean_only": (2, 0.60),
    "fine_tune": (4, 0.85),
    "oracle": (0.5, 0.95),  # a ceiling
}


def cost_figure(folder: Path, monkeypatch):
    def changes(planned: dict) -> dict:
        minutes, accuracy = MINUTES_AND_ACCURACY[planned["method"]]
        spread = 0.01 * (2 * planned["seed"] - 1)
        return {
            "last": accuracy + spread, "timing": {"total_s": 60 * minutes * (1 + 10 * spread)}
        }  # fmt: skip

    cells = [cell(m, SYMMETRIC, s) for m in MINUTES_AND_ACCURACY for s in (0, 1)]
    return drawn(monkeypatch, of_records(folder, cells, changes))["cost_against_accuracy"]


@pytest.mark.parametrize(
    ("name", "members"),
    [
        ("front without clean images", ["cross_entropy", "co_teaching"]),
        ("front with clean images", ["clean_only", "fine_tune", "metalabelnet"]),
    ],
)
def test_a_front_has_exactly_the_rivals_that_no_other_of_their_group_beats(
    tmp_path, monkeypatch, name, members
):
    (axis,) = visible(cost_figure(tmp_path / "made", monkeypatch))
    (front,) = [line for line in axis.lines if line.get_label() == name]
    expected = [(m, 100 * a) for m, a in map(MINUTES_AND_ACCURACY.get, members)]
    *points, end = zip(front.get_xdata(), front.get_ydata(), strict=True)
    assert points == [pytest.approx(point) for point in expected]
    assert end == pytest.approx((axis.get_xlim()[1], expected[-1][1]))


def test_a_front_that_no_method_is_on_is_not_in_the_legend(tmp_path, monkeypatch):
    cells = [cell(m, SYMMETRIC, 0) for m in ("gce", "oracle")]
    folder = of_records(tmp_path / "made", cells, lambda _: {})
    entries = legend(drawn(monkeypatch, folder)["cost_against_accuracy"])
    assert entries == ["GCE", "Oracleᵒ", "front without clean images"]


def test_cost_is_the_mean_of_minutes_and_all_methods_are_points(tmp_path, monkeypatch):
    figure = cost_figure(tmp_path / "made", monkeypatch)
    (axis,) = visible(figure)
    points = [line for line in axis.lines if len(line.get_xdata()) == 1]
    found = [(line.get_xdata()[0], line.get_ydata()[0]) for line in points]
    expected = [(m, 100 * a) for m, a in MINUTES_AND_ACCURACY.values()]
    assert found == [pytest.approx(point) for point in expected]
    is_open = [line.get_markerfacecolor() == "white" for line in points]
    assert is_open == [False, False, False, True, True, True, True, False]
    assert axis.get_xscale() == "log" and axis.get_xlabel() == "minutes of a cell"
