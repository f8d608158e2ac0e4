"""All that the page's script needs, as one value that JSON can hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import findings, frames, marks
from analysis.criteria import CRITERIA, DEFAULT, METRICS
from analysis.report_page import again, entries, seed_words
from analysis.report_page.curves import CURVES
from analysis.studies import Study
from analysis.style import COLOURS, in_colour

MANY = 10
"""Settings from which on sentences are made for accuracy alone."""
SETTING = ["dataset", "noise_slug"]
SHORT = 20
"""Letters from which on a name beside a figure is cut off."""
REFERENCE = "cross_entropy"
ONLY_ACCURACY = "Of so many settings, sentences are made for test accuracy alone."
NOTHING = "Nothing can be compared yet: no setting has two methods with all their seeds finished."


def payload(
    study: Study, reference: str | None, highlight: Sequence[str], named: Path | None
) -> dict[str, Any]:
    """The study as the page's script reads it; see `entries.entry` for most of it.

    Args:
        study: the study, finished or not.
        reference: label of a method that is never grey; None for the default.
        highlight: further such labels.
        named: the study file, where the user has named one.
    """
    by_metric = {metric: frames.cells(study, metric) for metric in entries.SHARES}
    frame = by_metric["accuracy"]
    criteria = entries.present(frame) or list(DEFAULT)
    shown = {name: by_metric[name] for name in entries.metrics(by_metric) or ["accuracy"]}
    settings, methods = _settings(frame), _methods(frame)
    places = [(setting["dataset"], setting["slug"]) for setting in settings]
    file, is_there = again.study_file(study, named)
    common, found = _entries(study, shown, criteria, frame)
    for each in found:
        mine = frame.loc[each.pop("first")]
        each["method"] = [method["label"] for method in methods].index(mine["label"])
        each["setting"] = places.index((mine["dataset"], mine["noise_slug"]))
        each["command"] = again.command(study, file, mine)
    _colour(methods, found, reference or REFERENCE, highlight, criteria[0])
    return {
        "study": study.name,
        "criteria": [_criterion(name) for name in criteria],
        "metrics": [{"id": name, "words": METRICS[name].words} for name in shown],
        "curves": CURVES,
        "every": common.room[0],
        "seed_curves": common.room[1],
        "methods": methods,
        "settings": settings,
        "groups": _groups(methods),
        "entries": found,
        "families": _families(settings),
        "seed_head": seed_words.head(criteria),
        "findings": _findings(shown, criteria),
        "protocols": common.protocols.values,
        "origins": common.origins.values,
        "file": file,
        "file_is_there": is_there,
    }


def _entries(
    study: Study, shown: Mapping[str, pd.DataFrame], criteria: Sequence[str], frame: pd.DataFrame
) -> tuple[entries.Entries, list[dict[str, Any]]]:
    """One entry for every method in a setting, with the number of its `first` cell."""
    groups = [rows for _, rows in frame.groupby([*SETTING, "label"], sort=False)]
    common = entries.Entries(study, criteria, len(groups))
    found = []
    for rows in groups:
        cells = [study.cells[k] for k in rows.index]
        of_metrics = {metric: whole.loc[rows.index] for metric, whole in shown.items()}
        made = common.entry(cells, {"accuracy": rows} | of_metrics)
        found.append(made | {"first": rows.index[0]})
    return common, found


def _criterion(name: str) -> dict[str, str]:
    criterion = CRITERIA[name]
    words = "; ".join(filter(None, [criterion.words, criterion.diagnostic]))
    return {"id": name, "short": criterion.short, "words": words}


def _settings(frame: pd.DataFrame) -> list[dict[str, Any]]:
    several = frame["dataset"].nunique() > 1
    found = []
    for (dataset, slug), rows in frame.groupby(SETTING, sort=False):
        noise = rows["noise_display"].iloc[0]
        rate = rows["rate"].dropna()
        found.append(
            {
                "dataset": dataset, "slug": slug, "noise": noise,
                "name": f"{dataset}, {noise}" if several else noise,
                "rate": round(100 * float(rate.iloc[0]), 2) if len(rate) else None,
                "family": rows["family"].iloc[0], "kind": rows["noise"].iloc[0],
            }
        )  # fmt: skip
    return found


def _families(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Families of noise with several rates: `name` and the numbers of their settings by rate.

    Clean labels of the same data set are the rate 0 of each.
    """
    rated = [(k, s) for k, s in enumerate(settings) if s["rate"] is not None]
    several = len({setting["dataset"] for setting in settings}) > 1
    found = []
    for family in dict.fromkeys(s["family"] for _, s in rated if s["kind"] != "clean"):
        mine = [(k, s) for k, s in rated if s["family"] == family]
        if len({s["rate"] for _, s in mine}) < 2:
            continue
        first = mine[0][1]
        clean = [
            (k, s) for k, s in rated if s["kind"] == "clean" and s["dataset"] == first["dataset"]
        ]
        name = first["kind"].replace("_", " ").capitalize()
        along = sorted(clean + mine, key=lambda pair: pair[1]["rate"])
        name = f"{first['dataset']}, {name}" if several else name
        found.append({"name": name, "settings": [k for k, _ in along]})
    return found


