"""What several files of this folder start from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.cli import run_grid
from tests.helpers.own_images import STUDY, write_images


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A folder with images, the study that was run on it, and the true classes."""
    folder = tmp_path_factory.mktemp("own")
    truth = write_images(folder / "my_images", per_class=60)
    (folder / "mine.yaml").write_text(STUDY)
    done = run_grid(folder / "mine.yaml", folder / "results", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, truth
