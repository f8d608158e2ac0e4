"""The sentences below a table: what its numbers are, what its marks mean, what to beware of."""

from __future__ import annotations

import pandas as pd

from analysis import limits
from analysis.criteria import CRITERIA, METRICS
from analysis.marks import FAILED, STALE, TUNED_ELSEWHERE, UNTUNED, privilege_legend
from analysis.seed_statistics import summary

PROTOCOL = {"network": "{}", "epochs": "{:,.0f} epochs", "batch_size": "batch size {:,.0f}"}
"""What a caption names of the protocol, and how."""
MOST_FAILED = 5
"""Failed cells that a note names."""
CLASS_DEPENDENT = ("asymmetric", "pair_flip")


def below(
    frame: pd.DataFrame,
    criteria: list[str],
    metric: str,
    standing: str,
    wants_tuned: bool,
    preset: str | None,
) -> list[str]:
    """All notes of a table over `frame` (see `frames.cells`), most needed first.

    Args:
        frame: the cells of the table.
        criteria: names of the criteria that the table shows.
        metric: name of what it shows of them.
        standing: the sentence on bold and the other marks of entries.
        wants_tuned: whether the study asked for tuned hyper-parameters.
        preset: name of the paper track's preset, if the study is on it.
    """
    said = [f"{_numbers(frame, criteria, metric)} {_protocol(frame)}", standing]
    said += [f"Marks: {'; '.join(legend)}."] if (legend := privilege_legend(frame)) else []
    if frame["stale"].any():
        how = ["under other code"] * bool(frame["other_code"].any())
        how += ["on other data or label files than today's"] * bool(frame["outdated"].any())
        said.append(f"{STALE} at least one of these cells is stale: it ran {' or '.join(how)}.")
    said += _failed(frame)
    said += [*_hyperparameters(frame, wants_tuned, preset), *_tuning(frame)]
    said += [*_own_data(frame), *_provenance(frame), *_warnings(frame, criteria)]
    said += [sentence] if (sentence := limits.of_seeds(frame, criteria[0])) else []
    return said + [note for name in criteria for note in _ensembles(frame, name)]


def _failed(frame: pd.DataFrame) -> list[str]:
    """Which cells have failed, with their reasons."""
    rows = frame[frame["failed"].notna()]
    texts = [
        f"{row.dataset}, {row.noise_display}, {row.display}, seed {row.seed}: "
        f"{row.failed or 'it does not say why'}"
        for row in rows.head(MOST_FAILED).itertuples()
    ]
    more = f"; and {len(rows) - MOST_FAILED} more" if len(rows) > MOST_FAILED else ""
    return [f"{FAILED} a cell has failed: {'; '.join(texts)}{more}."] if texts else []


def _numbers(frame: pd.DataFrame, criteria: list[str], metric: str) -> str:
    planned = frame.groupby(["dataset", "noise_slug", "label"]).size()
    words = "; ".join(
        f"{CRITERIA[name].short}: {CRITERIA[name].words}" if len(criteria) > 1 else
        CRITERIA[name].words for name in criteria
    )  # fmt: skip
    if planned.nunique() > 1:
        spread = "± is the sample standard deviation over n seeds"
    elif planned.iloc[0] == 1:
        spread = "n = 1 seed"
    else:
        spread = f"n = {planned.iloc[0]} seeds, ± is the sample standard deviation"
    finished = "" if frame["done"].all() else "; in brackets the seeds finished of those planned"
    shown = METRICS[metric]
    what = shown.words[0].upper() + shown.words[1:]
    of_what = words if shown.by_criterion else shown.meaning
    return f"{what} in {shown.unit} ({of_what}); {spread}{finished}."


def _protocol(frame: pd.DataFrame) -> str:
    """Network, length, batch size and clean subset, by data set where these differ."""
    texts: dict[str, list[str]] = {}
    for dataset, rows in frame.groupby("dataset", sort=False):
        first = rows.iloc[0]
        sizes = rows.loc[rows["clean_subset"] > 0, "clean_subset"].unique()
        parts = [
            form.format(first[name])
            for name, form in PROTOCOL.items()
            if isinstance(first[name], str) or pd.notna(first[name])
        ]
        if len(sizes):
            parts.append(f"clean subset of {' or '.join(f'{int(n):,}' for n in sizes)}")
        text = ", ".join(parts)
        texts.setdefault(text, []).append(str(dataset))
    if len(texts) == 1:
        return f"{next(iter(texts))}."
    return "; ".join(f"{', '.join(names)}: {text}" for text, names in texts.items()) + "."


def _tuning(frame: pd.DataFrame) -> list[str]:
    """Values that were tuned under other conditions, or with budgets that differ."""
    said = []
    elsewhere = frame[frame["tuned_at"] != ""]
    for text, rows in elsewhere.groupby("tuned_at", sort=False):
        said.append(f"{TUNED_ELSEWHERE} tuned at {text}: {_names(rows)}.")
    budgets = list(frame[frame["budget"] != ""].groupby("budget", sort=False))
    if len(budgets) > 1:
        texts = [f"{budget} ({_names(rows)})" for budget, rows in budgets]
        said.append(f"Tuning budgets differ: {'; '.join(texts)}.")
    return said


def _names(rows: pd.DataFrame) -> str:
    return ", ".join(rows["display"].drop_duplicates())


