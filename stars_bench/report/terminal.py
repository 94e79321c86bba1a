"""Reports as people read them in a terminal (rich) and in Markdown. Both print the strings of `cells`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stars_bench.report.cells import BEST, NOTHING, SECOND, Entry, Sheet, sheets
from stars_bench.report.leaderboard import Board
from stars_bench.report.pivot import By

PUBLISHED_STYLE = "dim italic"
NARROW_LABEL = 16
"""Labels are wrapped to this width before a table is cut in two."""
PLACE_STYLES = {BEST: "bold", SECOND: "underline"}


def to_rich(boards: Sequence[Board], width: int = 80, by: By = "dataset") -> RenderableType:
    """Tables for a terminal of `width` columns; one that is too wide continues in a second table."""
    parts: list[RenderableType] = []
    for content in sheets(boards, by):
        parts += [Text(content.title, style="bold"), Text(content.subtitle, style="dim")]
        for columns in _fit(content, width):
            parts.append(Padding(_rich_table(content, columns), (0, 0, 1, 0), expand=False))
        parts.append(Padding(_rich_notes(content.footnotes), (0, 0, 1, 1)))
    return Group(*parts)


def to_markdown(boards: Sequence[Board], by: By = "dataset") -> str:
    """A heading, a table (best of a column in bold) and its footnotes per table, in GitHub's Markdown."""
    return "\n".join(_markdown(content) for content in sheets(boards, by))


# ------------------------------------------------------------------------------------------------ terminal


def _fit(content: Sheet, width: int) -> list[list[int]]:
    """Column numbers of the tables that a sheet needs in this width; each starts with label and seeds."""
    rows = [row.texts for row in (*content.measured, *content.published)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(content.header))]
    widths = [max(w, *map(len, name.split(" ", 1))) + 2 for w, name in zip(widths, content.header, strict=True)]
    room = width - min(widths[0], NARROW_LABEL + 2) - widths[1]
    tables: list[list[int]] = [[]]
    used = 0
    for i in range(2, len(content.header)):
        if tables[-1] and used + widths[i] > room:
            tables.append([])
            used = 0
        tables[-1].append(i)
        used += widths[i]
    return [[0, 1, *columns] for columns in tables]


def _rich_table(content: Sheet, columns: Sequence[int]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=True, padding=(0, 1), collapse_padding=True)
    table.add_column(content.header[0], overflow="fold")
    table.add_column(content.header[1], justify="right", no_wrap=True)
    for i in columns[2:]:
        table.add_column(Text(content.header[i].replace(" ", "\n", 1)), no_wrap=True)
    for row in content.measured:
        table.add_row(*(_rich_entry(row.entries[i]) for i in columns))
    published = [texts for texts in (row.texts for row in content.published) if _says(texts, columns)]
    if published:
        table.add_section()
        table.add_row(Text("published", style="dim"))
    for texts in published:
        table.add_row(*(Text(texts[i], style=PUBLISHED_STYLE) for i in columns))
    return table


def _says(texts: Sequence[str], columns: Sequence[int]) -> bool:
    return any(texts[i] != NOTHING for i in columns[2:])


def _rich_entry(entry: Entry) -> Text:
    return Text.assemble((entry.text, PLACE_STYLES.get(entry.place, "")), entry.signs)


def _rich_notes(notes: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for sign, text in notes:
        grid.add_row(Text(sign), Text(text, style="dim"))
    return grid


# ------------------------------------------------------------------------------------------------ Markdown


def _markdown(content: Sheet) -> str:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    rows = [line(_markdown_entry(entry) for entry in row.entries) for row in content.measured]
    if content.published:
        rows.append(line(["*published*", *[""] * (len(content.header) - 1)]))
        rows += [
            line(f"*{_plain(cell)}*" if cell not in ("", NOTHING) else cell for cell in row)
            for row in (told.texts for told in content.published)
        ]
    rule = line([":---", *["---:"] * (len(content.header) - 1)])
    notes = [f"- {_plain(f'{sign} {text}'.strip())}" for sign, text in content.footnotes]
    parts = [
        f"### {content.title}",
        "",
        f"{content.subtitle[0].upper()}{content.subtitle[1:]}.",
        "",
        line(map(_plain, content.header)),
        rule,
        *rows,
        "",
        *notes,
        "",
    ]
    return "\n".join(parts)


def _markdown_entry(entry: Entry) -> str:
    text = _plain(entry.text)
    return (f"**{text}**" if entry.place == BEST else text) + _plain(entry.signs)


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line of a table."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))
