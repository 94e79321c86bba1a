"""Progress of training: one panel in a terminal, a line every few seconds elsewhere.

Libraries call it as (task, done, total, note), at most every half second, so that it costs training nothing: the loss
is read from the device only when it is shown.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.filesize import decimal
from rich.markup import escape
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn
from rich.text import Text

LINE_SECONDS = 15.0
"""Without a terminal: the time between two lines of one task, unless the user says otherwise."""
GAP = "  "

Memory = Callable[[], tuple[str, int] | None]
"""Whose memory is in use, and its peak in bytes; None where that is not known."""


class RunPanel:
    """A progress callback that shows the current task: epoch, loss, samples a second, time left and memory.

    A finished task leaves one line. Use it as a context manager.

    Args:
        console: Where it is printed.
        title: Heading of the panel.
        memory: Returns whose memory is in use and its peak in bytes, or None. Default: None, memory is not shown.
        line_seconds: Seconds between two lines if the console is not a terminal; 0 for a line at every call. Default:
            some seconds.
    """

    def __init__(
        self, console: Console, title: str, memory: Memory | None = None, line_seconds: float = LINE_SECONDS
    ) -> None:
        self.console, self.memory, self.line_seconds = console, memory, line_seconds
        self.progress = _InPanel(
            SpinnerColumn(),
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            expand=True,
        )
        self.progress.title = title
        self.began = self.shown = time.monotonic()

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.progress.start()
        self.began = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.console.is_terminal:  # some versions of rich end what is disabled with an empty line
            self.progress.stop()

    def __call__(self, task: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` steps of a task are done."""
        tasks = self.progress.tasks
        if not tasks or tasks[0].description != task or done < tasks[0].completed:
            for old in self.progress.task_ids:  # one that a saved result has cut short, or the same under the next seed
                self.progress.remove_task(old)
            self.progress.add_task(task, total=total, completed=done)
            self.shown = time.monotonic()
        else:
            self.progress.update(tasks[0].id, completed=done, total=total)
        if done >= total:
            self._end(task, total, note)
        elif self.console.is_terminal:
            self.progress.facts = self._facts(note)
            self.progress.refresh()
        elif time.monotonic() - self.shown >= self.line_seconds:
            self.shown = time.monotonic()
            facts = GAP.join(self._facts(note))
            self.console.print(f"{task}: {done:,} of {total:,}{GAP}{facts}", markup=False, soft_wrap=True)

    def _facts(self, note: str) -> list[str]:
        task = self.progress.tasks[0]
        facts = note.split(GAP) if note else []
        if task.speed:
            facts.append(f"{task.speed:,.0f} samples/s")
        if task.time_remaining is not None:
            facts.append(f"{_clock(task.time_remaining)} left")
        return facts + self._memory()

    def _memory(self) -> list[str]:
        found = self.memory() if self.memory is not None else None
        return [] if found is None else [f"{found[0]} {decimal(found[1])}"]

    def _end(self, task: str, total: int, note: str) -> None:
        for old in self.progress.task_ids:
            self.progress.remove_task(old)
        self.progress.facts = []
        now = time.monotonic()
        facts = GAP.join([note, *self._memory()] if note else [])
        line = f"{task}: {total:,} samples in {_clock(now - self.began)}{GAP}{facts}".rstrip()
        self.console.print(f"[green]✓[/] {escape(line)}" if self.console.is_terminal else escape(line), soft_wrap=True)
        self.began = now


class _InPanel(Progress):
    """Progress inside a panel, with facts below the bar."""

    title: str = ""
    facts: Iterable[str] = ()

    def get_renderables(self) -> Iterable[RenderableType]:
        if self.tasks:
            facts = Text((GAP + " ").join(self.facts), style="dim", overflow="fold")
            yield Panel(Group(self.make_tasks_table(self.tasks), facts), title=escape(self.title), title_align="left")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
