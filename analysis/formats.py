"""Write a table as Markdown, LaTeX (booktabs) and CSV."""

from __future__ import annotations

import re

import pandas as pd

from analysis.notes import NOTHING
from analysis.tables import Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", NOTHING: "--",
    "§": r"\textsuperscript{\S}", "†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}",
    "ᶜ": r"\textsuperscript{c}", "ʳ": r"\textsuperscript{r}",
    "ᵗ": r"\textsuperscript{t}", "ᵀ": r"\textsuperscript{T}",
}  # fmt: skip
# an underscore between letters or digits is literal in Markdown; escaping it would only disfigure
SPECIAL_IN_MARKDOWN = re.compile(r"[\\|*`<\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def _escape_markdown(text: str) -> str:
    return SPECIAL_IN_MARKDOWN.sub(lambda match: "\\" + match[0], text)


def markdown(table: Table) -> str:
    """The table with aligned columns, its title above and its notes as a list below."""
    lines = [["Method", *(column.heading for column in table.columns)]]
    lines.append(["realised noise", *(column.noise for column in table.columns)])
    lines += [[name, *(entry.text for entry in entries)] for name, entries in table.rows]
    lines = [[_escape_markdown(text) for text in line] for line in lines]
    for line, (_, entries) in zip(lines[2:], table.rows, strict=True):
        line[1:] = [
            f"**{text}**" if entry.best else text
            for text, entry in zip(line[1:], entries, strict=True)
        ]
    lines[1] = [f"*{text}*" for text in lines[1]]
    notes = [f"- {_escape_markdown(note)}" for note in table.notes]
    return "\n".join(
        [f"### {_escape_markdown(table.title)}", "", *_aligned(lines, 1), "", *notes, ""]
    )


def _aligned(lines: list[list[str]], stubs: int) -> list[str]:
    """Lines of a Markdown table, heading first: the first columns to the left, the rest right."""
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = [
        ":" + "-" * (width - 1) if place < stubs else "-" * (width - 1) + ":"
        for place, width in enumerate(widths)
    ]
    justified = [
        [
            text.ljust(width) if place < stubs else text.rjust(width)
            for place, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in [lines[0], rule, *lines[1:]]
    ]
    return ["| " + " | ".join(line) + " |" for line in justified]


def markdown_texts(title: str, rows: list[list[str]], stubs: int = 1) -> str:
    """A titled Markdown table of plain texts, whose first row is the heading.

    Args:
        title: one line.
        rows: texts of the same number of columns.
        stubs: leading columns that are words rather than numbers.
    """
    lines = [[_escape_markdown(text) for text in row] for row in rows]
    return "\n".join([f"### {_escape_markdown(title)}", "", *_aligned(lines, stubs), ""])


def markdown_list(sentences: list[str]) -> str:
    """Sentences as a Markdown list."""
    return "".join(f"- {_escape_markdown(sentence)}\n" for sentence in sentences)


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it stands; the suite's own symbols become commands."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def latex(table: Table) -> str:
    r"""A floating table for `\input`; the document needs no package but booktabs."""
    headings = [
        (escape_latex(column.heading), escape_latex(column.noise)) for column in table.columns
    ]
    body = [
        [
            rf"\textbf{{{escape_latex(entry.text)}}}" if entry.best else escape_latex(entry.text)
            for entry in entries
        ]
        for _, entries in table.rows
    ]
    frame = pd.DataFrame(
        body,
        index=[escape_latex(name) for name, _ in table.rows],
        columns=pd.MultiIndex.from_tuples(headings, names=["Method", "Realised noise"]),
    )
    text = frame.style.to_latex(
        hrules=True,
        column_format="l" + "r" * len(headings),
        multicol_align="r",
        sparse_columns=False,
        position_float="centering",
        position="tbp",
        caption=escape_latex(f"{table.title}. {table.notes[0]}"),
    )
    notes = " ".join(escape_latex(note) for note in table.notes[1:])
    below = f"\n\\par\\medskip\n\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{notes}\n"
    text = text.replace("\\end{tabular}\n", f"\\end{{tabular}}\n{below}\\end{{minipage}}\n")
    return f"% needs \\usepackage{{booktabs}}\n{text}"


def csv(frame: pd.DataFrame) -> str:
    """The long form (see `tables.tidy`) with a heading line; fractions with six decimals."""
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")
