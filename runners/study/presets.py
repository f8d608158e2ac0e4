"""The papers' own protocols, for the paper track: `protocol: {preset: NAME}`.

A preset sets what the paper's code sets; a study may name any of the keys and then wins. What a
preset cannot set is listed as a deviation. For all of them holds: the order is reshuffled every
epoch, images are normalised with the data set's own statistics, and no image of the test set is
ever used for training or for choosing an epoch.
"""

from __future__ import annotations

from typing import Any

from runners.study.problems import Problems

PRESETS: dict[str, dict[str, Any]] = {
    # Algan and Ulusoy 2021, arXiv 2103.10869, CIFAR-10; code gorkemalgan/MetaLabelNet 6ffdeb6.
    # Deviations: the clean images come out of the training part (the code takes half of the test
    # set), batches are shuffled (the code's are not), normalisation is not mean = sd = 0.5.
    "metalabelnet": {
        "network": "cnn8",  # model_getter.py:179-232
        "epochs": 120,  # main.py:25-30, stage2
        "batch_size": 128,
        "optimizer": "sgd",  # main.py:524, no Nesterov
        "lr": 0.01,  # utils.py:18-58
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": [41, 81],  # 0.01 up to epoch 40, 1e-3 up to 80, counted from 0
        "gamma": 0.1,
        "augment": "crop_flip_vflip",  # dataset.py:984-999, vertical flips included
        "clean_subset": 5000,  # main.py:25-30
        "noisy_val": 0.0,  # all noisy images are trained on
    },
    # Zhang and Sabuncu 2018, NeurIPS, as in AlanChou/Truncated-Loss main.py:30-43 (unofficial).
    # Deviations: pruning uses the current network, not the best one on test data. The loss is the
    # plain one; that repository's is `{name: gce, truncated: true}`.
    "gce": {
        "network": "resnet34",
        "epochs": 120,
        "batch_size": 128,
        "optimizer": "sgd",
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "schedule": "step",
        "milestones": [40, 80],
        "gamma": 0.1,
        "augment": "crop_flip",
        "clean_subset": 0,  # the method sees no clean image, so none is set aside
        "noisy_val": 0.0,
    },
    # Shu et al. 2019, NeurIPS; code xjtushujun/meta-weight-net MW-Net.py (the "stable" script).
    # Deviations: crops are padded with zeros (the code reflects), the clean images are those of
    # the seed and never in the training part (in the code the two overlap for seeds other than 1),
    # shortcuts of `resnet32` are option B (see networks/resnet.py).
    "mw_net": {
        "network": "resnet32",
        "epochs": 120,
        "batch_size": 100,
        "optimizer": "sgd",  # no Nesterov
        "lr": 0.1,
        "momentum": 0.9,
        "weight_decay": 5e-4,
        "schedule": "step",
        "milestones": [80, 100],
        "gamma": 0.1,
        "augment": "crop_flip",
        "clean_subset": 1000,
        "noisy_val": 0.0,
    },
    # Han et al. 2018, NeurIPS; code bhanML/Co-teaching main.py.
    # Deviations: cnn8 instead of the paper's 9-layer network with dropout, beta 1 stays at 0.9
    # (the code lowers it to 0.1 at epoch 80), images are normalised (the code's are not), the ramp
    # of the forget rate is the paper's (see methods/co_teaching.py).
    "co_teaching": {
        "network": "cnn8",
        "epochs": 200,
        "batch_size": 128,
        "optimizer": "adam",
        "lr": 1e-3,
        "weight_decay": 0.0,
        "schedule": "linear",
        "milestones": [80],  # then in a straight line to 0 at epoch 200
        "augment": "none",
        "clean_subset": 0,  # the method sees no clean image, so none is set aside
        "noisy_val": 0.0,
    },
}


_PHOTOGRAPHS: dict[str, Any] = {
    "network": "pretrained:resnet50",
    "batch_size": 32,
    "lr": 1e-3,
    "augment": "flip",  # dataset.py:944-953: the middle crop, in training too
}
OF_DATASET: dict[str, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    # Where a paper's protocol differs on a data set: the keys that do, and the data set's
    # parameters. Epochs are those of the method itself (the code's baselines have 10, 15 and 100);
    # beta and warm-up of the method are no part of a preset: see benchmarks/.
    "metalabelnet": {
        "clothing1m": (
            _PHOTOGRAPHS | {"epochs": 10, "milestones": [5], "clean_subset": 5000},
            {"fit": "stretch"},
        ),
        "food101n": (
            _PHOTOGRAPHS | {"epochs": 20, "milestones": [5, 10], "clean_subset": 10_000},
            {"fit": "stretch", "split": "metalabelnet"},
        ),
        "mini_webvision": (
            _PHOTOGRAPHS
            | {"network": "inception_resnet_v2", "batch_size": 25, "lr": 1e-2, "epochs": 30}
            | {"milestones": [12], "clean_subset": 1000},
            {"fit": "stretch", "split": "metalabelnet"},
        ),
    },
}


def with_preset(raw: dict[str, Any], problems: Problems) -> dict[str, Any]:
    """A study with its preset (if it names a known one) filled in: what it names itself wins.

    A study that names another schedule does not keep the preset's milestones.
    """
    named, axes = raw.get("protocol"), raw.get("axes")
    preset = named.get("preset") if isinstance(named, dict) else None
    if not isinstance(preset, str) or preset not in PRESETS or not isinstance(axes, dict):
        return raw
    of_dataset: dict[str | None, Any] = {**OF_DATASET.get(preset, {})}
    given = axes.get("dataset")
    entries = given if isinstance(given, list) else [given]
    names = {_name(entry) for entry in entries}
    if len(names) > 1 and names & of_dataset.keys():
        own = " and ".join(sorted(map(str, names)))
        allowed = f"a preset of its own for each of {own}: one data set a study"
        problems.refuse("protocol.preset", preset, allowed)
        names = {None}
    protocol, parameters = of_dataset.get(next(iter(names)), ({}, {}))
    preset_keys = PRESETS[preset] | protocol
    filled = {"hparams": "paper", **preset_keys, **named}
    if named.get("schedule", filled["schedule"]) != preset_keys["schedule"]:
        filled["milestones"] = named.get("milestones", [])
    if parameters:
        entries = [parameters | ({"name": e} if isinstance(e, str) else e) for e in entries]
        axes = axes | {"dataset": entries}
    return raw | {"protocol": filled, "axes": axes}


def _name(entry: Any) -> str | None:
    """The data set of an entry, if it names one."""
    name = entry.get("name") if isinstance(entry, dict) else entry
    return name if isinstance(name, str) else None
