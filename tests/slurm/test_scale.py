"""Ten thousand cells are submitted and looked at in seconds, on SLURM commands that only pretend.

Also what a person reads where SLURM is not there, or has no configuration.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess

import pytest

from runners import run_grid
from runners.slurm import submit
from runners.slurm.manifest import Sent, read_all
from tests.helpers.cli import command
from tests.helpers.fake_slurm import Cluster
from tests.helpers.lease_processes import wait_for

SEEDS = 10_000


@pytest.fixture
def cluster(tmp_path) -> Cluster:
    return Cluster(tmp_path)


def test_ten_thousand_cells_are_submitted_in_20_s_and_looked_at_in_5(cluster):
    seeds = ["--set", f"axes.seed={SEEDS}"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    sent = cluster.run(*seeds)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # What a machine would take that has nothing else to do.
    took = sum(submit.LOOKS_AFTER_S) + sum(after[:2]) - sum(before[:2])
    assert sent.returncode == 0, sent.stderr
    assert "submitted 10000 cells in 10000 tasks of 10 arrays" in sent.stdout
    assert took < 20 and not cluster.witness()["torch"]
    status = cluster.run(*seeds, "--status", "--cells")
    assert status.stdout.count("waits (Priority)") == SEEDS
    assert "10000 cells: 10000 queued" in status.stdout
    cost = cluster.witness()
    assert not cost["submitit"]
    assert cost["cpu"] < 5 and not cost["torch"]
    print(f"submitted in {took:.1f} s, looked at in {cost['cpu']:.1f} s")
    again = cluster.run(*seeds, "--only", "seed=0,9999")
    assert again.returncode == 0 and "nothing to submit" in again.stdout


@pytest.mark.parametrize("left", [["squeue", "scontrol", "scancel", "srun"], ["sbatch"], []])
def test_a_command_that_is_not_on_the_path_is_one_sentence_and_nothing_is_written(cluster, left):
    for path in (cluster.folder / "bin").iterdir():
        if path.name not in left:
            path.unlink()
    run = cluster.run(path=str(cluster.folder / "bin"))
    missing = "squeue" if "sbatch" in left else "sbatch"
    assert run.returncode == 2 and not cluster.results.exists()
    assert run.stderr == (
        f"run.backend: slurm cannot be used: {missing} is not on the path: must be run where "
        "SLURM's commands are\n"
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dry-run", "--backend", "local"], "--dry-run: run.backend is local, which sends"),
        (["--logs", "", "--set", "axes.seed=2"], "--logs: '' is not allowed: it fits 2 cells"),
    ],
    ids=["dry-run", "logs"],
)
def test_options_that_only_show_run_and_send_nothing(cluster, arguments, words):
    run = cluster.run(*arguments)
    assert run.returncode == 2 and run.stderr.startswith(words), run.stdout + run.stderr
    assert not cluster.results.exists() and cluster.queue.read_text() == ""


def test_who_stops_waiting_is_told_that_jobs_go_on(cluster):
    calls = cluster.folder / "calls"
    cluster.make("squeue", f"#!/bin/sh\necho >> {calls}\nexec cat {cluster.queue}\n")
    process = cluster.start("--wait", "--set", "axes.seed=2", "--set", "slurm.poll_seconds=1")
    try:
        while not process.stdout.readline().startswith("cancel: "):  # the last line before it waits
            assert process.poll() is None
        before = calls.stat().st_size
        wait_for(lambda: calls.stat().st_size > before, 60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130 and "no longer waiting; jobs go on: python" in said
    assert "--watch; end them: python" in said and said.rstrip().endswith("--cancel")


def test_slurm_without_a_configuration_is_one_sentence_and_nothing_is_written(cluster):
    lines = ("error: fetch_config: DNS SRV lookup failed", "fatal: Could not establish a "
             "configuration source")  # fmt: skip
    for name in ("sbatch", "squeue", "scontrol"):
        said = "\n".join(f"echo '{name}: {line}' >&2" for line in lines)
        cluster.make(name, f"#!/bin/sh\n{said}\nexit 1\n")
    run = cluster.run()
    assert run.returncode == 2 and not cluster.results.exists()
    (line,) = run.stderr.splitlines()
    assert "SLURM has no configuration here (scontrol: fatal: Could not establish" in line
    assert "SLURM_CONF" in line


@pytest.fixture
def here(cluster, monkeypatch):
    """The cluster and a function that types a command in this process, without pauses."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(cluster.folder / "bin"), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(cluster.folder))  # a submission adds to it
    monkeypatch.setattr(submit, "BACK_OFF_S", (0.0, 0.0))
    monkeypatch.setattr(submit, "LOOKS_AFTER_S", (0.0,))

    def type_(*arguments: str) -> int:
        words = command(cluster.study, cluster.results, "--backend", "slurm", *arguments)[1:]
        monkeypatch.setattr("sys.argv", words)
        return run_grid.main(words[1:])

    return type_


DOWN = """#!/bin/sh
[ "$1" = --test-only ] && exit 0
echo "sbatch: error: Batch job submission failed: Unable to contact slurm controller" >&2
exit 1
"""


