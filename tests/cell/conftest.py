"""What tests of images that are decoded ahead of the step share."""

from __future__ import annotations

import pytest

import datasets
from datasets import files, prepare
from tests.helpers.large_sets import STORED, clothing


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A data root with a packed Clothing1M, which is looked for there without being named."""
    monkeypatch.setattr(files, "REPOSITORY", tmp_path)
    clothing(tmp_path / "data", monkeypatch)
    assert (
        prepare.main(["clothing1m", "--data", str(tmp_path / "data"), "--size", str(STORED)]) == 0
    )
    datasets.forget()
    yield tmp_path / "data"
    datasets.forget()
