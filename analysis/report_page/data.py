"""All that the page's script needs, as one value that JSON can hold."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import findings, frames, marks
from analysis.criteria import CRITERIA, DEFAULT, METRICS
from analysis.frames import SETTING
from analysis.report_page import again, entries, seed_words
from analysis.report_page.curves import CURVES, Reader
from analysis.studies import Study
from analysis.style import colours, in_colour

MANY = 10
"""Settings from which on sentences are made for accuracy alone."""
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
    reader = Reader(study)
    by_metric = frames.by_metric(study, entries.SHARES, list(CRITERIA), reader)
    criteria = entries.present(frame := by_metric["accuracy"]) or list(DEFAULT)
    shown = {name: by_metric[name] for name in entries.metrics(by_metric) or ["accuracy"]}
    settings, methods = _settings(study, frame), _methods(frame)
    file, is_there = again.study_file(study, named)
    common = entries.Entries(study, criteria, shown, reader)
    found = _entries(common, frame, settings, methods)
    _colour(methods, found, reference or REFERENCE, highlight)
    return {
        "study": study.name,
        "criteria": [_criterion(name) for name in criteria],
        "metrics": [{"id": name, "words": METRICS[name].words} for name in shown],
        "curves": CURVES,
        "every": reader.room[0],
        "seed_curves": reader.room[1],
        "methods": methods,
        "settings": settings,
        "groups": _groups(methods),
        "entries": found,
        "families": _families(settings),
        "test_labels": "given" if (frame["judged_by"] != "").any() else "true",
        "seed_head": seed_words.head(criteria),
        "findings": _findings(shown, criteria),
        "terms": common.terms.values,
        "epochs": common.epochs.values,
        "command": [again.start(file), shlex.join(["--results", again.ELSEWHERE])],
        "file": file,
        "file_is_there": is_there,
    }


def _entries(
    common: entries.Entries, frame: pd.DataFrame,
    settings: Sequence[Mapping[str, Any]], methods: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:  # fmt: skip
    """One entry for every method in a setting that is planned, both by number."""
    places = [(setting["dataset"], setting["slug"]) for setting in settings]
    labels, found = [method["label"] for method in methods], []
    numbers = frame.reset_index().groupby([*SETTING, "label"], sort=False)["index"]
    for (dataset, slug, label), rows in numbers:
        place = {"method": labels.index(label), "setting": places.index((dataset, slug))}
        found.append(place | common.entry(rows.tolist()))
    return found


def _criterion(name: str) -> dict[str, str]:
    criterion = CRITERIA[name]
    words = "; ".join(filter(None, [criterion.words, criterion.diagnostic]))
    return {"id": name, "short": criterion.short, "words": words}


def _settings(study: Study, frame: pd.DataFrame) -> list[dict[str, Any]]:
    several = frame["dataset"].nunique() > 1
    found = []
    for (dataset, slug), rows in frame.groupby(SETTING, sort=False):
        noise = rows["noise_display"].iloc[0]
        rate, size = rows["rate"].dropna(), study.cells[rows.index[0]]["protocol"]["clean_subset"]
        found.append(
            {
                "dataset": dataset, "slug": slug, "stem": f"{dataset}__{slug}", "noise": noise,
                "name": f"{dataset}, {noise}" if several else noise,
                "rate": round(100 * float(rate.iloc[0]), 2) if len(rate) else None,
                "family": f"{size} {rows['family'].iloc[0]}", "size": size,
                "kind": rows["noise"].iloc[0],
                "only": again.only(**({"dataset": dataset} if several else {}), noise=slug),
            }
        )  # fmt: skip
    return found


def _families(settings: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Families of noise with several rates: `name` and the numbers of their settings by rate.

    Settings that differ in the size of the clean subset are of different families. Clean labels of
    the same data set and size are the rate 0 of each.
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
            (k, s)
            for k, s in rated
            if s["kind"] == "clean"
            and (s["dataset"], s["size"]) == (first["dataset"], first["size"])
        ]
        name = frames.without_rate(first["noise"], first["rate"] / 100)
        along = sorted(clean + mine, key=lambda pair: pair[1]["rate"])
        name = f"{first['dataset']}, {name}" if several else name
        found.append({"name": name, "settings": [k for k, _ in along]})
    return found


def _methods(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "label": row.label,
            "only": again.only(method=row.label),
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
    reference: str, highlight: Sequence[str],
) -> None:  # fmt: skip
    """Gives methods a colour and a dash: all of few; of many the reference, the named, the best."""
    labels = [method["label"] for method in methods]
    first = reference if reference in labels else labels[0]
    wins = [label for label, _ in Counter(_winners(methods, found)).most_common()]
    chosen = in_colour(labels, [first, *highlight], wins)
    given = colours(labels, chosen)
    for place, label in enumerate(chosen):
        mine = next(method for method in methods if method["label"] == label)
        # Black is the page's own colour of text, so that it shows in the dark too.
        colour = given[place % len(given)]
        mine["colour"] = "currentColor" if colour == "#000000" else colour
        mine["dash"] = ["", "6 2", "2 2"][place // len(given) % 3]


def _winners(methods: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Label of the best complete rival of every setting, by the first criterion and metric."""
    best: dict[int, tuple[int, str]] = {}
    for each in found:
        method = methods[each["method"]]
        value = each["values"][0][0]
        if value and value[-1] == each["planned"] and method["rival"]:
            here = (100 * value[0] + value[2], method["label"])
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
