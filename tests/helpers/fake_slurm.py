"""SLURM commands that only pretend: they take everything and start nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.helpers.cli import command, environment, write_study

SBATCH = r"""#!{python}
import re, sys
from pathlib import Path
if "--test-only" in sys.argv:
    sys.exit(0)
script = Path(sys.argv[1]).read_text()
elements = int(re.search(r"--array=0-(\d+)", script)[1]) + 1
name = re.search(r"--job-name=(\S+)", script)[1]
with open({queue!r}, "a+") as file:
    file.seek(0)
    number = len(set(line.partition("_")[0] for line in file)) + 1
    row = "|PENDING|Priority|N/A|N/A||" + name
    file.writelines(f"{{number}}_{{k}}{{row}}\n" for k in range(elements))
print("Submitted batch job", number)
"""
WITNESS = """
import atexit, json, os, sys, time
def tell():
    with open(os.environ["WITNESS"], "w") as file:
        names = ("torch", "submitit")
        json.dump({"cpu": time.process_time(), **{n: n in sys.modules for n in names}}, file)
atexit.register(tell)
"""


class Cluster:
    """A folder with commands that take everything and start nothing, and a study to send."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.queue = folder, folder / "queue.txt"
        self.queue.write_text("")
        (folder / "sitecustomize.py").write_text(WITNESS)
        (folder / "bin").mkdir()
        self.make("sbatch", SBATCH.format(python=sys.executable, queue=str(self.queue)))
        self.make("squeue", f"#!/bin/sh\nexec cat {self.queue}\n")
        self.make("scontrol", "#!/bin/sh\necho 'MaxArraySize = 1001'\n")
        for name in ("srun", "scancel"):
            self.make(name, "#!/bin/sh\nexit 1\n")
        self.study = write_study(folder / "study.yaml", ["cross_entropy"])
        self.results = folder / "results"

    def make(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, *arguments: str, path: str = "") -> subprocess.Popen[str]:
        path = path or os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return subprocess.Popen(
            command(self.study, self.results, "--backend", "slurm", *arguments),
            cwd=self.folder,
            env={**environment(self.folder), "PATH": path, "WITNESS": str(self.folder / "cpu")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments, path=path)
        try:
            printed = process.communicate(timeout=120)
        finally:
            process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, *printed)

    def witness(self) -> dict:
        return json.loads((self.folder / "cpu").read_text())
