r"""Tables in LaTeX for \input: best in bold, second underlined, published rows apart.

With booktabs and graphicx: a table that is wider than the text is shrunk to it. Footnotes stand under each table; what
is cited is in a .bib file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stars_bench.errors import UsageError
from stars_bench.report.bibliography import Bibliography
from stars_bench.report.latex_cites import Cites, of_results
from stars_bench.report.latex_escape import escape
from stars_bench.report.table import BEST, NOTHING, SECOND, TIED, Cell, Group, Row, Table

ROWS_PER_PAGE = 36
"""A float cannot break over pages: longer tables go on in a second one."""
FLOATS_HELD = 16
"""LaTeX keeps so many floats waiting for a page, and stops at more."""
CHARACTERS_PER_TEXT_COLUMN, BETWEEN = 56, 2
"""Tables of more characters a line, with as many between two cells, span both columns of a two-column paper."""
FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""What is in it is shrunk where it is wider than the text, and left alone elsewhere."""

RANKS = {BEST: r"\textbf", TIED: r"\textbf", SECOND: r"\underline"}
COLOURS = {BEST: "red", TIED: "red", SECOND: "blue"}
SHADE = r"\rowcolor[gray]{0.92} "


class Latex(NamedTuple):
    """Tables in LaTeX.

    Args:
        tables: The tables.
        bibliography: The entries that they cite.
    """

    tables: str
    bibliography: str


def render(tables: Sequence[Table], bibliography: str | None = None) -> Latex:
    r"""Write one table environment per table (and page).

    Args:
        tables: The tables.
        bibliography: The name that \bibliography takes, for the comment at the top; None: nothing is cited.
    """
    cited = Bibliography()
    bodies = [body for table in tables for body in _table(table, Cites(cited, bibliography is not None))]
    head = [rf"% Needs \usepackage{{{','.join(_packages(tables))}}}; \input this file."]
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


def _packages(tables: Sequence[Table]) -> list[str]:
    """Name the packages that tables need."""
    extra = {
        "siunitx": any(table.style.siunitx for table in tables),
        "colortbl": any(row.is_shaded for table in tables for row in table.rows),
        "xcolor": any(table.style.colours for table in tables),
    }
    return ["booktabs", "graphicx", *(name for name, is_needed in extra.items() if is_needed)]


def _table(table: Table, cites: Cites) -> list[str]:
    parts = list(_pages(table.groups))
    return [_float(table, part, cites, place == 0, place == len(parts) - 1) for place, part in enumerate(parts)]


def _pages(groups: Sequence[Group]) -> Iterator[list[Group]]:
    """Yield the groups of each page; only one that no page holds whole is cut."""
    page: list[Group] = []
    room = ROWS_PER_PAGE
    for group in groups:
        rows = group.rows
        if page and room < len(rows) <= ROWS_PER_PAGE:
            yield page
            page, room = [], ROWS_PER_PAGE
        while len(rows) > room:
            yield [*page, Group(group.heading, rows[:room])]
            page, rows, room = [], rows[room:], ROWS_PER_PAGE
        if rows:
            page.append(Group(group.heading, rows))
            room -= len(rows)
    if page:
        yield page


def _float(table: Table, part: Sequence[Group], cites: Cites, first: bool, last: bool) -> str:
    is_wide = _characters(table) > CHARACTERS_PER_TEXT_COLUMN if table.style.wide is None else table.style.wide
    kind = "table*" if is_wide else "table"
    body: list[str] = []
    for group in part:
        body += [r"\midrule"] if body else []
        if heading := table.heading_line(group):
            body.append(_line([rf"\multicolumn{{{len(table.header)}}}{{l}}{{\emph{{{escape(heading)}}}}}"]))
        body += [_row(table, group, row, cites) for row in group.rows]
    caption, described = _caption(table, cites, first)
    return "\n".join(
        [
            rf"\begin{{{kind}}}[tbp]",
            r"\centering\small",
            r"\setlength{\tabcolsep}{4pt}",
            rf"\caption{{{caption}}}",
            *([rf"\label{{{table.style.label}}}"] if first and table.style.label else []),
            FIT,
            rf"\begin{{tabular}}{{{''.join(_columns(table))}}}",
            r"\toprule",
            *_head(table),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            *(_notes(table, cites, described) if last else []),
            rf"\end{{{kind}}}",
            "",
        ]
    )


def _caption(table: Table, cites: Cites, first: bool) -> tuple[str, list[str]]:
    """Return the caption, and what a caption of the user's own leaves for the notes."""
    data = cites.datasets(of_results(table.results))
    ranking = [escape(table.ranking)] if table.ranking else []
    described = [f"{escape(_sentence(table))}{data}.", *ranking] if table.captioned else []
    if not first:
        return f"{escape(table.title)} (continued).", described
    if table.captioned:
        return escape(table.title), described
    return " ".join([f"{escape(f'{table.title}: {table.subtitle}')}{data}.", *ranking]), []


def _sentence(table: Table) -> str:
    return f"{table.subtitle[0].upper()}{table.subtitle[1:]}"


