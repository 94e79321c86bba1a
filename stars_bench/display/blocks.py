"""The content of an inspection: facts, tables, counts, curves and notes, in order, for any display.

`terminal` shows them in a terminal, `inspection` as a page; both see the same strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Facts:
    """Names and values.

    Args:
        rows: Values by name.
        title: Heading. Default: none.
    """

    rows: Mapping[str, str]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table of strings.

    Args:
        title: Heading.
        header: Names of the columns.
        rows: Cells, row by row.
        words: Columns that hold text and are aligned left; numbers are aligned right. Default: none.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bars:
    """Counts by name, as bars.

    Args:
        title: Heading.
        counts: (name, count) pairs.
        told: One line for a terminal in place of many bars. Default: none.
    """

    title: str
    counts: tuple[tuple[str, int], ...]
    told: str = ""


@dataclass(frozen=True)
class Curve:
    """One quantity of one stage over the epochs.

    Args:
        title: Heading.
        stage: Name of the stage.
        quantity: What is measured.
        epochs: (E,) epochs.
        values: (E,) values; None where nothing was logged.
    """

    title: str
    stage: str
    quantity: str
    epochs: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Curves:
    """Learning curves.

    Args:
        title: Heading.
        curves: The curves, in order.
    """

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Notes:
    """Lines of text.

    Args:
        lines: The lines.
        kind: How they look: plain, warning or list. Default: plain.
    """

    lines: tuple[str, ...]
    kind: Literal["plain", "warning", "list"] = "plain"


Block = Facts | Table | Bars | Curves | Notes


@dataclass(frozen=True)
class Inspection:
    """A description of one object.

    Args:
        title: Its name.
        subtitle: What it is.
        blocks: Everything else, in order.
    """

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
