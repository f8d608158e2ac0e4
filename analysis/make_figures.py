"""Draw the figures of every study as PNG and PDF.

python analysis/make_figures.py [STUDY_DIR ...] [--criterion last] [--reference METHOD]
    [--highlight LABEL,...] [--out DIR]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

sys.path[: not sys.flags.safe_path] = [str(Path(__file__).resolve().parents[1])]

import pandas as pd
from matplotlib.figure import Figure

from analysis import command, frames, inference, rank_tests, style
from analysis.criteria import CRITERIA
from analysis.figures import accuracy, cost, curves, matrices, panels, ranks, reliability
from analysis.frames import SETTING
from analysis.studies import Study

A_PAGE = {1: 9, 2: 6}
"""Settings on a page by the axes of each: further ones are on pages of their own, numbered."""
FEW_MATRICES = 4
"""Methods whose confusion matrices are on a page with those of three settings."""


def main() -> None:
    """Figures of all studies that the command line names."""
    parser = command.parser("Draw figures out of the records of studies.", "figures")
    parser.add_argument(
        "--criterion", default="last", metavar="NAME,...",
        help="which epochs the figures of accuracy report (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--reference", metavar="METHOD",
        help=f"a method that is never grey (default: {inference.DEFAULT_REFERENCE})",
    )  # fmt: skip
    parser.add_argument(
        "--highlight", default="", metavar="LABEL,...",
        help=f"further ones, where more than {style.MANY} methods leave most of them grey",
    )  # fmt: skip
    arguments = parser.parse_args()
    command.chosen(arguments.criterion)  # a mistake is said before any study is read
    for study, folder in command.studies(arguments, "figures"):
        _Maker(study, folder, arguments).run()


class _Maker:
    """Draws and writes the figures of one study."""

    def __init__(self, study: Study, folder: Path, arguments: argparse.Namespace) -> None:
        self.study, self.folder = study, folder
        self.records, self.chosen = study.records, command.chosen(arguments.criterion)
        self.frame = frames.cells(study, wanted=self.chosen)
        counted = self.frame.loc[self.frame["done"], [*SETTING, "label", "seed"]]
        self.epochs = frames.epochs(study).merge(counted)  # not of those that are left out
        self.shown = [name for name in self.chosen if self.frame[name].notna().any()]
        highlight = command.labels(arguments.highlight)
        command.check_labels(study, "--highlight", highlight)
        reference = inference.reference_of(self.frame, arguments.reference)
        self.named = [*([reference] if reference else []), *highlight]
        self.best = inference.best_of_groups(self.frame, self.shown[0]) if self.shown else []
        self.labels = list(self.frame["label"].unique())
        coloured = style.in_colour(self.labels, self.named, self.best)
        self.drawn = style.looks(self.frame, coloured)
        self.written: list[Path] = []

    def run(self) -> None:
        """All of it; then what a reader should know."""
        for name in self.chosen:
            if name in self.shown:
                self._of_criterion(name)
            else:
                print(
                    f"No record of study {self.study.name} has the criterion {name}; it is not "
                    "drawn."
                )
        self._pages("learning_curves", self.epochs, 1, curves.learning)
        wrong = self.epochs[self.epochs["fits_given"].notna()]
        self._pages("memorisation_curves", wrong, 2, curves.memorisation)
        if maps := matrices.of_noise(self.frame, self.records):
            self._maps("noise_matrices", maps, matrices.IN_A_ROW, "given class")
        for sentence in self.study.sentences():
            print(sentence)
        self._drop_other_pages()
        if self.written:
            names = ", ".join(path.name for path in self.written)
            print(f"Figures of study {self.study.name} are in {self.folder}: {names}\n")

    def _save(self, stem: str, figure: Figure) -> None:
        self.written += style.save(figure, self.folder / stem)

    def _drop_other_pages(self) -> None:
        """Removes the pages that an earlier run had of today's figures and this one has not."""
        drawn = {_without_page(path) for path in self.written}
        for path in [*self.folder.glob("*.png"), *self.folder.glob("*.pdf")]:
            if _without_page(path) in drawn and path not in self.written:
                path.unlink()

    def _pages(
        self, stem: str, rows: pd.DataFrame, axes: int, draw: Callable[..., Figure], *more: object
    ) -> None:
        """A figure of a panel a setting, on as many pages as it needs."""
        parts = panels.pages(rows, A_PAGE[axes]) if len(rows) else []
        for number, part in enumerate(parts, start=1):
            figure = draw(self.frame, part, *more, self.drawn)
            self._save(f"{stem}_{number}" if len(parts) > 1 else stem, figure)

    def _maps(
        self, stem: str, maps: list[matrices.Map], columns: int, *of_axes: str
    ) -> None:  # fmt: skip
        """Heat maps on as many pages as they need; `of_axes` as of `matrices.heat_maps`."""
        most = matrices.ROWS * columns
        parts = [maps[k : k + most] for k in range(0, len(maps), most)]
        for number, part in enumerate(parts, start=1):
            figure = matrices.heat_maps(part, min(columns, len(part)), *of_axes)
            self._save(f"{stem}_{number}" if len(parts) > 1 else stem, figure)

    def _of_criterion(self, name: str) -> None:
        of = "" if name == "last" else f"_{name}"
        frame, records, drawn = self.frame, self.records, self.drawn
        done = frame[frame[name].notna()]
        figure = accuracy.against_noise(frame, name, drawn)
        self._save(f"accuracy_against_noise{of}", figure)
        if accuracy.has_sizes(done):
            figure = accuracy.against_clean_images(frame, name, drawn)
            self._save(f"accuracy_against_clean_images{of}", figure)
        self._pages(f"cost_against_accuracy{of}", done, 1, cost.against_accuracy, records, name)
        if reliability.has_bins(done, records, name):
            self._pages(f"reliability{of}", done, 1, reliability.diagram, records, name)
        self._confusion(f"confusion_matrices{of}", done, name)
        self._over_settings(of, name)

    def _confusion(self, stem: str, done: pd.DataFrame, name: str) -> None:
        """Of few methods in each of several settings, or of more in the only one."""
        one = self.frame.groupby(SETTING).ngroups == 1
        few = matrices.ROWS * matrices.IN_A_ROW if one else FEW_MATRICES
        finished = list(done["label"].unique())
        labels = style.in_colour(finished, self.named, self.best, few, few)
        parts = panels.pages(done, matrices.IN_A_ROW)
        for number, part in enumerate(parts, start=1):
            maps = matrices.of_predictions(self.frame, part, self.records, name, labels)
            columns = matrices.IN_A_ROW if one else len(panels.settings(part, self.frame))
            of_part = f"{stem}_{number}" if len(parts) > 1 else stem
            words = f"predicted class, {CRITERIA[name].short}"
            of_rows = "given class" if panels.judged_by_given(part) else "true class"
            self._maps(of_part, maps, columns, words, of_rows)

    def _over_settings(self, of: str, name: str) -> None:
        """Critical differences and profiles, or a sentence on why they are not drawn."""
        values = inference.settings_by_methods(self.frame, name)
        found = inference.of_study(self.study.name, self.frame, name, "accuracy", None)
        if len(found.profiles):
            figure = ranks.profiles(self.frame, found.profiles, name, self.drawn)
            self._save(f"profiles{of}", figure)
        try:
            test = rank_tests.friedman(values.to_numpy())
        except ValueError:
            which = "" if len(found.profiles) else " and profiles"
            why = inference.of_ranks(values, found.overall, "accuracy")
            print(f"Critical differences{which} are not drawn. {why}")
            return
        figure = ranks.critical_differences(found.overall, test, name, self.drawn)
        self._save(f"critical_differences{of}", figure)


def _without_page(path: Path) -> str:
    """The stem of a figure, without the number of its page."""
    return re.sub(r"(_\d+)+$", "", path.stem)


if __name__ == "__main__":
    command.run(main)
