"""List the committed studies with what each shows: `python analysis/list_reference.py`.

Writes `README.md` into the folder that holds them (`--results`, default `results/reference`). The
sentences are those of `make_tables.py`: of every setting, all methods after the last epoch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[: not sys.flags.safe_path] = [str(ROOT)]

from analysis import command, findings, frames
from analysis.studies import Study, load
from runners.system.console import counted
from runners.system.errors import UserError
from runners.system.files import write_text

HEAD = """# Committed studies

Made by `python analysis/list_reference.py`. Every folder is a packed study: `make_tables.py`,
`make_figures.py`, `report.py` and `compare_runs.py` take it as they take a study of one's own. Its
`report.html` is a page for the browser (`python analysis/report.py results/reference/STUDY`).
*Told apart*: by the paired t test over seeds at 5 %, corrected by Holm; in brackets the 95 % t
interval.
"""


def main() -> None:
    """The page of the folder that the command line names."""
    parser = argparse.ArgumentParser(description="List packed studies with their findings.")
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results" / "reference", metavar="DIR",
        help="folder of packed studies (default: results/reference of the checkout)",
    )  # fmt: skip
    folder = parser.parse_args().results
    print(f"Listed in {write_text(folder / 'README.md', page(folder))}")


def page(folder: Path) -> str:
    """The page, in Markdown.

    Raises:
        UserError: the folder holds no study.
    """
    found = [load(path.parent) for path in sorted(folder.glob("*/study.json"))]
    if not found:
        raise UserError(f"--results {folder}: holds no study: must be a folder of packed studies")
    return "\n".join([HEAD, *map(section, found)])


def section(study: Study) -> str:
    """Heading, what was run, the findings, and what is missing, in Markdown."""
    frame = frames.cells(study)
    first = frame.iloc[0]
    kinds = {"method": "label", "setting": "noise_slug", "seed": "seed"}
    numbers = ", ".join(counted(frame[column].nunique(), kind) for kind, column in kinds.items())
    said = [line for line in findings.sentences(frame, "last") if ", all methods: " in line]
    amp = (study.config.get("protocol") or {}).get("amp", "none")
    precision = "" if amp == "none" else f", {amp}"
    page = f"{study.folder.name}/report.html"
    there = (study.folder / "report.html").is_file()
    lines = [
        f"## [{study.name}]({study.folder.name})\n",
        f"{', '.join(frame['dataset'].unique())}; {numbers}; `{first['network']}`, "
        f"{counted(int(first['epochs']), 'epoch')}{precision}; {int(frame['done'].sum())} of "
        f"{counted(len(frame), 'cell')} done.\n",
        *(f"- {line.replace(', all methods', '')}" for line in said),
        *(f"- {line}" for line in study.sentences()),
        *[f"- Page for the browser: [report.html]({page})."] * there,
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    command.run(main)
