"""The page of a study shows its lists of suspects with their worst images."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import datasets
from analysis.report_page import suspects
from tests.helpers.records import HARDER, SYMMETRIC, cell, record, write_study
from tests.helpers.reports import made, shown


def test_suspects_are_listed_up_to_fifty(tmp_path):
    cells = [cell("gce", SYMMETRIC, 0)]
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8)])
    rows = "".join(f"image{k}.png,cat,dog\n" for k in range(60))
    (folder / "suspects.csv").write_text(f"path,given,suggested\n{rows}")
    said = shown(made(folder))
    assert "image49.png" in said and "image50.png" not in said
    assert "The first 50, 10 more are in the file" in said
    assert suspects.NO_IMAGES in said  # the records are of other data than today's


def test_the_worst_suspects_are_shown_as_they_are(tmp_path):
    arrays = datasets.get("simulated").load(None)
    origin = {"fingerprint": "x", "data_sha256": arrays.sha256}
    cells = [cell("gce", SYMMETRIC, 0)]
    folder = write_study(tmp_path / "s", cells, [record(cells[0], 0.8, provenance=origin)])
    rows = [f"{k + 1},{7 * k},cat,{'dog' if k else 'cat'},{0.9 - k / 100:.2f}" for k in range(30)]
    text = "rank,index,given,proposed,score\n" + "\n".join(rows)
    (folder / "suspects.csv").write_text(text)
    (folder / "suspects.old-1.csv").write_text(text)
    page = made(folder)
    shown_images = re.findall(r'<img src="data:image/png;base64,([^"]+)" alt="([^"]+)"', page)
    assert len(shown_images) == suspects.MOST_IMAGES
    assert shown_images[0][1] == "Image 0, rank 1: given cat, score 0.90"
    assert shown_images[3][1] == "Image 21, rank 4: given cat, proposed dog, score 0.87"
    pixels = Image.open(io.BytesIO(base64.b64decode(shown_images[3][0])))
    assert np.array_equal(pixels, arrays.train_images[21, 0])
    assert "4. cat → dog 0.87" in shown(page) and suspects.NO_IMAGES not in page
    assert sum(len(source) for source, _ in shown_images) < suspects.MOST_LETTERS


def test_lists_of_one_data_set_read_it_once(tmp_path, monkeypatch):
    simulated = type(datasets.get("simulated"))
    arrays, loaded = datasets.get("simulated").load(None), []
    load = simulated.load
    monkeypatch.setattr(simulated, "load", lambda *of: loaded.append(1) or load(*of))
    origin = {"fingerprint": "x", "data_sha256": arrays.sha256}
    cells = [cell("gce", noise, 0) for noise in (SYMMETRIC, HARDER)]
    records = [record(each, 0.8, provenance=origin) for each in cells]
    folder = write_study(tmp_path / "s", cells, records)
    for each in cells:
        path = folder / f"suspects_simulated__{each['noise_slug']}.csv"
        path.write_text("rank,index,given,proposed,score\n1,0,cat,dog,0.9\n")
    assert made(folder).count('<img src="data:image/png') == 2 and loaded == [1]


def test_large_images_are_shown_small():
    noise = np.random.default_rng(0).integers(0, 256, (3, 300, 200), dtype=np.uint8)
    source, size = suspects._uri(noise)
    assert source.startswith("data:image/jpeg;") and tuple(size) == (53, 80)
    assert suspects.MOST_IMAGES * len(source) < suspects.MOST_LETTERS


@pytest.mark.parametrize("content", [b"", b"rank\n" + b"1" * 200_000])
def test_a_list_that_cannot_be_read_is_a_sentence(tmp_path, content):
    folder = write_study(tmp_path / "s", [cell("gce", SYMMETRIC, 0)], [])
    (folder / "suspects.csv").write_bytes(content)
    said = shown(made(folder))
    assert "suspects.csv This list cannot be read (it is" in said
