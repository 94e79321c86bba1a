"""Tables in GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from stars_bench.display.console import shown
from stars_bench.report.table import BEST, NOTHING, TIED, Cell, Group, Row, Table


def render(tables: Sequence[Table]) -> str:
    """Write a heading, a table (best of a column in bold) and its footnotes per table.

    Args:
        tables: The tables.
    """
    return "\n".join(map(_table, tables))


def _table(table: Table) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    width = len(table.header)
    rows = []
    for group in table.groups:
        if heading := table.heading_line(group):
            rows.append(line([f"*{plain(heading)}*", *[""] * (width - 1)]))
        rows += [line(_texts(table, group, row)) for row in group.rows]
    rule = line([":---" if is_text else "---:" for is_text in table.is_text])
    notes = [f"- {plain(f'{sign} {text}'.strip())}" for sign, text in table.footnotes]
    parts = [
        f"### {plain(table.title)}",
        "",
        plain(f"{table.subtitle[0].upper()}{table.subtitle[1:]}."),
        "",
        line(map(plain, table.header)),
        rule,
        *rows,
        "",
        *notes,
        "",
    ]
    return "\n".join(parts)


def _texts(table: Table, group: Group, row: Row) -> list[str]:
    """Return the cells of a row."""
    name = f"**{plain(row.label)}**" if row.in_bold else plain(row.label)
    source = f" {plain(row.source)}" if row.source else ""
    texts = [name + plain(row.signs) + source, *map(_cell, row.cells)]
    if row.in_italics:
        texts = [text if text in ("", NOTHING) else f"*{text}*" for text in texts]
    return [*map(plain, table.before(group, row)), *texts]


def _cell(cell: Cell) -> str:
    text = plain(cell.text)
    return (f"**{text}**" if cell.rank in (BEST, TIED) else text) + plain(cell.signs)


def plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line of a table, and that no terminal obeys."""
    return re.sub(r"([\\`*_|<>\[\]&~$])", r"\\\1", shown(" ".join(text.split())))