def _head(table: Table) -> list[str]:
    r"""Return the rows of the head; upper heads are centred over their columns, with a rule under each."""
    lines = []
    *upper, lowest = table.heads
    for heads in upper:
        texts = [rf"\multicolumn{{{one.width}}}{{c}}{{{escape(one.text)}}}" if one.text else "" for one in heads]
        rules = [rf"\cmidrule(lr){{{one.first + 1}-{one.first + one.width}}}" for one in heads if one.text]
        lines += [_line(texts), "".join(rules)]
    aligned = _aligned(table)
    return [*lines, _line([f"{{{escape(one.text)}}}" if aligned[one.first] else escape(one.text) for one in lowest])]


def _columns(table: Table) -> list[str]:
    """Return how each column is set."""
    found = []
    for place, (is_text, is_aligned) in enumerate(zip(table.is_text, _aligned(table), strict=True)):
        found.append(_decimal(table, place) if is_aligned else "l" if is_text else "r")
    return found


def _aligned(table: Table) -> list[bool]:
    """Say of each column whether siunitx sets it: those that hold results."""
    lead = len(table.lead)
    columns = ([row.cells[place] for row in table.rows] for place in range(len(table.columns)))
    holds = [table.style.siunitx and any(cell.value is not None for cell in cells) for cells in columns]
    return [*[False] * lead, *holds]


def _decimal(table: Table, place: int) -> str:
    """Return a column of siunitx with room for its longest number and for the longest of what follows a number."""
    cells = [row.cells[place - len(table.lead)] for row in table.rows]
    after = max((_after(cell) for cell in cells), key=len)
    space = rf",table-space-text-post={{{after}}}" if after else ""
    return rf"S[detect-weight,mode=text,table-format={_format(cells)}{space}]"


def _format(cells: Sequence[Cell]) -> str:
    parts = [cell.number.partition(".") for cell in cells if cell.value is not None]
    return ".".join(str(max(len(part[side]) for part in parts)) for side in (0, 2))


def _row(table: Table, group: Group, row: Row, cites: Cites) -> str:
    name = escape(row.label)
    for command, is_so in ((r"\textbf", row.in_bold), (r"\textit", row.in_italics)):
        name = rf"{command}{{{name}}}" if is_so else name
    before = [escape(text) for text in table.before(group, row)]
    aligned = _aligned(table)[len(table.lead) :]
    cells = [
        _aligned_cell(place, row, table) if is_aligned else _cell(row.cells[place], row, table)
        for place, is_aligned in enumerate(aligned)
    ]
    shade = SHADE if row.is_shaded else ""
    return shade + _line([*before, f"{name}{escape(row.signs)}{cites.label(row)}", *cells])


def _cell(cell: Cell, row: Row, table: Table) -> str:
    number = escape(cell.number)
    if cell.value is None or cell.number in ("", NOTHING):
        return number
    number = rf"\textit{{{number}}}" if row.in_italics else number
    if command := RANKS.get(cell.rank):
        number = rf"{command}{{{number}}}"
    if cell.rank and table.style.colours:
        number = rf"\textcolor{{{COLOURS[cell.rank]}}}{{{number}}}"
    return number + _after(cell)


def _aligned_cell(place: int, row: Row, table: Table) -> str:
    """Return a cell of a column of siunitx; what it cannot parse stands in braces."""
    cell = row.cells[place]
    if cell.value is None:
        return f"{{{escape(cell.number)}}}" if cell.number else ""
    colour = rf"\color{{{COLOURS[cell.rank]}}}" if cell.rank and table.style.colours else ""
    italics = r"\itshape" if row.in_italics else ""
    after = f"{{{_after(cell)}}}" if _after(cell) else ""
    if cell.rank == SECOND:  # an underlined number is no number to siunitx
        form = _format([one.cells[place] for one in table.rows])
        number = rf"\underline{{\tablenum[table-format={form}]{{{cell.number}}}}}"
        return f"{{{colour}{italics}{number}{after}}}"
    bold = r"\bfseries" if cell.rank else ""
    return f"{f'{colour}{italics}{bold} '.lstrip()}{cell.number}{after}"


def _after(cell: Cell) -> str:
    """Return what follows a number: deviation, difference, signs."""
    deviation = rf"{{\scriptsize~$\pm$~{cell.deviation}}}" if cell.deviation else ""
    difference = rf"{{\scriptsize~({escape(cell.difference)})}}" if cell.difference else ""
    return deviation + difference + escape(cell.signs)


def _characters(table: Table) -> int:
    """Return the width of the widest line, if every column were as wide as its widest cell."""
    rows = [[*table.before(group, row), *row.texts] for group in table.groups for row in group.rows]
    heads = [head.text for head in table.heads[-1]]
    return sum(max(map(len, column)) + BETWEEN for column in zip(heads, *rows, strict=True)) - BETWEEN


def _notes(table: Table, cites: Cites, described: Sequence[str]) -> list[str]:
    lines = [*described, *(f"{escape(sign)}~{escape(text)}." for sign, text in table.marks)]
    lines += [f"$^{{{sign}}}$~{text}" for text, sign in cites.remarks.items()]
    lines += [escape(note) for note in table.notes if note != table.ranking]
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
