"""The panel: everything a person wants to know in 80 columns of a terminal, plain lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from stars_bench.display import training_panel
from stars_bench.display.training_panel import RunPanel
from stars_bench.training import memory


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds, as the panel and rich's columns see them: `clock[0]` is set by the test."""
    now = [100.0]
    monkeypatch.setattr(training_panel.time, "monotonic", lambda: now[0])
    return now


def console(terminal: bool, clock: list[float]) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=80, color_system=None, get_time=lambda: clock[0])


def shown(screen: Console) -> str:
    return screen.file.getvalue()


def train(bars: RunPanel, clock: list[float], seconds: float, last: int = 100) -> None:
    for done in range(10, last + 1, 10):
        clock[0] += seconds
        bars("stage1", done, 100, f"epoch {done // 10}/10  loss {1 / done:.3f}")


def test_a_terminal_shows_one_panel_with_all_there_is_to_know(clock: list[float]) -> None:
    screen = console(True, clock)
    with RunPanel(screen, "mamp · synthetic xsub", lambda: ("GPU memory", 3_100_000_000)) as bars:
        train(bars, clock, 0.5, last=50)
        drawn = shown(screen)[shown(screen).rindex("╭") :]
        for fact in ("mamp · synthetic xsub", "stage1", "50%", "epoch 5/10", "loss 0.020", "20 samples/s"):
            assert fact in drawn
        assert "0:00:02 left" in drawn or "0:00:03 left" in drawn
        assert "GPU memory 3.1 GB" in drawn
        assert {len(line) for line in drawn.splitlines() if line.startswith(("╭", "│"))} == {80}
        bars("stage1", 100, 100, "epoch 10/10  loss 0.010")
    assert "✓ stage1: 100 samples in 0:00:02  epoch 10/10  loss 0.010  GPU memory 3.1 GB" in shown(screen)


def test_elsewhere_lines_come_every_so_many_seconds_and_when_a_task_ends(clock: list[float]) -> None:
    screen = console(False, clock)
    with RunPanel(screen, "mamp", lambda: ("peak memory", 561_000_000), line_seconds=4) as bars:
        train(bars, clock, 2)
    assert shown(screen).splitlines() == [
        "stage1: 30 of 100  epoch 3/10  loss 0.033  5 samples/s  0:00:14 left  peak memory 561.0 MB",
        "stage1: 50 of 100  epoch 5/10  loss 0.020  5 samples/s  0:00:10 left  peak memory 561.0 MB",
        "stage1: 70 of 100  epoch 7/10  loss 0.014  5 samples/s  0:00:06 left  peak memory 561.0 MB",
        "stage1: 90 of 100  epoch 9/10  loss 0.011  5 samples/s  0:00:02 left  peak memory 561.0 MB",
        "stage1: 100 samples in 0:00:20  epoch 10/10  loss 0.010  peak memory 561.0 MB",
    ]


def test_a_resumed_stage_is_not_said_to_be_fast(clock: list[float]) -> None:
    screen = console(False, clock)
    with RunPanel(screen, "mamp", line_seconds=0) as bars:
        for done in (9_000, 9_010, 9_020):
            clock[0] += 1
            bars("stage1", done, 10_000, "")
    assert shown(screen).splitlines()[-1] == "stage1: 9,020 of 10,000  10 samples/s  0:01:38 left"


def test_the_next_seed_begins_the_same_task_anew(clock: list[float]) -> None:
    screen = console(False, clock)
    with RunPanel(screen, "mamp", line_seconds=60) as bars:
        train(bars, clock, 1)
        train(bars, clock, 1)
        bars("test features", 20, 20)
    lines = [line.partition(":")[0] for line in shown(screen).splitlines()]
    assert lines == ["stage1", "stage1", "test features"]


def test_names_are_no_markup(clock: list[float]) -> None:
    screen = console(True, clock)
    with RunPanel(screen, "[red]a[/]:[/b]") as bars:
        bars("[bold]x[/c]", 1, 2, "")
        bars("[bold]x[/c]", 2, 2, "")
    assert "✓ [bold]x[/c]: 2 samples" in shown(screen)


def test_memory_is_that_of_this_process_where_no_gpu_is_in_use() -> None:
    found = memory.peak()
    if found is None:
        pytest.skip("this system does not say")
    name, size = found
    assert name in ("peak memory", "GPU memory")
    before, block = size, bytearray(64_000_000)
    block[::4096] = b"x" * len(block[::4096])
    assert memory.peak()[1] >= before >= 10_000_000  # Python with torch is larger
