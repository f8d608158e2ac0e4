"""One thread everywhere, as in the suite's workers: the same numbers on every machine."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
