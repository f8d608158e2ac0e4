"""A person's own images: what a folder or list becomes, and what is refused in a sentence."""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from datasets.base import UNKNOWN, DataError
from datasets.check_arrays import checked
from tests.helpers.own_images import NAMES, own


def test_a_folder_of_images_a_class_becomes_a_data_set(folder, capsys):
    (folder / ".hidden").mkdir()
    (folder / "1" / ".DS_Store").write_bytes(b"x")
    (folder / "1" / "notes.txt").write_text("no image")
    data = own(folder)
    assert "no images: notes.txt\n" in capsys.readouterr().err
    arrays = checked(data.load(None), data)
    assert data.class_names == NAMES  # numbers in their order, not that of text
    assert (data.n_train, data.n_test, data.size, data.channels) == (96, 24, 8, 1)
    assert (data.truth, data.judged_by_given) == ("none", True)
    assert (arrays.train_labels == UNKNOWN).all()
    paths = arrays.train_inputs["path"]
    for number, path in enumerate(paths[:5]):
        pixels = np.asarray(Image.open(folder / path))
        np.testing.assert_array_equal(arrays.train_images[number, 0], pixels)
        assert NAMES[arrays.train_inputs["given"][number]] == path.split("/")[0]
    assert len({*paths, *data.files("test")}) == 120
    pixels = arrays.train_images / 255
    assert (data.mean[0], data.std[0]) == pytest.approx((pixels.mean(), pixels.std()), abs=1e-3)


def test_the_test_part_is_a_fixed_share_of_each_class_that_hardly_moves_with_the_folder(folder):
    before = set(own(folder).files("test"))
    shutil.copy(next((folder / "1").iterdir()), folder / "1" / "new.png")
    after = set(own(folder).files("test"))
    assert len(before ^ after) <= 2
    per_class = [sum(name.startswith(f"{c}/") for name in before) for c in NAMES]
    given = [len(list((folder / c).iterdir())) for c in NAMES]
    assert per_class[1:] == [round(0.2 * n) for n in given[1:]]


def test_with_labels_true_the_labels_are_the_truth(folder):
    data = own(folder, labels="true")
    arrays = checked(data.load(None), data)
    np.testing.assert_array_equal(arrays.train_labels, arrays.train_inputs["given"])
    assert (data.truth, data.judged_by_given) == ("all", False)


def test_train_and_test_folders_are_parts(folder, tmp_path):
    root = tmp_path / "split"
    for part in ("train", "test"):
        shutil.copytree(folder, root / part)
    data = own(root)
    assert (data.n_train, data.n_test, data.class_names) == (120, 120, NAMES)
    assert data.judged_by_given is False


PICTURES = {
    "rgba": lambda image: image.convert("RGBA"),
    "palette": lambda image: image.quantize(64),
    "grey": lambda image: image.convert("L"),
    "rgb": lambda image: image,
}


@pytest.mark.parametrize("kind", PICTURES)
def test_modes_of_images_are_read_as_they_look(tmp_path, kind):
    ramp = np.tile(np.arange(0, 240, 10, dtype=np.uint8)[:, None, None], (1, 24, 3))
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        Image.fromarray(ramp).save(tmp_path / "own" / name / "plain.png")
    PICTURES[kind](Image.fromarray(ramp)).save(tmp_path / "own" / "a" / "other.png")
    data = own(tmp_path / "own", test_share=0.5)
    arrays = data.load(None)
    images = np.concatenate([arrays.train_images, arrays.test_images])
    assert np.abs(images.astype(int) - ramp.transpose(2, 0, 1)).max() <= 8


def test_transparent_parts_are_white_cmyk_and_sixteen_bits_are_read_and_exif_turns(tmp_path):
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
    glass = np.zeros((16, 16, 4), np.uint8)
    Image.fromarray(glass).save(tmp_path / "own" / "a" / "glass.png")
    red = Image.new("RGB", (16, 16), (250, 5, 5))
    red.convert("CMYK").save(tmp_path / "own" / "a" / "red.jpg", quality=98)
    deep = np.full((16, 16), 257 * 200, np.uint16)
    Image.fromarray(deep).save(tmp_path / "own" / "b" / "deep.png")
    half = np.zeros((16, 16, 3), np.uint8)
    half[:8] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    Image.fromarray(half).save(tmp_path / "own" / "b" / "turned.jpg", exif=exif, quality=98)
    data = own(tmp_path / "own", test_share=0.5)
    arrays = data.load(None)
    images = dict(zip(arrays.train_inputs["path"], arrays.train_images, strict=True))
    images |= dict(zip(data.files("test"), arrays.test_images, strict=True))
    assert (images["a/glass.png"] == 255).all()
    assert images["a/red.jpg"][0].mean() > 200 > 60 > images["a/red.jpg"][1].mean()
    assert np.abs(images["b/deep.png"].astype(int) - 200).max() <= 1
    turned = images["b/turned.jpg"].mean(0)
    assert turned[:, -4:].mean() > 240 and turned[:, :4].mean() < 15


