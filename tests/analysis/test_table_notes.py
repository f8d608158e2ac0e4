"""What stands beside a table: marks, notes and caption."""

from __future__ import annotations

import json
import shutil

import datasets
from analysis import formats, frames, studies
from runners.results.places import stamp_today
from tests.helpers.own_images import own, write_images, write_list
from tests.helpers.records import SYMMETRIC, cell, record, write_study
from tests.helpers.tables import one_column, table_of, ten_records


def test_cells_of_other_code_carry_a_dagger(tmp_path):
    planned = cell("gce", SYMMETRIC, 0)
    old = record(planned, 0.8, provenance={"fingerprint": "code-of-yesterday"})
    study = studies.load(write_study(tmp_path / "made", [planned], [old], packed=True))
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
        table = table_of(studies.load(folder))
        assert table.rows[0][0] == name
        assert any("‡ no tuned values" in note for note in table.notes) == (asked == "tuned")


def test_the_paper_track_and_its_preset_are_named(tmp_path):
    planned = cell("gce", SYMMETRIC, 0, track="paper", source="paper")
    folder = write_study(
        tmp_path / "made", [planned], [record(planned, 0.8)],
        packed=True, protocol={"preset": "metalabelnet", "hparams": "paper"},
    )  # fmt: skip
    assert any(
        "Paper track (preset metalabelnet)" in n for n in table_of(studies.load(folder)).notes
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
    frame = frames.cells(studies.load(write_study(tmp_path / "made", cells, made, packed=True)))
    assert set(frame["source"]) == {"default"}
    assert set(frame["tuned_at"]) == {""}


def test_cells_of_other_data_are_never_averaged_with_the_rest(tmp_path):
    cells = [cell("gce", SYMMETRIC, seed) for seed in range(3)]
    other = {"fingerprint": "code-of-today", "data_sha256": "e" * 64}
    made = [record(cells[0], 0.8), record(cells[1], 0.8), record(cells[2], 0.2, provenance=other)]
    table = table_of(studies.load(write_study(tmp_path / "made", cells, made, packed=True)))
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
    table = table_of(studies.load(write_study(tmp_path / "made", cells, made, packed=True)))
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
    table = table_of(studies.load(write_study(tmp_path / "made", cells, made, packed=True)))
    assert [name for name, _ in table.rows] == ["GCE§", "Meta-Weight-Netᶜ"]
    assert "§ tuned at 3 epochs: GCE." in table.notes
    budgets = "Tuning budgets differ: 13 draws x 2 seeds (GCE); 3 draws x 2 seeds"
    assert any(note.startswith(budgets) for note in table.notes)


def own_study(folder):
    """A function: stamps and labels of three cells -> the study of images and a file of labels."""
    write_images(folder / "images", per_class=10)
    own(folder / "images")
    rows = [{"path": f"{k}.png", "label": "1"} for k in range(3)]
    labels = write_list(folder / "labels.csv", rows)
    noise = {"name": "labels_file", "label": "reviewed"}
    cells = [cell("gce", noise, seed, dataset="images") for seed in range(3)]
    own_places = {"path": str(folder / "images")}
    config = {"name": "image_folder", "label": "images"}
    places = {
        "data_root": None,
        "dataset": {"images": {"config": config, "places": own_places}},
        "noise": {"labels_file": {"config": noise, "places": {"file": str(labels)}}},
    }

    def made(name, stamps, data=("d", "d", "d"), labels=("0", "0", "0")):
        records_of = []
        for planned, stamp, images, given, last in zip(
            cells, stamps, data, labels, (0.2, 0.3, 0.8), strict=True
        ):
            origin = {"fingerprint": "code-of-today", "data_sha256": images, "data_stamp": stamp}
            whole = record(planned, last)["noise"] | {"labels_sha256": given}
            records_of.append(record(planned, last, provenance=origin, noise=whole))
        study = write_study(folder / name, cells, records_of)
        (study / "places.json").write_text(json.dumps(places))
        return studies.load(study, fingerprint=lambda _: "code-of-today")

    return made, cells


def test_cells_of_todays_files_count_and_those_of_others_are_left_out(tmp_path):
    datasets.forget()
    made, cells = own_study(tmp_path)
    today = stamp_today(made("look", ["old"] * 3).folder, cells[0])
    assert today
    for name, differing in (("data", {"data": "eed"}), ("labels", {"labels": "110"})):
        table = table_of(made(name, ["old", "old", today], **differing))
        assert table.rows[0][1][0].text == "80.0 (1/3)"
        assert any(note.startswith("Left out: 2 cells ") for note in table.notes)
        assert not any(note.startswith("†") for note in table.notes)


def test_cells_of_files_that_are_other_ones_today_carry_a_dagger(tmp_path):
    made, cells = own_study(tmp_path)
    study = made("first", ["old"] * 3)
    today = stamp_today(study.folder, cells[0])
    assert not made("same", [today] * 3).outdated
    table = table_of(study)
    assert table.rows[0][1][0].text.endswith(" †")
    sentence = "† at least one of these cells is stale: it ran on other data or label files than"
    assert any(note.startswith(sentence) for note in table.notes)
    write_list(tmp_path / "labels.csv", [{"path": "0.png", "label": "2"}])
    assert len(made("other_labels", [today] * 3).outdated) == 3
    (tmp_path / "labels.csv").unlink()
    assert not made("no_labels", [today] * 3).outdated  # gone: nobody can tell


def test_a_table_decodes_no_image_and_says_so_where_some_have_changed(tmp_path, capsys):
    made, _ = own_study(tmp_path)
    before = made("before", ["old"] * 3)
    assert before.unread == []
    shutil.copy(next((tmp_path / "images" / "1").iterdir()), tmp_path / "images" / "1" / "new.png")
    datasets.forget()
    capsys.readouterr()
    after = made("after", ["old"] * 3)
    assert (after.outdated, after.unread) == (frozenset(), ["images"])
    assert capsys.readouterr().err == ""


def test_other_files_and_other_labels_within_a_setting_are_noted(tmp_path):
    cells = [cell(method, SYMMETRIC, 0) for method in ("cross_entropy", "gce")]
    made = []
    for planned, labels, stamp in zip(cells, "ab", ("weights 1", "weights 2"), strict=True):
        origin = {"fingerprint": "code-of-today", "data_sha256": "d", "data_stamp": stamp}
        noise = record(planned, 0.8)["noise"] | {"labels_sha256": labels}
        made.append(record(planned, 0.8, provenance=origin, noise=noise))
    table = table_of(studies.load(write_study(tmp_path / "made", cells, made, packed=True)))
    start = "Symmetric 0.4: "
    assert f"{start}methods were given different labels (seed 0)." in table.notes
    files = f"{start}1 cell and 1 cell ran on different files of labels or initial weights."
    assert files in table.notes
