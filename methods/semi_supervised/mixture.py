"""A mixture of two normal distributions of losses: the lower one are samples with right labels.

Arazo et al., ICML 2019, arXiv 1904.11238 (Beta mixture); Li et al., ICLR 2020, arXiv 2002.07394.
"""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

ITERATIONS, TOLERANCE, FLOOR = 10, 1e-2, 5e-4
"""Steps of EM, the gain in likelihood that ends them, what is added to variances: DivideMix's."""


def normalised(losses: Tensor) -> Tensor:
    """Losses (n,) brought to [0, 1], all 0 if they are the same; no number counts as 1."""
    low, high = losses.min(), losses.max()
    spread = (high - low).clamp(min=1e-12)
    return ((losses - low) / spread).nan_to_num(1.0)


def fit_mixture(values: np.ndarray, seed: int, split: np.ndarray | None = None) -> GaussianMixture:
    """Two components fitted to values (n,) by EM, from a k-means split as scikit-learn makes it.

    Args:
        seed: of k-means.
        split: (n,) 0 or 1, the split to start from in place of one by k-means.
    """
    settings = {"max_iter": ITERATIONS, "tol": TOLERANCE, "reg_covar": FLOOR}
    if split is not None:
        parts = [values[split == k] for k in range(2)]
        settings["weights_init"] = [len(part) / len(values) for part in parts]
        settings["means_init"] = [[part.mean()] for part in parts]
        settings["precisions_init"] = [[[1 / (part.var() + FLOOR)]] for part in parts]
    mixture = GaussianMixture(2, random_state=seed, **settings)
    with warnings.catch_warnings():
        # Ten steps are the method's, whether they are enough or not; equal losses are no error.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(values[:, None])


def lower_component(mixture: GaussianMixture, values: np.ndarray) -> np.ndarray:
    """(n,) posterior of the component with the smaller mean."""
    return mixture.predict_proba(values[:, None])[:, mixture.means_.argmin()]
