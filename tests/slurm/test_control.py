"""What is in the queue is steered by typed commands: cancel, submit again, wait, watch, logs."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.helpers.cli import write_study
from tests.slurm.studies import LATER
from tests.slurm.submitters import Sent, study_of

pytestmark = pytest.mark.slurm


def test_cancelling_takes_what_is_this_studys_and_nothing_else(slurm, tmp_path):
    mine, other = study_of(slurm, tmp_path / "a", 3), study_of(slurm, tmp_path / "b", 2)
    mine.type(*LATER, "--only", "seed=0,1")
    mine.type(*LATER)
    other.type(*LATER)
    assert "3 queued" in mine.type("--plan")[0]
    out, _ = mine.type("--cancel", "--only", "seed=0")
    assert mine.states() == {"queued": 2, "failed": 1} and len(mine.rows()) == 2
    foreign = slurm.submit("true", "--hold", f"--job-name={mine.rows()[0].name}-1")
    out, _ = mine.type("--cancel")
    assert "cancelled: " in out and mine.rows() == []
    assert len(other.rows()) == 2 and slurm.state(foreign) == "PENDING"
    slurm.run("scancel", foreign)
    # A person has cancelled them: they are run again only when a person says so.
    assert mine.states() == {"failed": 3}
    out, _ = mine.type(*LATER)
    assert "nothing to submit" in out and mine.rows() == []
    mine.type(*LATER, "--retry-failed")
    assert mine.states() == {"queued": 3} and len(mine.rows()) == 3
    mine.type("--cancel")
    out, _ = mine.type("--cancel")
    assert "nothing is in the queue" in out
    other.type("--cancel")


def test_running_tasks_are_gone_when_the_command_that_cancels_them_ends(slurm, tmp_path):
    sent = study_of(slurm, tmp_path, 2, epochs=100_000)
    sent.type("--set", "slurm.cells_per_task=2", "--set", "slurm.cpus_per_task=2")
    slurm.wait_for(lambda: len(list(sent.results.glob("s/cells/*/checkpoint.pt"))) == 2, 60, "runs")
    assert sent.states() == {"running": 2}
    out, _ = sent.type("--set", "protocol.epochs=100000")
    assert "nothing to submit" in out
    _, err = sent.type("--cancel", "--only", "seed=0", code=1)
    assert "is left: it also runs cells that --only leaves out" in err and len(sent.rows()) == 1
    sent.type("--cancel")
    assert sent.rows() == [] and sent.states() == {"failed": 2}
    (noted,) = sent.results.glob("s/slurm/*/attempts/*")  # SLURM forgets it after a while
    assert '"what": "cancelled"' in noted.read_text().splitlines()[-1]
    assert len(list(sent.results.glob("s/cells/*/checkpoint.pt"))) == 2


def test_two_submitters_at_once_send_every_cell_once(slurm, tmp_path):
    sent = study_of(slurm, tmp_path, 8)
    runs = [sent.start(*LATER) for _ in range(3)]
    said = [run.ends(0, 2) for run in runs]
    codes = [run.process.returncode for run in runs]
    assert 0 in codes
    for code, (out, err) in zip(codes, said, strict=True):
        if code == 0:
            assert "submitted 8" in out or "nothing to submit" in out
        else:
            assert "another command is submitting this study" in err
    assert set(Counter(sent.queued_cells()).values()) == {1} and len(sent.queued_cells()) == 8
    sent.type("--cancel")


@pytest.fixture(scope="module")
def ended(slurm, tmp_path_factory) -> tuple[Sent, str, str]:
    """A study of which a good cell and a bad one have run; what --wait said, and --watch."""
    folder = tmp_path_factory.mktemp("ended")
    methods = ["cross_entropy", {"name": "misbehaving:Raises", "label": "raises"}]
    sent = Sent(slurm, folder, write_study(folder / "study.yaml", methods))
    waiting = sent.start("--wait")
    slurm.wait_for(lambda: list(sent.results.glob("s/slurm/*")), 60, "it is submitted")
    watching = sent.start("--watch")
    said, _ = waiting.ends(1)
    watched, _ = watching.ends()
    return sent, said, watched


def test_waiting_shows_the_progress_of_a_local_run(ended):
    _, said, _ = ended
    assert "[2/2]" in said and "FAILED: RuntimeError: no luck with this batch" in said
    assert "%" in said and "1 done, 1 failed, 0 running, 0 waiting" in said
    assert "1 of 2 cells done" in said


def test_watching_ends_when_all_cells_have_ended(ended):
    _, _, watched = ended
    assert "2 cells: 1 failed, 1 done" in watched
    assert "retries what failed (1)" in watched.splitlines()[-1]


def test_the_exit_code_of_waiting_speaks_of_the_selection(ended):
    sent, _, _ = ended
    out, _ = sent.type("--wait", "--only", "method=cross_entropy")
    assert "nothing to submit" in out and "1 of 1 cell done" in out
    _, err = sent.type("--wait", "--only", "method=raises", code=1)
    assert "failed before" in err


def test_logs_of_all_attempts_are_found_from_a_cells_name(ended):
    sent, _, _ = ended
    sent.type("--retry-failed", "--only", "method=raises", "--wait", code=1)
    (path,) = sent.results.glob("s/cells/*__raises__*")
    out, _ = sent.type("--logs", path.name)
    assert f"== {path / 'log.txt'}" in out and "no luck with this batch" in out
    folders = sorted(sent.results.glob("s/slurm/*"))
    assert len(folders) == 2
    for folder in folders:
        assert f"== {folder}/" in out
    assert out.count("_log.err") == out.count("_log.out") == 2
    part, _ = sent.type("--logs", "__raises__")
    assert part == out
    _, err = sent.type("--logs", "simulated", code=2)
    assert "fits 2 cells" in err
