"""Tables in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from stars_bench.display.console import shown
from stars_bench.report.table import BEST, NOTHING, TIED, Cell, Table


def render(tables: Sequence[Table]) -> str:
    """Write a heading, a table (best of a column in bold) and its footnotes per table.

    Args:
        tables: The tables.
    """
    return "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line([_plain(row.label) + _plain(row.signs), *map(_cell, row.cells)]) for row in table.measured]
    if table.published:
        rows.append(line(["*published*", *[""] * (len(table.header) - 1)]))
        rows += [
            line(f"*{_plain(cell)}*" if cell not in ("", NOTHING) else cell for cell in row)
            for row in (published.texts for published in table.published)
        ]
    rule = line([":---", *["---:"] * (len(table.header) - 1)])
    notes = [f"- {_plain(f'{sign} {text}'.strip())}" for sign, text in table.footnotes]
    parts = [
        f"### {_plain(table.title)}",
        "",
        _plain(f"{table.subtitle[0].upper()}{table.subtitle[1:]}."),
        "",
        line(map(_plain, table.header)),
        rule,
        *rows,
        "",
        *notes,
        "",
    ]
    return "\n".join(parts)


def _cell(cell: Cell) -> str:
    text = _plain(cell.text)
    return (f"**{text}**" if cell.rank in (BEST, TIED) else text) + _plain(cell.signs)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line of a table, and that no terminal obeys."""
    return re.sub(r"([\\`*_|<>\[\]&~$])", r"\\\1", shown(" ".join(text.split())))
