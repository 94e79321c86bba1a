"""Tables as people read them in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import rich.table
from rich import box
from rich.console import Group as Rendered
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from stars_bench.report.table import BEST, SECOND, TIED, Cell, Footnote, Group, Row, Table

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
    return Rendered(*parts)


def _fit(table: Table, width: int) -> list[list[int]]:
    """Return column numbers of the parts that a table needs in this width; each starts with what stands in front.

    In front are the label (and the heading of the group) and, where they come first, the seeds.
    """
    rows = [_texts(table, group, row) for group in table.groups for row in group.rows]
    heads = _heads(table, range(len(table.header)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    widths = [max(w, *map(len, head.split("\n"))) + 2 for w, head in zip(widths, heads, strict=True)]
    label = len(table.lead) - 1
    front = label + 1 + (bool(table.columns) and table.columns[0].title == "seeds")
    taken = sum(widths[:front]) - widths[label]
    room = width - min(widths[label], NARROW_LABEL + 2) - taken
    parts: list[list[int]] = [[]]
    used = 0
    for i in range(front, len(table.header)):
        if parts[-1] and used + widths[i] > room:
            parts.append([])
            used = 0
        parts[-1].append(i)
        used += widths[i]
    return [[*range(front), *columns] for columns in parts]


def _heads(table: Table, columns: Sequence[int]) -> list[str]:
    """Return the heads of these columns, a line a level; one that stands over several stands over the first."""
    levels = [{head.first + place: (head, place) for head in row for place in range(head.width)} for row in table.heads]
    if len(levels) == 1:
        lead = len(table.lead) + 1
        return [table.header[i] if i < lead else table.header[i].replace(" ", "\n", 1) for i in columns]
    found = []
    for place, i in enumerate(columns):
        over = [level[i] for level in levels]
        texts = [head.text if at == 0 or columns[place - 1] < head.first else "" for head, at in over]
        found.append("\n".join(texts))
    return found


def _rich_table(table: Table, columns: Sequence[int]) -> rich.table.Table:
    grid = rich.table.Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=True, padding=(0, 1), collapse_padding=True)
    label = len(table.lead) - 1
    for i, head in zip(columns, _heads(table, columns), strict=True):
        if i == label:
            grid.add_column(Text(head), overflow="fold")
        else:
            justify: Literal["left", "right"] = "right" if _is_plain(table, i) else "left"
            grid.add_column(Text(head), justify=justify, no_wrap=True)
    for group in table.groups:
        rows = [(row, _rich_row(table, group, row)) for row in group.rows]
        said = [cells for row, cells in rows if not row.is_published or _says(row, columns, len(table.lead))]
        if not said:
            continue
        grid.add_section()
        if heading := table.heading_line(group):
            grid.add_row(Text(heading, style="dim"))
        for cells in said:
            grid.add_row(*(cells[i] for i in columns))
    return grid


def _is_plain(table: Table, i: int) -> bool:
    """Whether a column holds bare numbers, which align at their end: no results, whose deviations and signs follow."""
    cells = [row.cells[i - len(table.lead)] for row in table.rows] if i >= len(table.lead) else []
    return not table.is_text[i] and all(cell.value is None for cell in cells)


def _texts(table: Table, group: Group, row: Row) -> list[str]:
    return [*table.before(group, row), *row.texts]


def _says(row: Row, columns: Sequence[int], before: int) -> bool:
    """Whether a row has a number in one of these columns."""
    return any(row.cells[i - before].value is not None for i in columns if i >= before)


def _rich_row(table: Table, group: Group, row: Row) -> list[Text]:
    name = Text(row.texts[0])
    name.stylize("bold" if row.in_bold else "", 0, len(row.label))
    cells = [*map(Text, table.before(group, row)), name, *map(_rich_cell, row.cells)]
    for cell in cells if row.in_italics else ():
        cell.stylize(PUBLISHED_STYLE)
    return cells


def _rich_cell(cell: Cell) -> Text:
    return Text.assemble((cell.text, RANK_STYLES.get(cell.rank, "")), cell.signs)


def _rich_notes(notes: Sequence[Footnote]) -> rich.table.Table:
    grid = rich.table.Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for sign, text in notes:
        grid.add_row(Text(sign), Text(text, style="dim"))
    return grid
