"""What stands beside a table: marks, notes and caption."""

from __future__ import annotations

from analysis import formats, frames, records
from tests.helpers.records import SYMMETRIC, cell, record, write_study
from tests.helpers.tables import one_column, table_of, ten_records


def test_cells_of_other_code_carry_a_dagger(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    old = record(planned, 0.8, provenance={"fingerprint": "code-of-yesterday"})
    study = records.load(write_study(tmp_path / "made", [planned], [old], packed=True))
    table = table_of(study)
    assert table.rows[0][1][0].text == "80.0 †"
    assert any(note.startswith("† ") for note in table.notes)


def test_untuned_methods_are_marked_only_where_the_study_asks_for_tuned_values(tmp_path):
    for asked, name in (("tuned", "GCE‡"), ("default", "GCE")):
        planned = cell("gce", SYMMETRIC, 0, source="default")
        folder = write_study(
            tmp_path / asked, [planned], [record(planned, 0.8)],
            packed=True, protocol={"hparams": asked},
        )  # fmt: skip
        table = table_of(records.load(folder))
        assert table.rows[0][0] == name
        assert any("‡ no tuned values" in note for note in table.notes) == (asked == "tuned")


def test_the_paper_track_and_its_preset_are_named(tmp_path):
    planned = cell("gce", SYMMETRIC, 0, track="paper", source="paper")
    folder = write_study(
        tmp_path / "made", [planned], [record(planned, 0.8)],
        packed=True, protocol={"preset": "metalabelnet", "hparams": "paper"},
    )  # fmt: skip
    assert any(
        "Paper track (preset metalabelnet)" in n for n in table_of(records.load(folder)).notes
    )


def test_test_peek_is_marked_as_a_diagnostic(tmp_path):
    table = table_of(ten_records(tmp_path), "test_peek")
    assert "diagnostic" in table.title
    assert any("chosen on the test set; never a result" in note for note in table.notes)


def test_noisy_validation_is_warned_of_under_class_dependent_noise_only(tmp_path):
    warning = "rewards fitting the noise"
    assert any(warning in n for n in table_of(ten_records(tmp_path), "noisy_val").notes)
    symmetric = one_column(tmp_path, {"gce": [0.8]}, seeds=1)
    assert not any(warning in n for n in table_of(symmetric, "noisy_val").notes)


def test_a_table_says_where_values_of_this_study_come_from_not_of_the_one_that_trained(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed, "default") for seed in range(2)]
    elsewhere = {"hparams_source": {"q": "tuned"}, "tuned_at": "3 epochs"}
    made = [record(planned, 0.8, **elsewhere) for planned in cells]
    frame = frames.cells(records.load(write_study(tmp_path / "made", cells, made, packed=True)))
    assert set(frame["source"]) == {"default"}
    assert set(frame["tuned_at"]) == {""}


def test_cells_of_other_data_are_never_averaged_with_the_rest(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    other = {"fingerprint": "code-of-today", "data_sha256": "e" * 64}
    made = [record(cells[0], 0.8), record(cells[1], 0.8), record(cells[2], 0.2, provenance=other)]
    table = table_of(records.load(write_study(tmp_path / "made", cells, made, packed=True)))
    assert table.rows[0][1][0].text == "80.0 ± 0.0 (2/3)"
    assert "Left out: 1 cell ran on other data than the rest of its data set." in table.notes


def test_mixed_versions_and_devices_and_warnings_are_noted(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    common = {"fingerprint": "code-of-today", "data_sha256": "d" * 64, "device": "cpu"}
    origins = [
        common | {"packages": {"torch": "2.14.1"}},
        common | {"packages": {"torch": "2.14.1"}, "warnings": ["no GPU was seen"]},
        common | {"packages": {"torch": "2.11.0"}, "device": "H100"},
    ]
    pairs = zip(cells, origins, strict=True)
    made = [record(planned, 0.8, provenance=origin) for planned, origin in pairs]
    table = table_of(records.load(write_study(tmp_path / "made", cells, made, packed=True)))
    for note in (
        "Cells ran on different versions of torch: 2.14.1 (2 cells), 2.11.0 (1 cell).",
        "Cells ran on different devices: cpu (2 cells), H100 (1 cell).",
        "Warning of 1 cell: no GPU was seen.",
    ):
        assert note in table.notes


def test_the_caption_names_network_epochs_batch_size_and_clean_subset(tmp_path):
    table = table_of(one_column(tmp_path, {"gce": [0.8]}, seeds=1))
    assert "small_cnn, 12 epochs, batch size 128, clean subset of 250." in table.notes[0]
    assert "small\\_cnn, 12 epochs" in formats.latex(table).partition("\\begin{tabular}")[0]


def test_values_tuned_elsewhere_and_budgets_that_differ_are_noted(tmp_path):
    under = {"draws": 13, "seeds": [100, 101]}
    cells = [
        cell("gce", SYMMETRIC, 0, tuned_under=under, tuned_at="3 epochs"),
        cell("mw_net", SYMMETRIC, 0, tuned_under=under | {"draws": 3}),
    ]
    tuned = ("tuned_under", "tuned_at")
    made = [record(c, 0.8, **{k: c[k] for k in tuned if k in c}) for c in cells]
    table = table_of(records.load(write_study(tmp_path / "made", cells, made, packed=True)))
    assert [name for name, _ in table.rows] == ["GCE§", "Meta-Weight-Netᶜ"]
    assert "§ tuned at 3 epochs: GCE." in table.notes
    budgets = "Tuning budgets differ: 13 draws x 2 seeds (GCE); 3 draws x 2 seeds"
    assert any(note.startswith(budgets) for note in table.notes)