def test_a_controller_that_goes_while_sbatch_runs_is_tried_again_and_then_said(
    cluster, here, capsys
):
    good = (cluster.folder / "bin" / "sbatch").read_text()
    cluster.make("sbatch", DOWN)
    assert here("--set", "axes.seed=3") == 1
    said = capsys.readouterr().err
    assert said.count("retrying in") == 2 and said.count("Unable to contact") == 3
    assert "what was sent is noted, resume later with: python" in said.splitlines()[-1]
    (made,) = read_all(cluster.results / "s").readable
    assert [array.state for array in made.arrays] == [Sent.SENDING]
    cluster.make("sbatch", good)
    assert here("--set", "axes.seed=3") == 0
    assert "submitted 3 cells" in capsys.readouterr().out
    first, second = read_all(cluster.results / "s").readable
    assert {a.state for a in first.arrays} == {Sent.NEVER}
    assert {a.state for a in second.arrays} == {Sent.SUBMITTED}


@pytest.mark.parametrize(
    ("words", "code", "end"),
    [
        ("QOSMaxSubmitJobPerUserLimit", 1, "send the rest later with: python "),
        ("Invalid qos", 2, "; 1 were sent before, the same command sends the rest"),
    ],
)
def test_what_was_sent_before_a_refusal_is_kept_and_said(cluster, here, capsys, words, code, end):
    good = (cluster.folder / "bin" / "sbatch").read_text()
    full = f"if Path({str(cluster.queue)!r}).read_text():\n    sys.exit({words!r})\n"
    cluster.make("sbatch", good.replace("script =", full + "script ="))
    cluster.make("scontrol", "#!/bin/sh\necho 'MaxArraySize = 3'\n")
    assert here("--set", "axes.seed=6") == code
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "warning" not in line)
    assert end in line and "slurm.qos" in line
    cluster.make("sbatch", good)
    assert here("--set", "axes.seed=6") == 0
    assert "6 cells: 4 missing, 2 queued\nsubmitting 4 cells" in capsys.readouterr().out


ROOM = """    elements = int(re.search(r"--array=0-([0-9]+)", sys.stdin.read())[1]) + 1
    sys.exit("QOSMaxSubmitJobPerUserLimit" if elements > {room} else 0)"""


@pytest.mark.parametrize("room", [2, 37, 99, 100])
def test_as_many_tasks_are_sent_as_the_user_may_queue(cluster, here, capsys, room):
    good = (cluster.folder / "bin" / "sbatch").read_text()
    cluster.make("sbatch", good.replace("    sys.exit(0)", ROOM.format(room=room)))
    assert here("--set", "axes.seed=100") == int(room < 100)
    out, err = capsys.readouterr()
    assert f"submitted {room} cells in {room} tasks of 1 array\n" in out
    assert len(cluster.queue.read_text().splitlines()) == room
    assert room == 100 or " not sent: SLURM takes no more" in err
    (made,) = read_all(cluster.results / "s").readable
    assert len(json.loads((made.folder / "orders.json").read_text())["jobs"]) == room


def test_what_was_sent_to_slurm_is_suggested_to_go_on_there_whoever_asks(
    cluster, here, capsys, monkeypatch
):
    words = [*command(cluster.study, cluster.results)[1:], "--set", "axes.seed=3", "--status"]

    def suggested() -> list[str]:
        monkeypatch.setattr("sys.argv", words)
        assert run_grid.main(words[1:]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if "python " in line]

    (before,) = suggested()
    assert before.startswith("next: python ") and "--backend" not in before
    assert here("--set", "axes.seed=2") == 0
    capsys.readouterr()
    (queued,) = suggested()
    assert queued.endswith(" --backend=slurm --watch")
    cluster.queue.write_text("")  # all are lost
    assert all(" --backend=slurm " in line for line in suggested())


def test_results_that_other_machines_cannot_see_are_warned_of_with_the_reason(
    cluster, here, capsys
):
    shown = ["df", "--output=fstype", str(cluster.folder)]
    kind = subprocess.run(shown, capture_output=True, text=True).stdout.split()[-1]
    assert here("--set", "axes.seed=2") == 0
    warned = f"is on a file system of type {kind}, which nodes other" in capsys.readouterr().err
    assert warned != kind.startswith(submit.SHARED)


def test_status_names_a_manifest_that_cannot_be_read(cluster, here, capsys):
    assert here("--set", "axes.seed=2") == 0
    (path,) = cluster.results.glob("s/slurm/*/manifest.json")
    path.write_text("{")
    capsys.readouterr()
    assert here("--set", "axes.seed=2", "--status") == 0
    assert f"warning: {path} cannot be read" in capsys.readouterr().out


def test_a_dry_run_prints_the_script_and_sends_and_writes_nothing(cluster):
    settings = ["slurm.partition=gpu", "slurm.gpus_per_node=1", "slurm.max_running=3"]
    more = ["slurm.mem=8G", "slurm.time='2:00:00'", "slurm.setup=[module load cuda]"]
    given = [word for setting in [*settings, *more] for word in ("--set", setting)]
    run = cluster.run("--dry-run", "--set", "axes.seed=7", *given)
    assert run.returncode == 0, run.stderr
    for words in ("--array=0-6%3", "--partition=gpu", "--gpus-per-node=1", "--mem=8G",
                  "--time=120", "--signal=USR2@90"):  # fmt: skip
        assert f"#SBATCH {words}\n" in run.stdout
    assert run.stdout.index("module load cuda") < run.stdout.index("\nsrun ")
    assert not cluster.results.exists() and cluster.queue.read_text() == ""