def test_images_of_other_shapes_are_cut_or_stretched(tmp_path):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(wide).save(tmp_path / "own" / name / f"{number}.png")
    cut = own(tmp_path / "own").load(None).train_images
    stretched = own(tmp_path / "own", fit="stretch").load(None).train_images
    assert cut.shape[2:] == (20, 20) and cut.mean() > 240
    assert 70 < stretched.mean() < 100


def test_a_jfif_is_a_jpeg_and_what_is_no_image_is_counted_by_ending(folder):
    with Image.open(next((folder / "2").iterdir())) as image:
        image.save(folder / "2" / "photo.jfif", "jpeg")
    for name in ("notes.txt", "list.txt", "Thumbs.db"):
        (folder / "1" / name).write_text("no image")
    data = own(folder)
    assert "2/photo.jfif" in {*data.files("train"), *data.files("test")}
    assert data.other_endings == ".txt 2, .db 1"


def test_an_unreadable_file_is_named_and_few_of_many_are_left_out(tmp_path):
    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(picture, "png")
    for name in ("a", "b"):
        (tmp_path / "own" / name).mkdir(parents=True)
        for number in range(500):
            (tmp_path / "own" / name / f"{number}.png").write_bytes(picture.getvalue())
    broken = tmp_path / "own" / "a" / "7.png"
    broken.write_bytes(picture.getvalue()[:40])
    data = own(tmp_path / "own")
    assert data.n_train + data.n_test == 999
    assert "a/7.png" not in {*data.files("train"), *data.files("test")}
    assert [name.split(" ")[0] for name in data.left_out] == ["a/7.png"]
    (tmp_path / "own" / "b" / "9.png").write_bytes(b"")
    with pytest.raises(DataError) as caught:
        own(tmp_path / "own")
    assert "2 files of 1,000 cannot be read" in str(caught.value)
    assert "a/7.png" in str(caught.value)


def remove_images_of_one_class(folder):
    for path in (folder / "1").iterdir():
        path.unlink()


def one_class_only(folder):
    for name in NAMES[1:]:
        shutil.rmtree(folder / name)


def two_of_a_class(folder):
    for name in NAMES:
        for path in sorted((folder / name).iterdir())[2:]:
            path.unlink()


def one_of_another_ending(folder):
    (folder / "1" / "photo.HEIC").write_bytes(b"x")


def only_another_ending(folder):
    for path in (folder / "1").iterdir():
        path.rename(path.with_suffix(".png_"))


def a_name_of_other_bytes(folder):
    shutil.copy(next((folder / "1").iterdir()), os.fsencode(folder / "1") + b"/gr\xfcn.png")


def train_and_val(folder):
    for part in ("train", "val"):
        shutil.copytree(folder, folder.with_name(part))
    shutil.rmtree(folder)
    folder.mkdir()
    for part in ("train", "val"):
        folder.with_name(part).rename(folder / part)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove_images_of_one_class, "1 has no image: a class must have one or more"),
        (one_class_only, "has images of 1 class: must have two or more"),
        (two_of_a_class, "test_share 0.2 of at most 2 training images a class leaves no image to"),
        (one_of_another_ending, "1 file of 121 have an ending that is not read (.heic 1): must be"),
        (only_another_ending, "1 has no image of an ending that is read (.png_ 27): a class must"),
        (a_name_of_other_bytes, r"the name 1/gr\xfcn.png is not UTF-8: rename the file"),
        (shutil.rmtree, "is not there: must be a folder of images, or a list of them"),
        (train_and_val, "has val beside train: parts are called train, test, clean"),
        (
            lambda folder: shutil.copy(next((folder / "1").iterdir()), folder / "loose.png"),
            "loose.png lies in no folder of a class",
        ),
    ],
)
def test_a_folder_that_is_none_is_one_sentence(folder, change, sentence):
    change(folder)
    with pytest.raises(DataError) as caught:
        own(folder)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
