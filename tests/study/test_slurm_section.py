"""The section `slurm` of a study: what is accepted, and what it becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from runners.slurm.task_spec import at_once
from runners.study.config import load_study
from runners.study.schema import Run, keys
from runners.study.slurm_section import Slurm
from runners.system.errors import ConfigError

STUDY = "study: s\naxes: {dataset: simulated, noise: clean, method: gce, seed: 1}\n"


def section(folder: Path, text: str = "", *overrides: str) -> Slurm:
    (folder / "s.yaml").write_text(f"{STUDY}{text}\n")
    return load_study(folder / "s.yaml", overrides).slurm


def test_every_key_has_a_default_and_a_description():
    assert Slurm() == Slurm.model_validate({})
    assert all(field.description for field in Slurm.model_fields.values())
    assert {f"slurm.{name}" for name in Slurm.model_fields} <= set(keys())


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("30", 30), ('"30"', 30), ('"12:00:00"', 720), ('"1-00:00"', 1440),
     ('"90:30"', 91), ("1-12", 2160), ("0:00:01", 1), ("12:00:00", 720),
     ("1:00:00", 60), ("90:30", 91)],
)  # fmt: skip
def test_a_time_is_whole_minutes_however_it_is_written(tmp_path, text, minutes):
    assert section(tmp_path, f"slurm: {{time: {text}}}").time == minutes


@pytest.mark.parametrize(
    ("text", "shown"),
    [("0", "0"), ("-1", "-1"),
     ("true", "true"), ("1.5", "1.5"), ("infinite", '"infinite"'), ('"0:00"', '"0:00"'),
     ('"400-0"', '"400-0"'), ("null", "null"), ('"1-"', '"1-"'), ("527041", "527041")],
)  # fmt: skip
def test_any_other_time_is_refused(tmp_path, text, shown):
    with pytest.raises(ConfigError) as caught:
        section(tmp_path, f"slurm: {{time: {text}}}")
    (sentence,) = caught.value.problems
    assert f"slurm.time: {shown} is not allowed: must be a whole number of minutes" in sentence


def test_one_line_is_a_list_of_lines_and_a_bare_number_is_megabytes(tmp_path):
    made = section(tmp_path, "slurm: {setup: module load cuda, mem: 16000}")
    assert (made.setup, made.mem) == (["module load cuda"], "16000M")
    assert section(tmp_path, "slurm: {mem: 8G}").mem == "8G"


def test_options_of_sbatch_keep_their_types(tmp_path):
    text = "slurm: {additional: {begin: now+1hour, exclusive: true, nice: 10, reservation: lab}}"
    assert section(tmp_path, text).additional == {
        "begin": "now+1hour",
        "exclusive": True,
        "nice": 10,
        "reservation": "lab",
    }


def test_set_reaches_every_key_also_of_a_section_that_the_file_leaves_empty(tmp_path):
    given = ["slurm.partition=gpu", "slurm.time='1-0'", "slurm.setup=[a, b]", "run.backend=slurm"]
    for text in ("", "slurm:", "slurm: {partition: cpu}"):
        made = section(tmp_path, text, *given)
        assert (made.partition, made.time, made.setup) == ("gpu", 1440, ["a", "b"])


def test_a_cuda_study_needs_a_gpu_only_where_slurm_is_asked(tmp_path):
    assert section(tmp_path, "run: {device: cuda}").gpus_per_node == 0
    for request in ("slurm.gpus_per_node=1", "slurm.gres=gpu:1"):
        section(tmp_path, "run: {device: cuda, backend: slurm}", request)


@pytest.mark.parametrize("option", ["no-requ", "test_onl", "o", "gpu"])
def test_an_option_that_sbatch_would_complete_to_one_of_the_suites_is_refused(tmp_path, option):
    with pytest.raises(ConfigError) as caught:
        section(tmp_path, f"slurm: {{additional: {{{option}: true}}}}")
    assert f"slurm.additional.{option}: not allowed" in str(caught.value)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [("gpu", 1), ("gpu:3", 3), ("gpu:a100", 1), ("gpu:a100:4(S:0)", 4), ("shard:8", 1),
     ("nvme:2,gpu:2", 2), ("gpu:a100:1,gpu:h100:1", 2)],
)  # fmt: skip
def test_two_cells_run_at_once_on_each_gpu_of_a_raw_request(tmp_path, gres, gpus):
    assert (
        at_once(Run(cells_per_gpu=2), section(tmp_path, f'slurm: {{gres: "{gres}"}}')) == 2 * gpus
    )
