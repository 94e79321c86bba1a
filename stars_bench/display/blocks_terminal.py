"""Blocks for the terminal, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from itertools import pairwise
from typing import TYPE_CHECKING

from stars_bench.display.blocks import Bars, Block, Curve, Curves, Facts, Inspection, Notes, Table

if TYPE_CHECKING:
    from rich.console import RenderableType

LEVELS = "▁▂▃▄▅▆▇█"
WIDTH_OF_CURVE = 24
MOST_BARS = 12  # more names than this are told in one line
WIDTH_OF_BARS = 24


def to_rich(inspection: Inspection, everything: bool = False) -> RenderableType:
    """Return an inspection for the terminal; with `everything`, all bars, even if there are many."""
    from rich.console import Group
    from rich.text import Text

    head = [Text(inspection.title, "bold", overflow="fold")]
    head += [Text(inspection.subtitle)] if inspection.subtitle else []
    return Group(*head, blocks_to_rich(inspection.blocks, everything))


def blocks_to_rich(blocks: Sequence[Block], everything: bool = False) -> RenderableType:
    """Stack blocks, one under the other."""
    from rich.console import Group

    shown: list[RenderableType] = []
    for place, block in enumerate(blocks):
        one_line = isinstance(block, Notes) or (isinstance(block, Bars) and _in_one_line(block, everything))
        if place and not one_line:
            shown.append("")
        shown.append(_bars(block, everything) if isinstance(block, Bars) else _shown(block))
    return Group(*shown)


@singledispatch
def _shown(block: Block) -> RenderableType:
    raise TypeError(type(block).__name__)


@_shown.register(Facts)
def _facts(block: Facts) -> RenderableType:
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=block.title or None, title_justify="left", box=None, pad_edge=False, show_header=False)
    for name, value in block.rows.items():
        table.add_row(Text(name, "dim"), Text(value, overflow="fold"))
    return table


@_shown.register(Table)
def _table(block: Table) -> RenderableType:
    from rich.table import Table as RichTable
    from rich.text import Text

    table = RichTable(title=block.title, title_justify="left", box=None, pad_edge=False)
    for column in block.header:
        table.add_column(column, justify="left" if column in block.words else "right", overflow="fold")
    for row in block.rows:
        table.add_row(*(Text(value) for value in row))
    return table


def _in_one_line(block: Bars, everything: bool) -> bool:
    return bool(block.told) and len(block.counts) > MOST_BARS and not everything


def _bars(block: Bars, everything: bool) -> RenderableType:
    from rich.table import Table as RichTable
    from rich.text import Text

    if _in_one_line(block, everything):
        return Text.assemble((f"{block.title} ", "dim"), block.told)
    most = max((count for _, count in block.counts), default=0) or 1
    table = RichTable(title=block.title, title_justify="left", box=None, pad_edge=False, show_header=False)
    table.add_column(max_width=44)
    table.add_column(justify="right")
    for name, count in block.counts:
        table.add_row(Text(name), f"{count:,}", Text("█" * round(WIDTH_OF_BARS * count / most), "blue"))
    return table


@_shown.register(Curves)
def _curves(block: Curves) -> RenderableType:
    rows = tuple(_curve(curve) for curve in block.curves)
    return _table(
        Table(
            block.title, ("stage", "quantity", "first", "last", "epochs", "curve"), rows, ("stage", "quantity", "curve")
        )
    )


def _curve(curve: Curve) -> tuple[str, ...]:
    values = [value for value in curve.values if value is not None]
    name = f"{curve.stage} {curve.title}".strip()
    return name, curve.quantity, f"{values[0]:.4g}", f"{values[-1]:.4g}", f"{curve.epochs[-1]:g}", sparkline(values)


def sparkline(values: Sequence[float], width: int = WIDTH_OF_CURVE, lowest: float | None = None) -> str:
    """Draw values as a row of blocks, from `lowest` (default: their own) to the highest.

    If there are more than `width` values, neighbours are averaged.
    """
    parts = min(width, len(values))
    ends = [round(place * len(values) / parts) for place in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(ends)]
    low, high = min(means) if lowest is None else lowest, max(means)
    return "".join(LEVELS[round((len(LEVELS) - 1) * (mean - low) / ((high - low) or 1))] for mean in means)


@_shown.register(Notes)
def _notes(block: Notes) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    start = {"plain": "", "warning": "warning: ", "list": "  - "}[block.kind]
    style = "yellow" if block.kind == "warning" else ""
    return Group(*(Text(f"{start}{line}", style) for line in block.lines))
