"""Print the table of every study and write it in several formats, with its statistics.

python analysis/make_tables.py [STUDY_DIR ...] [--criterion last,noisy_val] [--metric worst_class]
    [--reference METHOD] [--rows setting] [--format md,tex,csv,html]
    [--compare published] [--out DIR]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import pandas as pd

from analysis import (
    command,
    criteria,
    findings,
    formats,
    frames,
    inference,
    layout,
    published,
    rankings,
    tables,
)
from analysis.studies import Study
from runners.system.errors import UserError
from runners.system.files import write_text

COMBINED = ["last", "noisy_val"]
WRITERS = {"md": formats.markdown, "tex": formats.latex, "html": formats.html}
FORMATS = ("md", "tex", "csv", "html")


def main() -> None:
    """Tables of all studies that the command line names."""
    parser = command.parser("Make tables out of the records of studies.", "tables")
    parser.add_argument(
        "--criterion", default=",".join(criteria.DEFAULT), metavar="NAME,...",
        help=f"which epochs to report: {', '.join(criteria.CRITERIA)}, or {criteria.ALL}, which "
        "also shows how the ranking changes with them (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--metric", choices=criteria.METRICS, default="accuracy",
        help="; ".join(f"{n}: {m.meaning or m.words}" for n, m in criteria.METRICS.items()),
    )  # fmt: skip
    parser.add_argument(
        "--reference", metavar="METHOD",
        help="print paired differences to this method (files of them are written in any case, "
        f"by default to {inference.DEFAULT_REFERENCE})",
    )  # fmt: skip
    parser.add_argument(
        "--compare", choices=["published"],
        help="set published values beside those of the study where they are comparable",
    )  # fmt: skip
    for axis, default in zip(("rows", "columns"), layout.AXES, strict=True):
        parser.add_argument(
            f"--{axis}", choices=layout.AXES,
            help=f"what the {axis} of a table are (default: {default})",
        )  # fmt: skip
    parser.add_argument(
        "--format", default="md,tex,csv", metavar="NAME,...",
        help=f"files of a table: {', '.join(FORMATS)} (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    arguments.rows = _rows(arguments.rows, arguments.columns)
    _formats(arguments.format)
    if arguments.compare and arguments.metric != "accuracy":
        raise UserError(f"--compare published: needs --metric accuracy, not {arguments.metric}")
    command.chosen(arguments.criterion)  # a mistake is said before any study is read
    for study, folder in command.studies(arguments, "tables"):
        _Maker(study, folder, arguments).run()


def _rows(rows: str | None, columns: str | None) -> str:
    """What the rows are, if one of the two or both are named.

    Raises:
        UserError: both are the same.
    """
    if rows is not None and rows == columns:
        raise UserError(f"--rows and --columns are both {rows}: one must be the other axis")
    if rows is None:
        rows = "setting" if columns == "method" else "method"
    return rows


def _formats(text: str) -> list[str]:
    """Names in the argument `--format`.

    Raises:
        UserError: one of them is no format.
    """
    names = list(dict.fromkeys(part.strip() for part in text.split(",")))
    for name in names:
        if name not in FORMATS:
            raise UserError(f"--format: {name!r} is no format; allowed are {', '.join(FORMATS)}")
    return names


class _Maker:
    """Makes, writes and prints the tables of one study."""

    def __init__(self, study: Study, folder: Path, arguments: argparse.Namespace) -> None:
        self.study, self.folder, self.metric = study, folder, arguments.metric
        self.rows, self.formats = arguments.rows, _formats(arguments.format)
        self.by_criterion = criteria.METRICS[self.metric].by_criterion
        self.chosen = command.chosen(arguments.criterion) if self.by_criterion else ["last"]
        self.compares = self.by_criterion and criteria.ALL in arguments.criterion.split(",")
        self.frame = frames.cells(study, self.metric, self.chosen)
        self.asked = arguments.reference
        self.reference = inference.reference_of(self.frame, self.asked)
        self.compare = arguments.compare
        self.written: list[Path] = []
        self.printed: list[str] = []
        if not self.by_criterion:
            self._leave_out()

    def run(self) -> None:
        """All of it, in the order in which it is printed."""
        shown = [name for name in self.chosen if self._has(name)]
        for name in shown:
            self._table(name)
            self._statistics(name)
        combined = [name for name in COMBINED if tables.has_values(self.frame, name)]
        if self.compare:
            self._published(shown)
        if combined and self.by_criterion:
            self._combined(combined)
        if self.compares and len(shown) > 1 and self.frame["done"].any():
            self._rankings(shown)
        sentences = [*self.study.sentences(), *_changed(self.study)]
        print("\n".join([*self.printed, *sentences]))
        names = ", ".join(path.name for path in self.written)
        print(f"Tables of study {self.study.name} are in {self.folder}: {names}\n")

    def _leave_out(self) -> None:
        """Methods that cannot have the metric are no rows of its table."""
        has = self.frame.groupby("label", sort=False)["last"].apply(lambda v: v.notna().any())
        finished = self.frame.groupby("label", sort=False)["done"].any()
        without = [label for label in has.index if finished[label] and not has[label]]
        if without and has.any():
            self.frame = self.frame[~self.frame["label"].isin(without)]
            self.printed.append(f"Without {self.metric}: {', '.join(without)}.\n")

    def _stem(self, criterion: str) -> str:
        return f"{self.metric}_{criterion}" if self.by_criterion else self.metric

    def _write(self, name: str, text: str) -> None:
        self.written.append(write_text(self.folder / name, text))

    def _has(self, criterion: str) -> bool:
        if tables.has_values(self.frame, criterion):
            return True
        what = f"criterion {criterion}" if self.by_criterion else f"metric {self.metric}"
        self.printed.append(
            f"No record of study {self.study.name} has the {what}; it is left out.\n"
        )
        return False

    def _table(self, criterion: str) -> None:
        table = tables.build(self.study, self.frame, [criterion], self.metric)
        stem = self._stem(criterion)
        for name in self.formats:
            if name == "csv":
                tidy = tables.tidy(self.study, self.frame, criterion, self.metric)
                self._write(f"{stem}.csv", formats.csv(tidy))
            else:
                self._write(f"{stem}.{name}", WRITERS[name](table, self.rows))
        self.printed.append(formats.markdown(table, self.rows))

    def _statistics(self, criterion: str) -> None:
        if not self.frame[criterion].notna().any():
            return
        found = inference.of_study(
            self.study.name, self.frame, criterion, self.metric, self.reference
        )
        texts, frames_of = [], {"overall": found.overall, "profiles": found.profiles}
        if found.differences is not None:
            frames_of = {"paired": found.differences} | frames_of
            title = f"{found.title}, paired differences to {self.reference}"
            texts.append(formats.markdown_texts(title, inference.difference_rows(found), 2))
        rows = inference.overall_rows(found, self.metric)
        texts.append(formats.markdown_texts(f"{found.title}, over all settings", rows))
        texts.append(formats.markdown_list(found.sentences))
        text = "\n".join(texts)
        self._write(f"statistics_{self._stem(criterion)}.md", text)
        for name, frame in frames_of.items():
            if len(frame):
                self._write(f"{name}_{self._stem(criterion)}.csv", formats.csv(frame))
        if self.asked:
            lacks = f"No cell has a pair with {self.reference}.\n\n" * (found.differences is None)
            self.printed.append(lacks + text)

    def _combined(self, combined: list[str]) -> None:
        table = tables.build(self.study, self.frame, combined, self.metric)
        for name in self.formats:
            if name in ("md", "html"):
                self._write(f"{self.metric}.{name}", WRITERS[name](table, self.rows))
        if self.frame["done"].any():
            said = findings.text(self.frame, combined, list(self.study.records.values()))
            self._write(f"findings_{self.metric}.md", said)
            self.printed.append(said)

    def _published(self, shown: list[str]) -> None:
        for name in shown:
            found, reasons = published.beside(self.frame, name)
            title = f"{self.study.name}: beside published values, {criteria.CRITERIA[name].short}"
            table = formats.markdown_texts(title, published.texts(found), 3)
            text = table if len(found) else f"### {title}\n"
            text += f"\n{formats.markdown_list(published.sentences(found, reasons))}"
            self._write(f"published_{self._stem(name)}.md", text)
            if len(found):
                self._write(f"published_{self._stem(name)}.csv", formats.csv(found))
            self.printed.append(text)

    def _rankings(self, shown: list[str]) -> None:
        found: pd.DataFrame = rankings.of_criteria(self.frame, shown, self.metric)
        title = f"{self.study.name}: ranks under each criterion, {self.metric}"
        text = formats.markdown_texts(title, rankings.texts(self.frame, found), 2)
        text = f"{text}\n{formats.markdown_list([rankings.note(shown)])}"
        self._write(f"ranking_{self.metric}.md", text)
        self._write(f"ranking_{self.metric}.csv", formats.csv(found))
        self.printed.append(text)


def _changed(study: Study) -> list[str]:
    return [
        f"{label} has changed since it was last read: whether its cells are of today's images, "
        "run_grid.py with --status says."
        for label in study.unread
    ]


if __name__ == "__main__":
    command.run(main)
