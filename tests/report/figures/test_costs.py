"""Accuracy against cost: the points are the measured numbers, the figure is written in each form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stars_bench.errors import UsageError
from stars_bench.records.record import Record
from stars_bench.report.figures.costs import charts
from stars_bench.report.leaderboard import Leaderboard


@pytest.fixture
def board(paper_records: list[Record]) -> Leaderboard:
    """One column of three methods, of which one is not trained."""
    column = {"dataset": "ntu60", "protocol": "xsub", "evaluation": "linear"}
    content = {"table": [{"title": "Linear", "columns": [column, "hours"], "groups": [{"rows": ["*"]}]}]}
    return Leaderboard.of([one for one in paper_records if one.dataset.stream == "joint"], table=content)


def test_every_measured_number_is_a_point(board: Leaderboard) -> None:
    (chart,) = charts(board.tables)
    assert chart.title == "Linear: ntu60 xsub linear"
    assert [(one.row, one.result.value, one.hours, one.gflop) for one in chart.points] == [
        ("untrained", 40.25, None, 4.3),
        ("mamp", 80.25, 10.0, 4.3),
        ("stars", 83.25, 13.0, 4.3),
    ]


def test_a_sum_of_streams_costs_all_its_encoders(paper_records: list[Record]) -> None:
    summed = [one.model_copy(update={"fused": ("a", "b", "c")}) for one in paper_records if "+" in one.dataset.stream]
    (chart, *_) = charts(Leaderboard.of(summed, published="none").tables)
    assert [one.gflop for one in chart.points] == [pytest.approx(12.9)] * 3


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_it_is_written_again_by_the_same_command_alone(board: Leaderboard, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"costs.{form}"
    board.to_figure(file)
    first = file.read_bytes()
    board.to_figure(file)
    assert file.read_bytes() == first
    if form == "svg":
        assert all(
            f">{text}</text>" in first.decode() for text in ("mamp", "stars", "GFLOP of the encoder for one clip")
        )
    file.write_bytes(b"a figure of mine")
    with pytest.raises(UsageError, match="does not say that stars-bench report wrote it"):
        board.to_figure(file)


def test_what_has_no_cost_and_what_is_no_figure_is_said(make_record: Callable[..., Record], tmp_path: Path) -> None:
    board = Leaderboard.of([make_record()])
    with pytest.raises(UsageError, match="no measured accuracy has a known cost"):
        board.to_figure(tmp_path / "costs.png")
    with pytest.raises(UsageError, match=r"costs\.gif: a figure ends in \.png, \.svg, \.pdf"):
        board.to_figure(tmp_path / "costs.gif")
