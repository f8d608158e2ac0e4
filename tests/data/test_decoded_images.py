"""Images of one's own are decoded once, and what is kept of them never stands for other files."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets.base import DataError
from tests.helpers.own_images import own, write_images


def test_images_are_decoded_once_and_again_when_a_file_has_changed(folder, capsys):
    first = own(folder)
    assert "reading 120 images" in capsys.readouterr().err
    stamp, sha256 = first.stamp(None), first.load(None).sha256
    assert own(folder).load(None).sha256 == sha256
    assert capsys.readouterr().err == ""
    for path in folder.rglob("*.png"):
        os.utime(path, (1, 1))  # another time, the same content
    assert own(folder).stamp(None) == stamp
    moved = folder.rename(folder.with_name("moved"))
    assert own(moved).stamp(None) == stamp
    next(moved.rglob("*.png")).unlink()
    assert own(moved).stamp(None) != stamp


def test_files_that_were_swapped_are_seen_though_size_and_time_are_the_same(tmp_path):
    root = tmp_path / "images"
    for name, level in (("cat", 10), ("dog", 200)):
        (root / name).mkdir(parents=True)
        for k in range(8):
            picture = Image.fromarray(np.full((8, 8), level + k, np.uint8))
            picture.save(root / name / f"{k}.bmp")
            os.utime(root / name / f"{k}.bmp", (1, 1))
    before = own(root)
    stamp = before.stamp(None)
    (root / "cat" / "0.bmp").rename(root / "aside.bmp")
    (root / "dog" / "0.bmp").rename(root / "cat" / "0.bmp")
    (root / "aside.bmp").rename(root / "dog" / "0.bmp")
    after = own(root)
    assert after.stamp(None) != stamp
    images = after.load(None).train_images, after.load(None).test_images
    levels = {int(image.flat[0]) for part in images for image in part}
    assert levels == {*range(10, 18), *range(200, 208)}
    rows = [row.path for row in after.rows]
    position = after.parts["train"].tolist().index(rows.index("cat/0.bmp"))
    assert int(after.load(None).train_images[position].flat[0]) == 200


def test_decoded_images_that_somebody_deleted_are_made_again(folder):
    sha256 = own(folder).load(None).sha256
    next(folder.parent.glob(".images*.npz")).unlink()
    assert own(folder).load(None).sha256 == sha256


def test_an_image_that_comes_while_data_are_used_changes_them_at_the_next_look_only(folder):
    data = own(folder)
    before, sha256 = data.stamp(None), data.load(None).sha256
    shutil.copy(next((folder / "1").iterdir()), folder / "1" / "new.png")
    assert data.stamp(None) == before and data.load(None).sha256 == sha256
    assert own(folder).stamp(None) != before  # which decodes them anew
    with pytest.raises(DataError, match="the images have changed meanwhile"):
        data.load(None)


def test_what_a_folder_held_is_known_where_the_folder_around_it_is_gone_as_well(tmp_path):
    folder = tmp_path / "photos" / "images"
    write_images(folder)
    before = own(folder)
    shutil.rmtree(folder.parent)
    after = own(folder)
    assert (after.n_train, after.class_names, after.size) == (96, before.class_names, before.size)
    with pytest.raises(DataError, match="is not there"):
        after.stamp(None)


def test_damaged_decoded_images_are_named(folder):
    data = own(folder)
    kept = next(folder.parent.glob(".images*.npz"))
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        data.load(None)
