"""What several files of this folder start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.own_images import write_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of simulated images a class."""
    root = tmp_path / "images"
    write_images(root)
    return root
