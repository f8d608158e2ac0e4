"""List which labels are probably wrong, worst first, as CSV and as a sheet of images.

python analysis/suspects.py [STUDY_DIR ...] [--truth FILE] [--data DIR] [--out DIR]

`label` in the list is empty: write the right class there, where the given one is wrong, and name
the file in a study as `{name: labels_file, file: suspects.csv}`. What was written there is kept
when the list is made again. Of own images with parts or checked labels the list has `split` and
`clean_label` as well, so that it may be named in place of the folder.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import numpy as np
import pandas as pd

from analysis import command
from analysis.contact_sheet import contact_sheet
from analysis.studies import Study
from analysis.suspect_images import data_of_group
from analysis.suspect_scores import Group, groups, quality, stem, table
from datasets.base import UNKNOWN, DataError, Dataset
from datasets.folder.rows import read_table
from runners.system.errors import UserError
from runners.system.files import write_text


def main() -> None:
    """Lists of all studies that the command line names."""
    parser = command.parser("List labels that are probably wrong.", "")
    parser.add_argument("--data", type=Path, metavar="DIR", help="root of the data sets")
    parser.add_argument(
        "--truth", type=Path, metavar="FILE",
        help="a list with path or index, and clean_label: says how good the list is",
    )  # fmt: skip
    arguments = parser.parse_args()
    for study, folder in command.studies(arguments, ""):
        found = groups(study)
        if not found:
            raise UserError(f"study {study.name}: no cell is finished: run it first")
        for group in found:
            _list(study, group, folder, arguments)


def _list(study: Study, group: Group, folder: Path, arguments: argparse.Namespace) -> None:
    dataset, arrays = data_of_group(study, group, arguments.data)
    try:
        frame = table(study, group, dataset, arrays)
    except ValueError as error:
        raise UserError(f"study {study.name}, {group.first['noise_display']}: {error}") from error
    numbers = {name: k for k, name in enumerate(dataset.class_names)}
    if arguments.truth is not None:
        frame["truth"] = _told_truth(arguments.truth, frame, numbers)
    given = frame["given"].map(numbers)
    frame["wrong"] = (frame["truth"] != UNKNOWN) & (frame["truth"] != given)
    listed = _with_own(frame.drop(columns=["truth", "position", "wrong"]), dataset)
    listed["label"] = _reviewed(folder / f"{stem(group)}.csv", listed)
    text = listed.to_csv(index=False, lineterminator="\n", na_rep="")
    written = write_text(folder / f"{stem(group)}.csv", text)
    images = arrays.train_images
    if "path" in frame:
        images = np.concatenate([images, arrays.test_images])
    sheet = contact_sheet(frame, images, folder / f"{stem(group)}.png")
    _say(study, group, frame, [written, sheet])


def _told_truth(path: Path, frame: pd.DataFrame, numbers: dict[str, int]) -> pd.Series:
    """Numbers of the true classes of a list, `UNKNOWN` where it has none.

    Raises:
        UserError: it is no such list.
    """
    where = "path" if "path" in frame else "index"
    try:
        rows = read_table(path, (where, "clean_label"))
    except DataError as error:
        raise UserError(f"--truth: {error}") from error
    told = {row[where]: row["clean_label"] for row in rows if row["clean_label"]}
    if odd := sorted(set(told.values()) - set(numbers)):
        raise UserError(f"--truth: {odd[0]!r} is no class: must be one of {', '.join(numbers)}")
    return frame[where].astype(str).map(told).map(numbers).fillna(UNKNOWN).astype(int)


def _with_own(listed: pd.DataFrame, dataset: Dataset) -> pd.DataFrame:
    """The list with what else a person's own data say, so that it can stand for them.

    Columns `split` where there are parts, `clean_label` where any is known, and the images of a
    part clean at the end, which nothing scores.
    """
    rows = getattr(dataset, "as_named", {})
    clean = [row for row in rows.values() if row.split == "clean"]
    ranks = range(len(listed) + 1, len(listed) + len(clean) + 1)
    more = [
        {"rank": rank, "path": row.path, "given": row.label, "trained": False}
        for rank, row in zip(ranks, clean, strict=True)
    ]
    if more:
        listed = pd.concat([listed, pd.DataFrame(more)], ignore_index=True)
    if any(row.split != "train" for row in rows.values()):
        listed["split"] = [rows[path].split for path in listed["path"]]
    if any(row.clean_label for row in rows.values()):
        listed["clean_label"] = [rows[path].clean_label for path in listed["path"]]
    return listed


def _reviewed(path: Path, listed: pd.DataFrame) -> pd.Series:
    """What a person has written into an earlier list, in the order of this one.

    Where this one has no place for it, the earlier list is kept beside it.

    Raises:
        UserError: the earlier list cannot be read.
    """
    where = "path" if "path" in listed else "index"
    if not path.is_file():
        return listed["label"].fillna("")
    try:
        rows = read_table(path, (where, "label"))
    except DataError as error:
        raise UserError(f"{error}: mend it, or move it away") from error
    written = {row[where]: row["label"] for row in rows if row["label"].strip()}
    own = {name for row in rows[:1] for name in row} - {*listed, "split", "clean_label"}
    gone = written.keys() - set(listed[where].astype(str))
    if gone or own:
        numbers = (path.with_suffix(f".old-{k}.csv") for k in itertools.count(1))
        kept = next(place for place in numbers if not place.exists())
        shutil.copyfile(path, kept)
        print(f"the earlier list has more than fits into this one and is kept: {kept}")
    return listed[where].astype(str).map(written).fillna("")


def _say(study: Study, group: Group, frame: pd.DataFrame, files: list[Path]) -> None:
    methods = ", ".join(dict.fromkeys(cell["display"] for cell, _ in group.cells))
    seeds = len({cell["seed"] for cell, _ in group.cells})
    where = f"{group.first['dataset']}, {group.first['noise_display']}"
    print(
        f"Study {study.name}, {where}: {len(frame):,} labels, scored by {methods}, "
        f"{seeds} seed{'s' * (seeds != 1)}"
    )
    if missing := len(group.cells) - frame.attrs["cells"]:
        print(f"{missing} of {len(group.cells)} cells have no readable samples and do not count")
    first = ("rank", "path", "index", "given", "proposed", "score", "agree")
    print(frame.head(10)[[name for name in first if name in frame]].to_string(index=False))
    if found := quality(frame):
        print(
            f"Where the truth is known {100 * found['wrong']:.1f} % are wrong. The list: average "
            f"precision {found['average_precision']:.3f}, ROC AUC {found['roc_auc']:.3f}; as many "
            f"first rows as there are wrong labels hold {100 * found['found']:.1f} % of these."
        )
    print(f"All of them: {', '.join(map(str, files))}\n")


if __name__ == "__main__":
    command.run(main)
