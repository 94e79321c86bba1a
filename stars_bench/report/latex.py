r"""Tables in LaTeX for \input: best in bold, second underlined, published rows apart.

With booktabs and graphicx: a table that is wider than the text is shrunk to it. Footnotes stand under each table; what
is cited is in a .bib file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stars_bench.errors import UsageError
from stars_bench.records.published.numbers import Published
from stars_bench.records.record import Record
from stars_bench.report.bibliography import Bibliography
from stars_bench.report.latex_escape import escape
from stars_bench.report.results.published import stated
from stars_bench.report.results.result import PublishedResult, Result
from stars_bench.report.table import BEST, NOTHING, SECOND, TIED, Cell, Row, Table

ROWS_PER_PAGE = 36
"""A float cannot break over pages: longer tables go on in a second one."""
FLOATS_HELD = 16
"""LaTeX keeps so many floats waiting for a page, and stops at more."""
CHARACTERS_PER_TEXT_COLUMN, BETWEEN = 56, 2
"""Tables of more characters a line, with as many between two cells, span both columns of a two-column paper."""
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""What is in it is shrunk where it is wider than the text, and left alone elsewhere."""


class Latex(NamedTuple):
    """Tables in LaTeX.

    Args:
        tables: The tables.
        bibliography: The entries that they cite.
    """

    tables: str
    bibliography: str


class _Part(NamedTuple):
    """Rows of a table that fit one page."""

    measured: list[Row]
    published: list[Row]


def render(tables: Sequence[Table], bibliography: str | None = None) -> Latex:
    r"""Write one table environment per table (and page).

    Args:
        tables: The tables.
        bibliography: The name that \bibliography takes, for the comment at the top; None: nothing is cited.
    """
    cited = Bibliography()
    bodies = [body for table in tables for body in _table(table, _Cites(cited, bibliography is not None))]
    head = [r"% Needs \usepackage{booktabs,graphicx}; \input this file."]
    if bibliography is not None:
        head.append(rf"% Citations: \bibliography{{{bibliography}}}")
    for place in range(FLOATS_HELD, len(bodies), FLOATS_HELD):
        bodies[place] = f"\\clearpage\n{bodies[place]}"
    return Latex("\n".join([*head, "", *bodies]), cited.text)


def files(tables: Sequence[Table], path: Path) -> dict[Path, str]:
    """Write the tables and the entries that they cite, as texts by file.

    Args:
        tables: The tables.
        path: The file of the tables; the entries go beside it, with the suffix .bib, where there are any.

    Raises:
        UsageError: The path ends in .bib.
    """
    if path.suffix == ".bib":
        raise UsageError(f"--out {path}: the tables need another name; their citations go into {path.name}")
    text, bibliography = render(tables, path.stem)
    return {path: text} | ({path.with_suffix(".bib"): bibliography} if bibliography else {})


class _Cites:
    r"""Citations and the footnotes of published rows: \cite for sources, numbered remarks for what contradicts them."""

    def __init__(self, bibliography: Bibliography, cites: bool) -> None:
        self.bibliography, self.cites = bibliography, cites
        self.remarks: dict[str, str] = {}

    def methods(self, records: Iterable[Record]) -> str:
        """Return the papers of what was measured."""
        return self._cite([key for record in records for key in self.bibliography.cite_method(record)])

    def datasets(self, records: Iterable[Record]) -> str:
        """Return the papers of what it was measured on."""
        return self._cite([key for record in records for key in self.bibliography.cite_dataset(record)])

    def published(self, row: Row) -> str:
        """Return what follows the label of a published row."""
        results = [cell.value for cell in row.cells if isinstance(cell.value, PublishedResult)]
        sources = dict.fromkeys(source for result in results for source in _cited(result.number))
        if not self.cites:
            return "".join(self._remark(f"Read in {escape(source, breakable=True)}.") for source in sources)
        papers = self.bibliography.cite_published(row.method)
        keys = [*papers, *map(self.bibliography.cite_source, sources)]
        signs = (
            "" if papers else self._remark("No entry for its paper, which could not be checked: the source is cited.")
        )
        for result in results:
            if result.number.conflicts:
                others = "; ".join(self._other(other, result.number) for other in result.number.conflicts)
                signs += self._remark(f"{escape(result.measure.title)}: other sources say {others}.")
        return self._cite(keys) + signs

    def _other(self, number: Published, printed: Published) -> str:
        cited = self._cite([self.bibliography.cite_source(number.sources[0])])
        return f"{number.value:g} as {escape(stated(number, printed))}{cited}"

    def _remark(self, text: str) -> str:
        return f"$^{{{self.remarks.setdefault(text, str(len(self.remarks) + 1))}}}$"

    def _cite(self, keys: Sequence[str]) -> str:
        return f"~\\cite{{{','.join(dict.fromkeys(keys))}}}" if keys and self.cites else ""


