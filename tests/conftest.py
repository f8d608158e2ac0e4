"""The environment of the suite's workers: the same numbers on every machine."""

from __future__ import annotations

import os

from runners.worker import ENVIRONMENT

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"):
    os.environ.setdefault(name, ENVIRONMENT[name])  # before torch is imported
