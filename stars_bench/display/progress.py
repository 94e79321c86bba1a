"""Progress for a person: rich bars in a terminal, an occasional plain line elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PLAIN_SECONDS = 15.0
"""Without a terminal: a line at most this often, and one when a task ends."""


class RateColumn(ProgressColumn):
    """Items done per second."""

    def render(self, task: Task) -> Text:
        """Return the rate of a task as text."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", style="progress.data.speed")


class Bars:
    """A progress callback (task, done, total, note) that draws one bar per task. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.description}"),
            BarColumn(bar_width=14),
            MofNCompleteColumn(),
            RateColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self.tasks: dict[str, TaskID] = {}
        self.printed: dict[str, float] = {}
        self.ended: set[str] = set()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:  # some versions of rich end what is disabled with an empty line
            self.progress.stop()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` items of a task are done."""
        if not self.console.is_terminal:
            self._plain(task, done, total, note)
            return
        if task not in self.tasks:
            self.tasks[task] = self.progress.add_task(task, total=total, note=note)
        self.progress.update(self.tasks[task], completed=done, total=total, note=note)

    def _plain(self, task: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done < total:
            self.ended.discard(task)  # the same task, of the next seed or archive
        elif task in self.ended:
            return
        else:
            self.ended.add(task)
        if done >= total or now - self.printed.setdefault(task, now) > PLAIN_SECONDS:
            self.printed[task] = now
            self.console.print(f"{task}: {done:,} of {total:,}  {note}".rstrip(), highlight=False)


def duration(seconds: float) -> str:
    """Return a time for people: seconds, minutes, hours or days."""
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit or (unit != 86400 and seconds >= unit):
            return f"{seconds / unit:.1f} {name}"
    return f"{seconds:.0f} s"
