"""A sweep's progress on a console: the state of its runs to the rows of a panel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from stars_bench.display.progress import duration
from stars_bench.display.sweep_panel import Row, SweepPanel
from stars_bench.experiments.sweeps.members import Member, stored
from stars_bench.experiments.sweeps.schedule import State
from stars_bench.experiments.sweeps.sweep import Show
from stars_bench.experiments.sweeps.worker import status
from stars_bench.training.loop import Tell


@contextmanager
def shown(console: Console, sweep: str) -> Iterator[tuple[Show, Tell]]:
    """Return the callbacks of `run_sweep`, which show it on a console.

    Args:
        console: Where it is printed.
        sweep: The sweep's name.
    """
    results: dict[Member, str] = {}
    with SweepPanel(console, sweep) as panel:

        def show(state: State) -> None:
            rows = [Row(one.label, "running", _note(one, sweep)) for one in state.running]
            rows += [Row(one.label, "failed", reason) for one, reason in state.failed.items()]
            for one in reversed(state.seconds):  # the latest first
                if one not in results:
                    results[one] = f"{duration(state.seconds[one])}  {_numbers(state.done[one])}"
                rows.append(Row(one.label, "done", results[one]))
            total = len(state.waiting) + len(state.running) + len(state.done) + len(state.failed)
            panel(len(state.done), total, state.taken, len(state.failed), rows)

        yield show, lambda line: console.print(line, markup=False, soft_wrap=True)


def _numbers(files: Sequence[str]) -> str:
    """Return the first number of each result."""
    records = [one.record for one in stored(files)]
    return ", ".join(f"{one.evaluation.title} {one.metrics[0].value:.1f}" for one in records if one.metrics)


def _note(member: Member, sweep: str) -> str:
    """Say what a run does at the moment."""
    found = status(member.files(sweep))
    if not found:
        return ""
    task = str(found["task"]).rpartition(": ")[2]
    return f"{task} {100 * found['done'] // max(found['total'], 1)} %  {found['note']}".rstrip()