def _own_data(frame: pd.DataFrame) -> list[str]:
    """What nobody knows of data without true labels."""
    said = []
    for dataset in frame.loc[frame["judged_by"] != "", "dataset"].unique():
        said.append(
            f"{dataset} has no test set of its own: a fixed share of its images was split off, and "
            "every number here is judged by labels that may be wrong."
        )
    for (name, source), rows in frame[frame["told"].notna()].groupby(["display", "told_source"]):
        texts = [
            f"{where} {100 * of_setting['told'].mean():.1f} %"
            for where, of_setting in rows.groupby("noise_display", sort=False)
        ]
        how = "estimated inside each cell" if source == "estimated" else source
        said.append(f"{name} is told a noise rate that is {how} (mean): {', '.join(texts)}.")
    return said


def _provenance(frame: pd.DataFrame) -> list[str]:
    """What cells of one table do not have in common although they should."""
    said = []
    if others := int(frame["other_data"].sum()):
        cells = "cell ran" if others == 1 else "cells ran"
        said.append(f"Left out: {others} {cells} on other data than the rest of its data set.")
    if others := int(frame["other_labels"].sum()):
        cells = "cell was" if others == 1 else "cells were"
        said.append(f"Left out: {others} {cells} given other labels than the rest of its setting.")
    done = frame[frame["done"]]
    said += _files(done)
    for column, words in (("torch", "versions of torch"), ("device", "devices")):
        counts = done[column].value_counts()
        if len(counts) > 1:
            texts = [f"{name} ({_cells(n)})" for name, n in counts.items()]
            said.append(f"Cells ran on different {words}: {', '.join(texts)}.")
    warned = done["warnings"].explode().dropna().value_counts()
    said += [f"Warning of {_cells(count)}: {text}." for text, count in warned.items()]
    return said


def _files(done: pd.DataFrame) -> list[str]:
    """Settings whose cells were made of different files or labels."""
    said = []
    for (_, setting), rows in done.groupby(["dataset", "noise_display"], sort=False):
        counts = rows["data_stamp"].value_counts()
        if len(counts) > 1:
            texts = " and ".join(_cells(n) for n in counts)
            said.append(f"{setting}: {texts} ran on different files of labels or initial weights.")
        drawn = rows.groupby("seed")["labels_sha256"].nunique()
        if seeds := ", ".join(str(seed) for seed in drawn[drawn > 1].index):
            said.append(f"{setting}: methods were given different labels (seed {seeds}).")
    return said


def _cells(count: int) -> str:
    return f"{count} cell{'s' * (count != 1)}"


def _hyperparameters(frame: pd.DataFrame, wants_tuned: bool, preset: str | None) -> list[str]:
    groups: dict[str, list[str]] = {}
    for display, rows in frame.groupby("display", sort=False):
        for source in sorted(set(rows["source"])):
            groups.setdefault(source, []).append(str(display))
    phrases = {
        "tuned": "tuned on clean development images",
        "default": f"{UNTUNED} no tuned values: default hyper-parameters"
        if wants_tuned
        else "default values",
        "paper": "each paper's own values",
        "study": "named in the study file",
        "study+tuned": "named in the study file, the rest tuned",
        "paper+study": "named in the study file, the rest each paper's own",
        "none": "nothing to tune",
    }
    parts = [f"{phrases[s]} ({', '.join(groups[s])})" for s in phrases if s in groups]
    paper = (frame["track"] == "paper").any()
    track = f"Paper track (preset {preset})" if paper and preset else "Paper track"
    return [f"{track if paper else 'Fair track'}. Hyper-parameters: {'; '.join(parts)}."]


def _warnings(frame: pd.DataFrame, criteria: list[str]) -> list[str]:
    said = [
        f"{CRITERIA[name].short}: {CRITERIA[name].diagnostic}."
        for name in criteria
        if CRITERIA[name].diagnostic
    ]
    for setting, rows in frame[frame["no_true_class"] > 0].groupby("noise_display", sort=False):
        count = rows.groupby("seed")["no_true_class"].first().mean()
        said.append(
            f"{setting}: {count:,.0f} training images (mean over seeds) belong to none of the "
            "classes; they count as wrongly labelled."
        )
    if "noisy_val" in criteria and frame["noise"].str.startswith(CLASS_DEPENDENT).any():
        said.append(
            "Under class-dependent noise this criterion (noisy val) rewards fitting the noise."
            if len(criteria) > 1
            else "Under class-dependent noise this criterion rewards fitting the noise."
        )
    return said


def _ensembles(frame: pd.DataFrame, criterion: str) -> list[str]:
    said = []
    column, several = f"ensemble_{criterion}", frame["dataset"].nunique() > 1
    for display, rows in frame.groupby("display", sort=False):
        values = []
        for (dataset, setting), seeds in rows.groupby(["dataset", "noise_display"], sort=False):
            mean = summary(seeds[column])
            if mean.n == 0:
                continue
            spread = f" ± {100 * mean.sd:.1f}" if mean.n > 1 else ""
            count = f" ({mean.n}/{len(seeds)})" if mean.n < len(seeds) else ""
            where = f"{dataset}, {setting}" if several else setting
            values.append(f"{where} {100 * mean.mean:.1f}{spread}{count}")
        if values:
            said.append(
                f"{display} shows one network; the mean of its networks' probabilities "
                f"({CRITERIA[criterion].short}, chosen as for one network): {'; '.join(values)}."
            )
    return said
