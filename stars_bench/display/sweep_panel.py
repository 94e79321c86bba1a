"""A running sweep: counts, what runs, what failed; a table in a terminal, a line at every change elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

LINES = 2
"""Lines that a row takes at most in a terminal, where its note is not long."""


@dataclass(frozen=True)
class Row:
    """A run of a sweep.

    Args:
        label: What tells it from the others.
        state: "running", "failed" or "done".
        note: What it does, why it failed, or what came of it.
    """

    label: str
    state: str
    note: str = ""


class SweepPanel:
    """Shows how far a sweep has come. Use as a context manager.

    Args:
        console: Where it is printed.
        title: What the sweep is called.
    """

    def __init__(self, console: Console, title: str) -> None:
        self.console, self.title = console, title
        self.live = Live(console=console, refresh_per_second=4, transient=True)
        self.told = ""
        self.began = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.live.stop()

    def __call__(self, done: int, total: int, taken: int, failed: int, rows: Sequence[Row]) -> None:
        """Show the state.

        Args:
            done: Runs that are done, those that were there before included.
            total: All runs.
            taken: Runs that were there before.
            failed: Runs that failed.
            rows: What runs, what failed, and what is done; of the last as many are shown as have room.
        """
        running = [row for row in rows if row.state == "running"]
        there = f" ({taken} were there)" if taken else ""
        line = f"{self.title}: {done} of {total} done{there}, {len(running)} running, {failed} failed"
        if self.console.is_terminal:
            table = Table(box=None, pad_edge=False, show_header=False)
            finished = [row for row in rows if row.state == "done"]
            others = [row for row in rows if row.state != "done"]
            room = max(self.console.height - 2 - LINES * (len(others) + 1), 0) // LINES
            for row in [*others, *finished[:room]]:
                style = {"failed": "red", "done": "green"}.get(row.state, "")
                table.add_row(Text(row.state, style), Text(row.label), Text(row.note, "dim", overflow="fold"))
            self.live.update(Group(Text(line, "bold"), table))
        elif line != self.told:
            self.told = line
            now = "; ".join(row.label for row in running)
            self.console.print(line + (f": {now}" if now else ""), markup=False, soft_wrap=True)
