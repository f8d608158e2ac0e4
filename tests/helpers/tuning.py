"""A small tuning on simulated images: two draws, two seeds, and what it wrote."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from tests.helpers.cli import ROOT, environment

METHODS = ["cross_entropy", "gce", {"name": "gce", "label": "again", "q": 0.5}, "fine_tune"]
EARLIER = """method,draw,hparams,mean,best,symmetric-0.4__s100
mw_net,0,"{""lr"": 0.002, ""weight_decay"": 0.0001}",0.500000,True,0.500000
gce,0,"{""q"": 0.2}",0.900000,True,0.900000
"""
EARLIER_RANGES = """method,parameter,range,widened,default,best,verdict
mw_net,lr,1e-6 to 1e-3,0,0.001,0.002,inner
mw_net,weight_decay,0 to 1,0,0.0001,0.0001,inner
gce,q,0 to 0.5,0,0.7,0.2,inner
"""
SETTINGS = ["symmetric-0.4__s100", "symmetric-0.4__s101"]


@dataclass(frozen=True)
class Tuned:
    """Where `tune.py` ran with two draws and two seeds, and what it said."""

    folder: Path
    output: str

    @property
    def all_rows(self) -> list[dict[str, str]]:
        with (self.folder / "out" / "simulated_draws.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    @property
    def rows(self) -> list[dict[str, str]]:
        """The rows of this run's methods."""
        return [row for row in self.all_rows if row["method"] != "mw_net"]

    @property
    def values(self) -> dict:
        return YAML(typ="safe").load(self.folder / "out" / "simulated.yaml")

    @property
    def records(self) -> list[dict]:
        found = sorted(self.folder.glob("results/tuning/*/cells/*/record.json"))
        return [json.loads(path.read_text()) for path in found]


def tune(
    folder: Path, *arguments: str, out: str | None = "out", study: str = "study.yaml"
) -> subprocess.CompletedProcess[str]:
    script = str(ROOT / "runners" / "tune.py")
    places = ["--results", "results", "--development", "64", *(["--out", out] if out else [])]
    return subprocess.run(
        [sys.executable, script, study, *places, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
    )
