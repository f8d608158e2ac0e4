"""Write a table as Markdown, LaTeX (booktabs), HTML and CSV."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape

import pandas as pd

from analysis.layout import Line, Part, parts
from analysis.marks import CLOSE, FAILED, NOTHING
from analysis.tables import Entry, Table

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "[": "{[}", "]": "{]}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "±": r"$\pm$", NOTHING: "--",
    FAILED: r"$\times$", CLOSE: r"$\approx$",
    "§": r"\textsuperscript{\S}", "†": r"\textsuperscript{\dag}", "‡": r"\textsuperscript{\ddag}",
    "ᶜ": r"\textsuperscript{c}", "ʳ": r"\textsuperscript{r}", "ᵒ": r"\textsuperscript{o}",
    "ᵗ": r"\textsuperscript{t}", "ᵀ": r"\textsuperscript{T}",
}  # fmt: skip
LATEX_WIDTH = 70
"""Characters of a line of a table in small print in the text width of the article class."""
# an underscore between letters or digits is literal in Markdown; escaping it would only disfigure
SPECIAL_IN_MARKDOWN = re.compile(r"[\\|*`<\[\]]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
STYLE = (
    "table{border-collapse:collapse;font:14px sans-serif;margin:1em 0}"
    "caption{text-align:left;font-weight:bold;padding:.4em 0}"
    "th,td{padding:.2em .6em;text-align:right;white-space:nowrap}"
    "th[scope=row],th[scope=rowgroup],th:first-child{text-align:left;font-weight:normal}"
    "thead,tbody{border-top:1px solid}tbody:last-child{border-bottom:1px solid}"
    "thead th{font-weight:bold}th[scope=rowgroup]{font-style:italic}"
)


def _escape_markdown(text: str) -> str:
    return SPECIAL_IN_MARKDOWN.sub(lambda match: "\\" + match[0], text)


def markdown(table: Table, rows: str = "method") -> str:
    """The table with aligned columns, its title above and its notes as a list below.

    Args:
        table: what is shown.
        rows: what its rows are, a name of `layout.AXES`; of all formats alike.
    """
    return "\n".join(_markdown_part(part) for part in parts(table, rows))


def _markdown_part(part: Part) -> str:
    lines = [[_escape_markdown(text) for text in [*part.corner, *part.heads]]]
    if part.below_heads:
        lines.append([f"*{_escape_markdown(text)}*" for text in part.below_heads])
    lines += [
        [*map(_escape_markdown, line.stubs), *map(_markdown_entry, line.entries)]
        for line in part.lines
    ]
    title = f"### {_escape_markdown(part.title)}"
    rows = [title, "", *_aligned(lines, len(part.corner)), ""]
    return "\n".join(rows) + (f"\n{markdown_list(part.notes)}" if part.notes else "")


def _markdown_entry(entry: Entry) -> str:
    return _marked(entry, _escape_markdown(entry.text), "**{}**", "<ins>{}</ins>", "*{}*")


def _marked(entry: Entry, text: str, best: str, second: str, first_of_group: str) -> str:
    """The escaped text of an entry in the marks of a format, given as templates with one place."""
    if entry.best:
        return best.format(text)
    text = second.format(text) if entry.second else text
    return first_of_group.format(text) if entry.first_of_group else text


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


def latex(table: Table, rows: str = "method") -> str:
    r"""Floating tables for `\input`; the document needs no package but booktabs."""
    first, *rest = parts(table, rows, LATEX_WIDTH)
    texts = [_latex_part(first, f"{first.title}. {table.notes[0]}")]
    texts += [_latex_part(part, f"{part.title}.") for part in rest]
    return "% needs \\usepackage{booktabs}\n" + "\n".join(texts)


def _latex_part(part: Part, caption: str) -> str:
    columns = "l" * len(part.corner) + "r" * len(part.heads)
    small = "\\small\\setlength{\\tabcolsep}{4pt}" if len(part.heads) > 3 else ""
    lines = [
        "\\begin{table}[tbp]", "\\centering", *([small] if small else []),
        f"\\caption{{{escape_latex(caption)}}}", "\\smallskip",
        f"\\begin{{tabular}}{{{columns}}}", "\\toprule", _latex_row([*part.corner, *part.heads]),
    ]  # fmt: skip
    if part.below_heads:
        first, *rest = part.below_heads
        lines.append(_latex_row([first[0].upper() + first[1:], *rest]))
    lines.append("\\midrule")
    for number, group in enumerate(_groups(part.lines)):
        lines += ["\\addlinespace"] * (number > 0)
        for line in group:
            cells = [*map(escape_latex, line.stubs), *map(_latex_entry, line.entries)]
            lines.append(" & ".join(cells) + r" \\")
    lines += ["\\bottomrule", "\\end{tabular}"]
    if notes := " ".join(escape_latex(note) for note in part.notes[1:]):
        lines += ["", "\\par\\medskip", "\\begin{minipage}{\\linewidth}\\footnotesize", notes]
        lines.append("\\end{minipage}")
    return "\n".join([*lines, "\\end{table}", ""])


def _latex_row(texts: list[str]) -> str:
    return " & ".join(map(escape_latex, texts)) + r" \\"


def _latex_entry(entry: Entry) -> str:
    kinds = (r"\textbf{{{}}}", r"\underline{{{}}}", r"\textit{{{}}}")
    return _marked(entry, escape_latex(entry.text), *kinds)


def _groups(lines: list[Line]) -> Iterator[list[Line]]:
    """Lines of one group at a time."""
    start = 0
    for place in range(1, len(lines) + 1):
        if place == len(lines) or lines[place].group != lines[start].group:
            yield lines[start:place]
            start = place


def html(table: Table, rows: str = "method") -> str:
    """A page of its own, without scripts, with the parts of the table and their notes."""
    body = "\n".join(_html_part(part) for part in parts(table, rows))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(table.title)}</title><style>{STYLE}</style></head><body>\n{body}\n"
        "</body></html>\n"
    )


def _html_part(part: Part) -> str:
    head = _html_heads([*part.corner, *part.heads])
    if part.below_heads:
        head += _html_heads(part.below_heads)
    width = len(part.corner) + len(part.heads)
    groups = list(_groups(part.lines))
    bodies = []
    for group in groups:
        name = f'<tr><th scope="rowgroup" colspan="{width}">{escape(group[0].group)}</th></tr>\n'
        lines = [_html_line(line) for line in group]
        bodies.append(f"<tbody>\n{name * (len(groups) > 1)}{''.join(lines)}</tbody>\n")
    notes = "".join(f"<li>{escape(note)}</li>\n" for note in part.notes)
    return (
        f"<table>\n<caption>{escape(part.title)}</caption>\n<thead>\n{head}</thead>\n"
        f"{''.join(bodies)}</table>\n" + (f"<ul>\n{notes}</ul>" if notes else "")
    )


def _html_heads(texts: list[str]) -> str:
    cells = "".join(f'<th scope="col">{escape(text)}</th>' for text in texts)
    return f"<tr>{cells}</tr>\n"


def _html_line(line: Line) -> str:
    stubs = "".join(f'<th scope="row">{escape(text)}</th>' for text in line.stubs)
    cells = "".join(f"<td>{_html_entry(entry)}</td>" for entry in line.entries)
    return f"<tr>{stubs}{cells}</tr>\n"


def _html_entry(entry: Entry) -> str:
    return _marked(entry, escape(entry.text), "<strong>{}</strong>", "<u>{}</u>", "<em>{}</em>")


def csv(frame: pd.DataFrame) -> str:
    """The long form (see `tables.tidy`) with a heading line; fractions with six decimals."""
    return frame.to_csv(index=False, float_format="%.6f", lineterminator="\n")
