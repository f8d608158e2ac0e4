"""Feature-dependent noise by distillation (Algan and Ulusoy 2020, arXiv 2003.10471).

A student that learned from a teacher on clean labels scores every training image; the images that
it mistakes, or nearly mistakes, get the wrong label that it gives them. Labels are the same for all
seeds. A method must never see the scores: they come from clean labels.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from datasets.base import DataError, Dataset, FileDataset, corrupt, read_bytes, usual_roots
from datasets.noise.base import Corruption, NoiseModel, Rate, checked_labels, register
from datasets.noise.feature_scores import FOLDER, STUDENT, flipped, own_file, read_scores
from datasets.paths import OnDisk

MD5S: Mapping[float, str] = MappingProxyType(
    {
        0.2: "a47d404798e84a535c6325ba2ccf7953",
        0.4: "df0fb6a9f58745998b4fccdcce197c3d",
        0.6: "0fa12442e40b9baa98f30dd1171414fc",
        0.8: "4cd32908b704617cf8768add051da36b",
    }
)
"""Of the labels, int64, that the authors' code gives with NumPy up to 1.23.5."""


@register
class FeatureDependent(NoiseModel):
    """Exactly round(rate * N) labels are wrong: those that a student finds most confusable.

    First the images that it mistakes, the most confident ones first, get the class it gives them;
    then the others, those with the highest second score first, get their second class. Ties go to
    the lower class and the earlier image, an explicit rule that depends on no NumPy and no
    processor; the share of wrong labels that a tie decided is in the record (`facts`). The
    authors' scores for CIFAR-10 tie often above 0.2: see `feature_dependent_official`.
    """

    name: Literal["feature_dependent"] = "feature_dependent"
    needs: ClassVar[tuple[str, ...]] = ("data_root",)
    random: ClassVar[bool] = False

    rate: Rate
    scores: OnDisk | None = Field(
        None, description="File of scores (N, C), .npy, .npz or .xz; null: the data set's own."
    )

    @property
    def nominal_rate(self) -> float:
        return self.rate

    def stamp(self, root: Path | None) -> str:
        if self.scores is None:
            return ""
        return hashlib.sha256(read_bytes(Path(self.scores))).hexdigest()

    def check(self, dataset: Dataset, root: Path | None) -> None:
        self._file(dataset, root)

    def _file(self, dataset: Dataset, root: Path | None) -> Path:
        path = Path(self.scores) if self.scores else own_file(dataset, root)
        if not path.is_file():
            raise DataError(f"{path} is not there: must be a file of scores of {dataset.name}")
        return path

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        data_root: Path | None,
    ) -> Corruption:
        labels = checked_labels(labels, dataset)
        best = read_scores(self._file(dataset, data_root), dataset)
        noisy, ties = flipped(labels, best, round(self.rate * len(labels)))
        mistaken = float((best.classes[:, 0] != labels).mean())
        return Corruption(noisy, facts={"tied_share": ties, "student_error": mistaken})


@register
class FeatureDependentOfficial(NoiseModel):
    """The authors' labels for CIFAR-10 at 20, 40, 60 or 80 %, out of a file, by checksum.

    At 0.4 and above ties of the scores decide many labels (17 %, then 42 and 56 % of them), and the
    authors' rule leaves ties to NumPy's sort: these are the labels that it gives with NumPy up to
    1.23.5, where they equal the authors' published files. Looked for in ROOT/feature_dependent and
    beside the images: `fd_20.npy` and so on (int64 (50000,)), or `official_fd_20` and so on in
    `student_logits.npz`. To make them: run `add_noise` of gorkemalgan/MetaLabelNet with that NumPy
    on its `student_logits.npy`.
    """

    name: Literal["feature_dependent_official"] = "feature_dependent_official"
    needs: ClassVar[tuple[str, ...]] = ("data_root",)
    random: ClassVar[bool] = False

    rate: Literal[0.2, 0.4, 0.6, 0.8]

    @property
    def nominal_rate(self) -> float:
        return self.rate

    def transition_matrix(self, dataset: Dataset) -> None:
        """None: it looks at images.

        Raises:
            ValueError: the data set is not CIFAR-10.
        """
        if dataset.name not in ("cifar10", "cifar10_jpeg"):
            raise ValueError(f"feature_dependent_official: {dataset.name}: must be cifar10")

    def corrupt(
        self,
        labels: np.ndarray,
        dataset: Dataset,
        rng: np.random.Generator,
        data_root: Path | None,
    ) -> np.ndarray:
        return _checked_file(*self._file(dataset, data_root), MD5S[self.rate])

    def check(self, dataset: Dataset, root: Path | None) -> None:
        self._file(dataset, root)

    def _file(self, dataset: Dataset, root: Path | None) -> tuple[Path, str]:
        """The file, and the name of its array if it holds several.

        Raises:
            DataError: it is not there.
        """
        percent = round(100 * self.rate)
        places = [place / FOLDER for place in usual_roots(root)]
        places += dataset.places(root) if isinstance(dataset, FileDataset) else []
        for place in places:
            for file, name in ((f"fd_{percent}.npy", ""), (STUDENT, f"official_fd_{percent}")):
                if (place / file).is_file():
                    return place / file, name
        looked = ", ".join(map(str, places))
        raise DataError(f"fd_{percent}.npy is not there: looked in {looked}")


def _checked_file(path: Path, name: str, md5: str) -> np.ndarray:
    try:
        loaded = np.load(io.BytesIO(read_bytes(path)), allow_pickle=False)
        labels = np.asarray(loaded[name] if name else loaded).astype("<i8")
    except (ValueError, KeyError, EOFError) as error:
        raise DataError(f"{path} holds no labels: {error}") from error
    digest = hashlib.md5(labels.tobytes(), usedforsecurity=False).hexdigest()
    if digest != md5:
        raise corrupt(path, "md5 of int64 labels", md5, digest)
    return labels.astype(np.int64)
