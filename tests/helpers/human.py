"""A file of human labels as CIFAR-N has them."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np


def label_file(truth: np.ndarray, noisy: np.ndarray) -> bytes:
    """A file as CIFAR-N's are: pickled arrays in a zip."""
    content = pickle.dumps({"clean_label": truth, "worse_label": noisy}, protocol=2)
    content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", content)
    return buffer.getvalue()
