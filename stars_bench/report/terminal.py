"""Tables as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import rich.table
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from stars_bench.report.table import BEST, NOTHING, SECOND, TIED, Cell, Footnote, Table

PUBLISHED_STYLE = "dim italic"
NARROW_LABEL = 16
"""Labels are wrapped to this width before a table is cut in two."""
RANK_STYLES = {BEST: "bold", TIED: "bold", SECOND: "underline"}


def render(tables: Sequence[Table], width: int = 80) -> RenderableType:
    """Make what rich prints; a table that is too wide continues in a second one.

    Args:
        tables: The tables.
        width: Characters of a line.
    """
    parts: list[RenderableType] = []
    for table in tables:
        parts += [Text(table.title, style="bold"), Text(table.subtitle, style="dim")]
        for columns in _fit(table, width):
            parts.append(Padding(_rich_table(table, columns), (0, 0, 1, 0), expand=False))
        parts.append(Padding(_rich_notes(table.footnotes), (0, 0, 1, 1)))
    return Group(*parts)


def _fit(table: Table, width: int) -> list[list[int]]:
    """Return column numbers of the parts that a table needs in this width; each starts with label and seeds."""
    rows = [row.texts for row in table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.header))]
    widths = [max(w, *map(len, name.split(" ", 1))) + 2 for w, name in zip(widths, table.header, strict=True)]
    room = width - min(widths[0], NARROW_LABEL + 2) - widths[1]
    parts: list[list[int]] = [[]]
    used = 0
    for i in range(2, len(table.header)):
        if parts[-1] and used + widths[i] > room:
            parts.append([])
            used = 0
        parts[-1].append(i)
        used += widths[i]
    return [[0, 1, *columns] for columns in parts]


def _rich_table(table: Table, columns: Sequence[int]) -> rich.table.Table:
    grid = rich.table.Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=True, padding=(0, 1), collapse_padding=True)
    grid.add_column(table.header[0], overflow="fold")
    grid.add_column(table.header[1], justify="right", no_wrap=True)
    for i in columns[2:]:
        grid.add_column(Text(table.header[i].replace(" ", "\n", 1)), no_wrap=True)
    for row in table.measured:
        cells = [Text(row.label + row.signs), *map(_rich_cell, row.cells)]
        grid.add_row(*(cells[i] for i in columns))
    published = [texts for texts in (row.texts for row in table.published) if _says(texts, columns)]
    if published:
        grid.add_section()
        grid.add_row(Text("published", style="dim"))
    for texts in published:
        grid.add_row(*(Text(texts[i], style=PUBLISHED_STYLE) for i in columns))
    return grid


def _says(texts: Sequence[str], columns: Sequence[int]) -> bool:
    return any(texts[i] != NOTHING for i in columns[2:])


def _rich_cell(cell: Cell) -> Text:
    return Text.assemble((cell.text, RANK_STYLES.get(cell.rank, "")), cell.signs)


def _rich_notes(notes: Sequence[Footnote]) -> rich.table.Table:
    grid = rich.table.Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for sign, text in notes:
        grid.add_row(Text(sign), Text(text, style="dim"))
    return grid