def _methods(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "label": row.label,
            "name": (name := f"{row.display}{marks.marks(row.privileges)}"),
            "short": name if len(name) < SHORT else f"{name[: SHORT - 2]}…",
            "group": _group(row.privileges),
            "rival": entries.is_rival(row.privileges),
        }
        for row in frame.drop_duplicates("label").itertuples()
    ]


def _group(privileges: Sequence[str]) -> str:
    told = [marks.GROUPS.get(name, name) for name in privileges]
    return f"with {' and '.join(told)}" if told else "with noisy labels alone"


def _groups(methods: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(method["group"] for method in methods))


def _colour(
    methods: list[dict[str, Any]], found: Sequence[Mapping[str, Any]],
    reference: str, highlight: Sequence[str], criterion: str,
) -> None:  # fmt: skip
    """Gives methods a colour and a dash: all of few; of many the reference, the named, the best."""
    labels = [method["label"] for method in methods]
    first = reference if reference in labels else labels[0]
    wins = [label for label, _ in Counter(_winners(methods, found, criterion)).most_common()]
    chosen = in_colour(labels, [first, *highlight], wins)
    for place, label in enumerate(chosen):
        mine = next(method for method in methods if method["label"] == label)
        # Black is the page's own colour of text, so that it shows in the dark too.
        colour = COLOURS[place % len(COLOURS)]
        mine["colour"] = "currentColor" if colour == "#000000" else colour
        mine["dash"] = ["", "6 2", "2 2"][place // len(COLOURS) % 3]


def _winners(
    methods: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], criterion: str
) -> list[str]:
    """Label of the best complete rival of every setting, by accuracy."""
    best: dict[int, tuple[float, str]] = {}
    for each in found:
        method = methods[each["method"]]
        value = each["values"].get(criterion, {}).get("accuracy")
        if value and value[4] and method["rival"]:
            here = (value[1], method["label"])
            best[each["setting"]] = max(best.get(each["setting"], here), here)
    return [label for _, label in best.values()]


def _findings(
    shown: Mapping[str, pd.DataFrame], criteria: Sequence[str]
) -> dict[str, dict[str, list[str]]]:
    """Criterion -> metric -> sentences; of many settings only those of accuracy."""
    several = next(iter(shown.values())).groupby(SETTING).ngroups > MANY
    made = {"accuracy": shown["accuracy"]} if several and "accuracy" in shown else shown
    return {
        name: {metric: [ONLY_ACCURACY] for metric in shown}
        | {m: findings.sentences(frame, name) or [NOTHING] for m, frame in made.items()}
        for name in criteria
    }


def as_json(value: Any) -> str:
    """JSON that may stand inside a `<script>`: nothing in it can end or open an element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
