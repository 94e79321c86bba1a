"""What an inspection says, whatever it is shown on: facts, tables, counts, curves and notes, in order.

`terminal` shows them in a terminal, `inspection` as a page; both see the same strings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: Mapping[str, str]
    title: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of strings. `words`: columns that are text, to the left; numbers stand to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bars:
    """Counts by name, as bars. `told`: what a terminal says in one line instead, where there are many."""

    title: str
    counts: tuple[tuple[str, int], ...]
    told: str = ""


@dataclass(frozen=True)
class Curve:
    """One quantity of one stage over the epochs; None where nothing was logged."""

    title: str
    stage: str
    quantity: str
    epochs: tuple[float, ...]
    values: tuple[float | None, ...]


@dataclass(frozen=True)
class Curves:
    """Learning curves."""

    title: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Notes:
    """Lines of text."""

    lines: tuple[str, ...]
    kind: Literal["plain", "warning", "list"] = "plain"


Block = Facts | Table | Bars | Curves | Notes


@dataclass(frozen=True)
class Inspection:
    """What is in one thing: its name, what it is, and the rest."""

    title: str
    subtitle: str
    blocks: tuple[Block, ...]
