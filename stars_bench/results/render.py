"""Boards as people read them: a terminal table (rich), Markdown, and CSV.

The first two share one sheet of strings, so that a mark or a footnote cannot be in one and missing from the other.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pandas as pd
from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stars_bench.results.published import Published
from stars_bench.results.tables import Board, Cell, Column, PublishedRow, Row

MARKS = "*†‡§¶‖"
NOTHING = "–"
PUBLISHED_STYLE = "dim italic"
NARROW_LABEL = 16
"""Labels are wrapped to this width before a table is cut in two."""


@dataclass
class _Notes:
    """Footnotes in the order in which they are first needed: (sign, text)."""

    marks: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def mark(self, reasons: Iterable[str]) -> str:
        """The signs of these reasons."""
        for reason in reasons:
            place = len(self.marks)
            self.marks.setdefault(reason, MARKS[place % len(MARKS)] * (1 + place // len(MARKS)))
        return "".join(self.marks[reason] for reason in reasons)

    def source(self, text: str) -> str:
        """The number of this source."""
        return self.sources.setdefault(text, f"[{len(self.sources) + 1}]")

    def lines(self) -> list[tuple[str, str]]:
        return [(sign, text) for notes in (self.marks, self.sources) for text, sign in notes.items()]


@dataclass(frozen=True)
class Sheet:
    """A board in strings. Rows begin with the label and the number of seeds; notes are (sign, text)."""

    title: str
    subtitle: str
    header: list[str]
    measured: list[list[str]]
    published: list[list[str]]
    notes: list[tuple[str, str]]


def sheet(board: Board) -> Sheet:
    """The strings of a board, with its footnotes numbered."""
    notes = _Notes()
    measured = [_measured(row, board.columns, notes) for row in board.rows]
    published = [_published(row, board.columns, notes) for row in board.published]
    header = ["method", "seeds", *(column.title for column in board.columns)]
    lines = notes.lines() + [("", note) for note in board.notes]
    return Sheet(board.title, board.subtitle, header, measured, published, lines)


def to_rich(boards: Sequence[Board], width: int = 80) -> RenderableType:
    """Tables for a terminal of `width` columns; one that is too wide continues in a second table."""
    parts: list[RenderableType] = []
    for board in boards:
        content = sheet(board)
        parts += [Text(content.title, style="bold"), Text(content.subtitle, style="dim")]
        for columns in _fit(content, width):
            parts.append(Padding(_rich_table(content, columns), (0, 0, 1, 0), expand=False))
        parts.append(Padding(_rich_notes(content.notes), (0, 0, 1, 1)))
    return Group(*parts)


def to_markdown(boards: Sequence[Board]) -> str:
    """A heading, a table and its footnotes per board, in GitHub's Markdown."""
    return "\n".join(_markdown(sheet(board)) for board in boards)


def to_csv(boards: Sequence[Board]) -> str:
    """One tidy line per number, measured and published, all metrics; text that a spreadsheet would run is quoted."""
    lines = [
        *(line for board in boards for row in board.rows for line in _measured_lines(board, row)),
        *(line for board in boards for row in board.published for line in _published_lines(board, row)),
    ]
    frame = pd.DataFrame(lines, columns=list(_CSV_COLUMNS))
    frame = frame.map(lambda value: _harmless(value) if isinstance(value, str) else value)
    for counts in ("seeds", "clips"):
        frame[counts] = frame[counts].astype("Int64")
    return str(frame.to_csv(index=False, lineterminator="\n"))


# ------------------------------------------------------------------------------------------------- strings


def _measured(row: Row, columns: Sequence[Column], notes: _Notes) -> list[str]:
    counts = sorted({cell.main.n for cell in row.cells.values()})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]}-{counts[-1]}"
    label = row.label + notes.mark(row.marks)
    cells = [row.cells.get(column.title) for column in columns]
    return [label, seeds, *(_number(cell) + notes.mark(cell.marks) if cell else NOTHING for cell in cells)]


def _number(cell: Cell) -> str:
    main = cell.main
    digits = 1 if main.unit == "%" else 2
    return f"{main.mean:.{digits}f}" + ("" if main.std is None else f" ±{main.std:.{digits}f}")


