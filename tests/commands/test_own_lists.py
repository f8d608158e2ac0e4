"""Lists of labels that are probably wrong, and what a person makes of them."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.helpers.cli import run_grid
from tests.helpers.own_images import (
    NAMES,
    STUDY,
    listed,
    number_of,
    own,
    rows_of,
    script,
    write_list,
)


@pytest.fixture(scope="module")
def suspects(mine):
    folder, _ = mine
    done = script("analysis/suspects.py", folder / "results" / "mine")
    assert done.returncode == 0, done.stderr
    return folder / "results" / "mine" / "suspects.csv"


def test_every_image_is_listed_and_wrong_labels_come_first(mine, suspects):
    folder, truth = mine
    rows = rows_of(suspects)
    columns = ["rank", "path", "given", "proposed", "score", "agree", "trained", "label"]
    assert list(rows[0]) == columns
    assert [int(row["rank"]) for row in rows] == list(range(1, 241))
    files = {p.relative_to(folder / "my_images").as_posix() for p in folder.rglob("my_images/*/*")}
    assert {row["path"] for row in rows} == files
    assert all(row["path"].startswith(f"{row['given']}/") for row in rows)
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    wrong = np.array([NAMES[truth[number_of(row["path"])]] != row["given"] for row in rows])
    assert wrong[: wrong.sum()].mean() > 0.7 > 2 * wrong.mean()
    assert sum(row["trained"] == "False" for row in rows) >= 47  # the test part
    sheet = Image.open(suspects.with_suffix(".png"))
    assert min(sheet.size) > 300


def test_a_reviewed_list_goes_back_in_as_labels_and_is_kept_when_made_again(mine, suspects):
    folder, truth = mine
    rows = rows_of(suspects)
    for row in rows:
        row["label"] = NAMES[truth[number_of(row["path"])]]
    with suspects.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    study = folder / "corrected.yaml"
    entry = f"{{name: labels_file, label: reviewed, file: {suspects}}}"
    study.write_text(STUDY.replace("[given]", f"[{entry}]").replace("study: mine", "study: fixed"))
    out = folder / "labels"
    done = script("runners/export_labels.py", study, "--results", folder / "results", "--out", out)
    assert done.returncode == 0, done.stderr
    exported = rows_of(out / "my_images__reviewed__s0.csv")
    assert len(exported) == 193
    assert all(int(row["noisy"]) == truth[number_of(row["path"])] for row in exported)
    again = script("analysis/suspects.py", folder / "results" / "mine")
    assert again.returncode == 0, again.stderr
    assert [row["label"] for row in rows_of(suspects)] == [row["label"] for row in rows]


def test_nothing_that_a_person_wrote_is_lost_when_the_list_is_made_again(mine, tmp_path):
    folder, _ = mine
    study = tmp_path / "mine"
    shutil.copytree(folder / "results" / "mine", study)
    rows = [{"path": "1/gone.png", "label": "2", "given": "1", "remark": "blurred"}]
    made = write_list(study / "suspects.csv", rows)
    done = script("analysis/suspects.py", study)
    assert done.returncode == 0, done.stderr
    kept = study / "suspects.old-1.csv"
    assert f"has more than fits into this one and is kept: {kept}\n" in done.stdout
    assert rows_of(kept) == rows
    assert len(rows_of(made)) == 240
    assert script("analysis/suspects.py", study).returncode == 0
    assert len(list(study.glob("suspects.old*"))) == 1


def test_a_list_keeps_parts_and_checked_labels_and_may_be_named_in_place_of_the_folder(
    mine, tmp_path
):
    folder, truth = mine
    shutil.copytree(folder / "my_images", tmp_path / "my_images")
    part = ["test", "clean", "train", ""]
    rows = listed(tmp_path / "my_images", truth)
    for k, row in enumerate(rows):
        row["split"] = part[min(k % 8, 3)]
        row["clean_label"] = row["clean_label"] if k % 2 else ""
    before = own(write_list(tmp_path / "images.csv", rows))
    (tmp_path / "mine.yaml").write_text(
        STUDY.replace("my_images", "images.csv").replace("seed: 2", "seed: 1")
    )
    done = run_grid(tmp_path / "mine.yaml", tmp_path / "r", "--set", "protocol.epochs=1",
                    "--only", "method=cross_entropy", folder=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert script("analysis/suspects.py", tmp_path / "r" / "mine").returncode == 0
    made = rows_of(tmp_path / "r" / "mine" / "suspects.csv")
    assert list(made[0])[-3:] == ["label", "split", "clean_label"]
    assert [int(row["rank"]) for row in made] == list(range(1, 241))
    assert {row["score"] for row in made if row["split"] == "clean"} == {""}
    shutil.copy(tmp_path / "r" / "mine" / "suspects.csv", tmp_path / "reviewed.csv")
    after = own(tmp_path / "reviewed.csv")
    for split in ("train", "test", "clean"):
        assert sorted(after.files(split)) == sorted(before.files(split))
    assert (after.truth, after.own_clean_counts) == (before.truth, before.own_clean_counts)