def _cited(number: Published) -> tuple[str, ...]:
    """Return the places to cite: the authors' own alone, where it is theirs."""
    return number.sources[:1] if number.is_first_hand else number.sources


def _table(table: Table, cites: _Cites) -> list[str]:
    parts = list(_pages(table))
    return [_float(table, part, cites, place == 0, place == len(parts) - 1) for place, part in enumerate(parts)]


def _pages(table: Table) -> Iterator[_Part]:
    rows = [(row, True) for row in table.measured] + [(row, False) for row in table.published]
    for start in range(0, len(rows), ROWS_PER_PAGE):
        page = rows[start : start + ROWS_PER_PAGE]
        yield _Part([row for row, ours in page if ours], [row for row, ours in page if not ours])


def _float(table: Table, part: _Part, cites: _Cites, first: bool, last: bool) -> str:
    count = len(table.header)
    measured = [_line([_label(row, cites), *map(_cell, row.cells)]) for row in part.measured]
    published = [_published(row, cites) for row in part.published]
    if published:
        published.insert(0, _line([rf"\multicolumn{{{count}}}{{l}}{{\emph{{published}}}}"]))
    both = [*measured, *([r"\midrule"] if measured and published else []), *published]
    kind = "table*" if _characters(table) > CHARACTERS_PER_TEXT_COLUMN else "table"
    title = escape(f"{table.title}: {table.subtitle}")
    data = cites.datasets(record for row in table.measured for record in _records(row))
    caption = f"{title}{data}." if first else f"{escape(table.title)} (continued)."
    if first and any(cell.rank for row in table.measured for cell in row.cells):
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
            _line([escape(title) for title in table.header]),
            r"\midrule",
            *both,
            r"\bottomrule",
            r"\end{tabular}}",
            *(_notes(table, cites) if last else []),
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _characters(table: Table) -> int:
    """Return the width of the widest line, if every column were as wide as its widest cell."""
    rows = [table.header, *(row.texts for row in table.rows)]
    return sum(max(map(len, column)) + BETWEEN for column in zip(*rows, strict=True)) - BETWEEN


def _notes(table: Table, cites: _Cites) -> list[str]:
    lines = [f"{escape(sign)}~{escape(text)}." for sign, text in table.marks]
    lines += [f"$^{{{sign}}}$~{text}" for text, sign in cites.remarks.items()]
    lines += [escape(note) for note in table.notes]
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


def _label(row: Row, cites: _Cites) -> str:
    return f"{escape(row.label)}{escape(row.signs)}{cites.methods(_records(row))}"


def _records(row: Row) -> Iterator[Record]:
    """Yield what the measured numbers of a row are from."""
    results = [cell.value for cell in row.cells if isinstance(cell.value, Result)]
    return (record for result in results for record in result.records)


def _published(row: Row, cites: _Cites) -> str:
    texts = [
        escape(cell.text) if cell.text in ("", NOTHING) else rf"\textit{{{cell.text}}}{escape(cell.signs)}"
        for cell in row.cells
    ]
    return _line([rf"\textit{{{escape(row.label)}}}{cites.published(row)}", *texts])


def _cell(cell: Cell) -> str:
    command = {BEST: r"\textbf", TIED: r"\textbf", SECOND: r"\underline"}.get(cell.rank)
    text = rf"{command}{{{escape(cell.number)}}}" if command else escape(cell.number)
    if cell.deviation:
        text += rf"{{\scriptsize~$\pm$~{cell.deviation}}}"
    if cell.difference:
        text += rf"{{\scriptsize~({escape(cell.difference)})}}"
    return text + escape(cell.signs)