def _published(row: PublishedRow, columns: Sequence[Column], notes: _Notes) -> list[str]:
    label = f"{row.method} {notes.source(_sources(row))}"
    cells = [row.cells.get(column.title) for column in columns]
    return [label, "", *(f"{cell.value:.1f}" if cell else NOTHING for cell in cells)]


def _sources(row: PublishedRow) -> str:
    """Where the numbers of a row were read, and what other sources say: one sentence per different source."""
    by_source: dict[str, list[str]] = {}
    for title, number in row.cells.items():
        by_source.setdefault(_source(number), []).append(title)
    if len(by_source) == 1:
        return next(iter(by_source))
    return ". ".join(f"{', '.join(titles)}: {source}" for source, titles in by_source.items())


def _source(number: Published) -> str:
    origin = number.source if number.confidence == "direct" else f"second-hand, {number.source}"
    if not number.conflicts:
        return origin
    others = "; ".join(f"{other.value:g} as {other.stated_as} ({other.source})" for other in number.conflicts)
    return f"{origin}; other sources say {others}"


# ------------------------------------------------------------------------------------------------ terminal


def _fit(content: Sheet, width: int) -> list[list[int]]:
    """Column numbers of the tables that a sheet needs in this width; each starts with label and seeds."""
    rows = content.measured + content.published
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
        table.add_row(*(Text(row[i]) for i in columns))
    published = [row for row in content.published if any(row[i] != NOTHING for i in columns[2:])]
    if published:
        table.add_section()
        table.add_row(Text("published", style="dim"))
    for row in published:
        table.add_row(*(Text(row[i], style=PUBLISHED_STYLE) for i in columns))
    return table


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

    rows = [line(_plain(cell) for cell in row) for row in content.measured]
    if content.published:
        rows.append(line(["*published*", *[""] * (len(content.header) - 1)]))
        rows += [
            line(f"*{_plain(cell)}*" if cell not in ("", NOTHING) else cell for cell in row)
            for row in content.published
        ]
    rule = line([":---", *["---:"] * (len(content.header) - 1)])
    notes = [f"- {_plain(f'{sign} {text}'.strip())}" for sign, text in content.notes]
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


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, on one line of a table."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", " ".join(text.split()))


# ----------------------------------------------------------------------------------------------------- CSV

_CSV_COLUMNS = (
    *(
        "kind",
        "dataset",
        "profile",
        "protocol",
        "validation",
        "method",
        "label",
        "preset",
        "evaluation",
        "settings",
        "metric",
    ),
    *("value", "std", "seeds", "low", "high", "clips", "unit", "marks", "source", "confidence", "conflicts"),
)


def _measured_lines(board: Board, row: Row) -> list[dict[str, object]]:
    shared = {
        "kind": "measured",
        "dataset": board.dataset,
        "profile": board.profile,
        "protocol": board.protocol,
        "validation": board.validation,
        "method": row.method,
        "label": row.label,
        "preset": row.preset,
    }
    return [
        shared
        | {
            "evaluation": column.evaluation,
            "settings": json.dumps(dict(column.settings), sort_keys=True),
            "metric": name,
            "value": round(number.mean, 4),
            "std": None if number.std is None else round(number.std, 4),
            "seeds": number.n,
            "low": None if number.low is None else round(number.low, 4),
            "high": None if number.high is None else round(number.high, 4),
            "clips": number.clips,
            "unit": number.unit,
            "marks": "; ".join((*row.marks, *row.cells[column.title].marks)),
        }
        for column in board.columns
        if column.title in row.cells
        for name, number in row.cells[column.title].metrics.items()
    ]


def _published_lines(board: Board, row: PublishedRow) -> list[dict[str, object]]:
    return [
        {
            "kind": "published",
            "dataset": board.dataset,
            "protocol": board.protocol,
            "method": row.method,
            "label": number.stated_as,
            "evaluation": column.evaluation,
            "settings": json.dumps(dict(column.settings), sort_keys=True),
            "metric": number.metric,
            "value": number.value,
            "unit": "%",
            "source": number.source,
            "confidence": number.confidence,
            "conflicts": "; ".join(f"{other.value:g} ({other.source})" for other in number.conflicts),
        }
        for column in board.columns
        if (number := row.cells.get(column.title))
    ]


def _harmless(text: str) -> str:
    """Spreadsheets run text that begins with one of these as a formula; an apostrophe keeps it text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
