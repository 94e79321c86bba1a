"""A sweep on a screen: a table in a terminal, elsewhere a line at every change and none without one."""

from __future__ import annotations

import io

from rich.console import Console

from stars_bench.display.progress import duration
from stars_bench.display.sweep_panel import Row, SweepPanel

RUNNING, FAILED = Row("mamp [x]", "running", "stage1 40 %"), Row("raw", "failed", "no [such] thing")


def test_without_a_terminal_a_line_comes_with_every_change() -> None:
    screen = Console(file=io.StringIO(), width=80)
    with SweepPanel(screen, "s") as panel:
        for _ in range(3):
            panel(1, 4, 1, 0, [RUNNING])
        panel(2, 4, 1, 1, [FAILED])
    assert screen.file.getvalue().splitlines() == [
        "s: 1 of 4 done (1 were there), 1 running, 0 failed: mamp [x]",
        "s: 2 of 4 done (1 were there), 0 running, 1 failed",
    ]


def test_a_terminal_shows_what_each_run_does_and_why_one_failed() -> None:
    screen = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    with SweepPanel(screen, "s") as panel:
        panel(1, 4, 0, 1, [RUNNING, FAILED])
        panel.live.refresh()
        shown = screen.file.getvalue()
    for part in ("s: 1 of 4 done, 1 running, 1 failed", "mamp [x]", "stage1 40 %", "no [such] thing"):
        assert part in shown


def test_a_terminal_shows_as_many_finished_runs_as_have_room() -> None:
    screen = Console(file=io.StringIO(), width=80, height=12, force_terminal=True, color_system=None)
    finished = [Row(f"raw seed {seed}", "done", "9 s  k-NN k=1 50.0") for seed in range(9)]
    with SweepPanel(screen, "s") as panel:
        panel(9, 11, 0, 1, [RUNNING, FAILED, *finished])
        panel.live.refresh()
        shown = screen.file.getvalue()
    assert "raw seed 1" in shown
    assert "9 s  k-NN k=1 50.0" in shown
    assert "raw seed 2" not in shown


def test_times_are_in_units_that_people_use() -> None:
    times = [duration(seconds) for seconds in (5, 90, 7_000, 100_000, 200_000)]
    assert times == ["5 s", "1.5 min", "1.9 h", "27.8 h", "2.3 days"]
