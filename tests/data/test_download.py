"""The download command: verified files in place, or one sentence and nothing left behind."""

import hashlib
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import datasets
from datasets import download
from datasets.base import DataError

FULL = datasets.get("fashion_mnist")


@pytest.mark.parametrize("name", ["fashion_mnist", "cifar10"])
def test_a_download_without_network_fails_with_one_sentence_and_leaves_nothing(
    monkeypatch, capsys, tmp_path, name
):
    monkeypatch.setattr(urllib.request, "_opener", None)  # made again from these variables
    for variable in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert download.main([name, "--data", str(tmp_path / "data")]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"{name} could not be downloaded (") and said.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


class FakeSource:
    """Stands in for torchvision's data sets: writes what a download would."""

    def __init__(self, root, download):
        assert download
        raw = Path(root) / "FashionMNIST" / "raw"
        raw.mkdir(parents=True)
        for name in FULL.files:
            (raw / name).write_bytes(name.encode())
            (raw / f"{name}.gz").write_bytes(b"packed")


def test_a_download_is_verified_and_leaves_only_the_files(monkeypatch, tmp_path):
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", FakeSource)
    with pytest.raises(DataError, match="is corrupt: its md5 is"):
        download.download(FULL, tmp_path)
    assert list(tmp_path.iterdir()) == []
    checksums = {name: hashlib.md5(name.encode()).hexdigest() for name in FULL.files}
    monkeypatch.setattr(type(FULL), "files", checksums)
    folder = download.download(FULL, tmp_path)
    assert folder == tmp_path / "FashionMNIST" / "raw"
    assert {file.name for file in folder.iterdir()} == set(checksums)
    assert [file.name for file in tmp_path.iterdir()] == ["FashionMNIST"]


@pytest.mark.parametrize("name", ["cifar10_jpeg", "fashion_mnist_mini", "simulated"])
def test_what_cannot_be_downloaded_says_so(capsys, name):
    assert download.main([name]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith(f"{name} cannot be downloaded: ") and sentence.count("\n") == 1


def test_an_unknown_name_gets_the_nearest_one(capsys):
    assert download.main(["fashon_mnist"]) == 2
    assert "did you mean fashion_mnist?" in capsys.readouterr().err


def test_a_data_root_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr("torchvision.datasets.FashionMNIST", FakeSource)
    checksums = {name: hashlib.md5(name.encode()).hexdigest() for name in FULL.files}
    monkeypatch.setattr(type(FULL), "files", checksums)
    with pytest.raises(DataError, match=r"file/.* cannot be written"):
        download.download(FULL, tmp_path / "file" / "data")


def test_the_command_works_from_any_folder(tmp_path):
    script = Path(download.__file__)
    done = subprocess.run(
        [sys.executable, script, "simulated"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "simulated cannot be downloaded: it is made on the fly\n"
