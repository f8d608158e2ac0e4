"""GPUs, played by devices that torch does not see: who gets which, and how many cells share one."""

from __future__ import annotations

import json

import pytest

from tests.helpers.cli import write_study
from tests.slurm.accidents import OnSlurm, labelled

pytestmark = pytest.mark.slurm

SINGLE = ("single-1", "single-2")
SHARING = tuple(f"sharing-{number}" for number in range(8))
AUTO = ["--set", "run.device=auto"]


@pytest.fixture(scope="module")
def on(slurm, tmp_path_factory) -> OnSlurm:
    """After tasks with one GPU each: two of one cell, two of four cells, one that insists."""
    folder = tmp_path_factory.mktemp("gpus")
    grid = labelled(*SINGLE, *SHARING, "cuda")
    made = OnSlurm(slurm, folder, write_study(folder / "study.yaml", grid, epochs=2))
    two = ["--set", "run.cells_per_gpu=2", "--set", "slurm.cells_per_task=4"]
    raw = ["--set", "slurm.gres=gpu:1"]
    plain = ["--set", "slurm.gpus_per_node=1"]
    jobs = made.submit(*AUTO, "--only", f"method={','.join(SINGLE)}", *plain, MEET="2")
    jobs += made.submit(*AUTO, "--only", f"method={','.join(SHARING)}", *raw, *two, MEET="4")
    jobs += made.submit("--set", "run.device=cuda", "--only", "method=cuda", *raw)
    assert len(jobs) == 5 and set(made.wait_for_end(*jobs).values()) == {"COMPLETED"}
    return made


def of(on: OnSlurm, labels: tuple[str, ...], key: str) -> dict[str, set[str]]:
    """Job -> values that its cells have noted."""
    found: dict[str, set[str]] = {}
    for entry in on.entries():
        if entry["label"] in labels:
            found.setdefault(entry["job"], set()).add(str(entry[key]))
    return found


@pytest.mark.parametrize("labels", [SINGLE, SHARING], ids=["gpus_per_node", "gres"])
def test_every_task_has_its_own_gpu(on, labels):
    gpus = of(on, labels, "gpu")
    assert len(gpus) == 2 and sorted(map(sorted, gpus.values())) == [["0"], ["1"]]


def test_the_cells_of_a_task_share_its_gpu_two_at_a_time(on):
    for job, cells in of(on, SHARING, "cell").items():
        entries = sorted((e for e in on.entries() if e["job"] == job), key=lambda e: e["when"])
        assert len(cells) == 4 and len({entry["pid"] for entry in entries}) == 2
        spans = [[e["when"] for e in entries if e["cell"] == cell] for cell in cells]
        events = [(min(span), 1) for span in spans] + [(max(span), -1) for span in spans]
        running, most = 0, 0
        for _, change in sorted(events):
            running += change
            most = max(most, running)
        assert most == 2


def test_auto_takes_the_cpu_and_warns_in_log_record_and_status(on):
    warning = "torch sees no GPU although the task was given one; the CPU is used"
    said = on.states()
    for label in (*SINGLE, *SHARING):
        assert f"WARNING {warning}" in on.cell(label).log.read_text()
        record = json.loads(on.cell(label).record.read_text())
        assert record["provenance"]["warnings"] == [warning]
        assert record["provenance"]["device"] == "cpu"
        assert said[label][0] == "done" and said[label][1].endswith(f"warning: {warning}")


def test_cuda_fails_in_the_task_with_the_reason(on):
    state, note = on.states()["cuda"]
    assert state == "failed"
    assert note.startswith("run.device is cuda and torch sees no GPU in this task: must be auto")
    again = on.type("--backend", "slurm")
    assert again.returncode == 0 and again.stdout.splitlines()[-1] == "nothing to submit"
