"""No text, however strange, makes the loading of a study hang or fail without a sentence."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from runners.study.config import load_study
from runners.study.grid import cells
from runners.system.errors import ConfigError

STUDY = "study: s\naxes: {dataset: simulated, noise: clean, method: gce, seed: 1}\n"


@pytest.mark.parametrize(
    "content",
    [b"study: \xff\n", b"study: a\x07b\n", b"a: &a [*a]\n", b"[" * 900_000, b"x" * 1_000_001,
     b"study: 0x" + b"f" * 9000, b"study: !!int abc\n", b"{[a]: 1}", b"a: 1\n---\nb: 2\n"],
    ids=["latin", "control", "self", "deep", "size", "number", "type", "key", "documents"],
)  # fmt: skip
def test_hostile_files_are_one_sentence(tmp_path, content):
    path = tmp_path / "s.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_study(path, [])
    (sentence,) = caught.value.problems
    assert sentence.startswith(f"{path}: ") and len(sentence) < len(str(path)) + 200


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["1e-4", "gce", "mw_net", "symmetric", "clean", "simulated", 10**12, 0.4])
    | st.sampled_from(["slurm", "cuda", "1-0", "0:30", "8G"])
)  # fmt: skip
names = st.sampled_from(
    ["name", "label", "rate", "q", "study", "axes", "dataset", "noise", "method", "seed", "lr",
     "protocol", "run", "epochs", "clean_subset", "clean_val", "milestones", "schedule", "preset"]
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(names | st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    ["study", "axes", "axes.dataset", "axes.noise", "axes.method", "axes.seed", "protocol", "run",
     "protocol.preset", "protocol.epochs", "protocol.milestones", "protocol.clean_subset",
     "protocol.clean_val", "protocol.noisy_val", "protocol.network", "run.workers", "run.data_root",
     "run.backend", "slurm", "slurm.time", "slurm.mem", "slurm.gres", "slurm.gpus_per_node",
     "slurm.setup", "slurm.additional"]
)  # fmt: skip


@settings(max_examples=300, deadline=5000, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(keys, values), min_size=1, max_size=3))
def test_any_change_of_a_study_is_accepted_or_explained(tmp_path, changes):
    raw = YAML(typ="safe").load(STUDY)
    for key, value in changes:
        section, _, inner = key.partition(".")
        if inner:
            part = raw.get(section)
            raw[section] = {**(part if isinstance(part, dict) else {}), inner: value}
        else:
            raw[section] = value
    text = io.StringIO()
    YAML(typ="safe", pure=True).dump(raw, text)
    explained_or_accepted(tmp_path, text.getvalue())


@settings(max_examples=300, deadline=5000, suppress_health_check=list(HealthCheck))
@given(
    start=st.integers(0, len(STUDY)),
    length=st.integers(0, 12),
    text=st.text(alphabet="abe019 .:-[]{},&*!|>'\"#%@?~\n\t<=", max_size=12),
)
def test_any_damage_to_the_text_is_accepted_or_explained(tmp_path, start, length, text):
    explained_or_accepted(tmp_path, STUDY[:start] + text + STUDY[start + length :])


@pytest.mark.parametrize("text", ["!" * 900_000, f"study: !{'x' * 900_000} a", "a" * 900_000])
def test_a_sentence_on_a_file_is_short_however_long_what_it_complains_of(text, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_study(path, [], tuned_folder=tmp_path)
    assert all(len(sentence) < 300 + len(str(path)) for sentence in caught.value.problems)


def explained_or_accepted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        study = load_study(path, [], tuned_folder=tmp_path)
    except ConfigError as error:
        assert error.problems and all("\n" not in sentence for sentence in error.problems)
    else:
        assert cells(study)
