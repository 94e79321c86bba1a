r"""A report as LaTeX tables for \input: best in bold, second underlined, published rows apart.

With booktabs and graphicx: a table that is wider than the text is shrunk to it. Footnotes stand under each table; what
is cited is in a .bib file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from stars_bench.records.published import Published
from stars_bench.report.bibliography import Bibliography
from stars_bench.report.cells import BEST, NOTHING, SECOND, Entry, Sheet, SheetRow, sheets
from stars_bench.report.latex_escape import escape
from stars_bench.report.leaderboard import Board
from stars_bench.report.pivot import By, Told

ROWS_PER_PAGE = 36
"""A float cannot break over pages: longer tables go on in a second one."""
FLOATS_HELD = 16
"""LaTeX keeps so many floats waiting for a page, and stops at more."""
CHARACTERS_PER_TEXT_COLUMN, BETWEEN = 56, 2
"""Tables of more characters a line, with as many between two cells, span both columns of a two-column paper."""
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""What is in it is shrunk where it is wider than the text, and left alone elsewhere."""


class Latex(NamedTuple):
    """The tables, and the entries that they cite."""

    tables: str
    bibliography: str


class _Part(NamedTuple):
    """Rows of a sheet that fit one page."""

    measured: list[SheetRow]
    published: list[SheetRow]


def to_latex(boards: Sequence[Board], by: By = "dataset", bibliography: str | None = None) -> Latex:
    r"""One table environment per table (and page).

    Args:
        bibliography: the name that \bibliography takes, for the comment at the top; None: nothing is cited.
    """
    cited = Bibliography()
    bodies = [
        body for content in sheets(boards, by) for body in _table(content, _Cites(cited, bibliography is not None))
    ]
    head = [r"% Needs \usepackage{booktabs,graphicx}; \input this file."]
    if bibliography is not None:
        head.append(rf"% Citations: \bibliography{{{bibliography}}}")
    for place in range(FLOATS_HELD, len(bodies), FLOATS_HELD):
        bodies[place] = f"\\clearpage\n{bodies[place]}"
    return Latex("\n".join([*head, "", *bodies]), cited.text)


class _Cites:
    r"""Citations and the footnotes of published rows: \cite for sources, numbered remarks for what contradicts them."""

    def __init__(self, bibliography: Bibliography, cites: bool) -> None:
        self.bibliography, self.cites = bibliography, cites
        self.remarks: dict[str, str] = {}

    def method(self, name: str) -> str:
        return self._cite(self.bibliography.cite_method(name))

    def published(self, row: SheetRow) -> str:
        """What follows the label of a published row."""
        items = [item for item in row.line.items.values() if isinstance(item, Told)]
        sources = dict.fromkeys(item.number.source for item in items)
        if not self.cites:
            return "".join(self._remark(f"Read in {escape(source, breakable=True)}.") for source in sources)
        keys = [*self.bibliography.cite_method(row.line.method), *map(self.bibliography.cite_source, sources)]
        signs = ""
        if any(item.number.confidence == "secondary" for item in items):
            signs += self._remark("Second-hand: as another publication quotes it.")
        for item in items:
            if item.number.conflicts:
                others = "; ".join(map(self._other, item.number.conflicts))
                signs += self._remark(f"{escape(item.column.title)}: other sources say {others}.")
        return self._cite(keys) + signs

    def _other(self, number: Published) -> str:
        cited = self._cite([self.bibliography.cite_source(number.source)])
        return f"{number.value:g} as {escape(number.stated_as)}{cited}"

    def _remark(self, text: str) -> str:
        return f"$^{{{self.remarks.setdefault(text, str(len(self.remarks) + 1))}}}$"

    def _cite(self, keys: Sequence[str]) -> str:
        return f"~\\cite{{{','.join(dict.fromkeys(keys))}}}" if keys and self.cites else ""


def _table(content: Sheet, cites: _Cites) -> list[str]:
    parts = list(_pages(content))
    return [_float(content, part, cites, place == 0, place == len(parts) - 1) for place, part in enumerate(parts)]


def _pages(content: Sheet) -> Iterator[_Part]:
    rows = [(row, True) for row in content.measured] + [(row, False) for row in content.published]
    for start in range(0, len(rows), ROWS_PER_PAGE):
        page = rows[start : start + ROWS_PER_PAGE]
        yield _Part([row for row, ours in page if ours], [row for row, ours in page if not ours])


def _float(content: Sheet, part: _Part, cites: _Cites, first: bool, last: bool) -> str:
    count = len(content.header)
    measured = [_line([_label(row, cites), *map(_cell, row.entries[1:])]) for row in part.measured]
    published = [_published(row, cites) for row in part.published]
    if published:
        published.insert(0, _line([rf"\multicolumn{{{count}}}{{l}}{{\emph{{published}}}}"]))
    both = [*measured, *([r"\midrule"] if measured and published else []), *published]
    kind = "table*" if _characters(content) > CHARACTERS_PER_TEXT_COLUMN else "table"
    title = escape(f"{content.title}: {content.subtitle}")
    caption = f"{title}." if first else f"{escape(content.title)} (continued)."
    if first and any(entry.place for row in content.measured for entry in row.entries):
        caption += r" Best measured number in bold, second underlined."
    return "\n".join(
        [
            rf"\begin{{{kind}}}[tbp]",
            r"\centering\small",
            r"\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{caption}}}",
            FIT,
            rf"\begin{{tabular}}{{l{'r' * (count - 1)}}}",
            r"\toprule",
            _line([escape(title) for title in content.header]),
            r"\midrule",
            *both,
            r"\bottomrule",
            r"\end{tabular}}",
            *(_notes(content, cites) if last else []),
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _characters(content: Sheet) -> int:
    """Of the widest line, were every column as wide as its widest cell."""
    rows = [content.header, *(row.texts for row in (*content.measured, *content.published))]
    return sum(max(map(len, column)) + BETWEEN for column in zip(*rows, strict=True)) - BETWEEN


def _notes(content: Sheet, cites: _Cites) -> list[str]:
    lines = [f"{escape(sign)}~{escape(text)}." for sign, text in content.marks]
    lines += [f"$^{{{sign}}}$~{text}" for text, sign in cites.remarks.items()]
    lines += [escape(note) for note in content.notes]
    if not lines:
        return []
    return [
        r"\par\smallskip",
        r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
        *(rf"{line}\par" for line in lines),
        r"\end{minipage}",
    ]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _label(row: SheetRow, cites: _Cites) -> str:
    label = row.entries[0]
    cited = cites.method(row.line.method)
    return f"{escape(label.text)}{escape(label.signs)}{cited}"


def _published(row: SheetRow, cites: _Cites) -> str:
    label, *cells = row.entries
    texts = [escape(entry.text) if entry.text in ("", NOTHING) else rf"\textit{{{entry.text}}}" for entry in cells]
    return _line([rf"\textit{{{escape(label.text)}}}{cites.published(row)}", *texts])


def _cell(entry: Entry) -> str:
    mean, spread, deviation = entry.text.partition(" ±")
    command = {BEST: r"\textbf", SECOND: r"\underline"}.get(entry.place)
    text = rf"{command}{{{escape(mean)}}}" if command else escape(mean)
    if spread:
        text += rf"{{\scriptsize~$\pm$~{deviation}}}"
    return text + escape(entry.signs)
