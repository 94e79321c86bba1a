"""Tables by evaluation and by method: every number once, in the right place, with its own marks and notes."""

from __future__ import annotations

import io
from collections.abc import Callable

import pandas as pd
import pytest

from stars_bench.errors import UsageError
from stars_bench.records.record import Record
from stars_bench.report.layouts.standard import By
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.table import BEST, Table

MakeRecord = Callable[..., Record]


def tables(records: list[Record], by: By = "dataset", published: str = "own") -> list[Table]:
    """The tables of records."""
    return Leaderboard.of(records, by=by, published=published).tables


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    """Two methods, two protocols, two evaluations; one number is marked."""
    return [
        make_record(
            value + 10 * (method == "stars"),
            method__name=method,
            protocol__name=protocol,
            evaluation__name=name,
            evaluation__settings=settings,
            evaluation__checkpoint_rule=rule,
        )
        for method in ("mamp", "stars")
        for protocol in ("xsub", "xview")
        for value, name, settings in ((50.0, "knn", {"k": 1}), (60.0, "linear", {}))
        for rule in ["other rule" if (method, protocol, name) == ("mamp", "xview", "linear") else "last epoch"]
    ]


def test_by_evaluation_the_columns_are_protocols(records: list[Record]) -> None:
    knn, linear = tables(records, "evaluation")
    assert (knn.title, linear.title) == ("k-NN k=1", "linear")
    assert linear.header == ["method", "seeds", "ntu60 xsub", "ntu60 xview"]
    assert [row.texts for row in linear.measured] == [["mamp", "1", "60.0", "60.0*"], ["stars", "1", "70.0", "70.0"]]
    assert linear.measured[1].cells[1].rank == BEST
    assert linear.marks == (("*", "checkpoint: other rule"),)
    assert [row.texts[2:] for row in linear.published if row.label == "STARS"] == [["87.1", "90.9"]]


def test_by_method_the_rows_are_protocols_and_nothing_is_ranked(records: list[Record]) -> None:
    mamp, stars = tables(records, "method")
    assert (mamp.title, stars.title) == ("mamp", "stars")
    assert [row.texts for row in stars.measured] == [
        ["ntu60 xsub", "1", "60.0", "70.0"],
        ["ntu60 xview", "1", "60.0", "70.0"],
    ]
    assert not any(cell.rank for row in stars.measured for cell in row.cells)
    assert stars.published[0].texts[2:] == ["79.9", "87.1"]


@pytest.mark.parametrize("by", ["dataset", "evaluation", "method"])
def test_every_number_is_in_exactly_one_table(records: list[Record], by: By) -> None:
    leaderboard = Leaderboard.of(records, by=by)
    measured = [result.value for table in leaderboard.tables for result in table.results]
    assert sorted(measured) == sorted(record.metrics[0].value for record in records)
    published = [result for table in leaderboard.tables for result in table.published_results]
    assert published
    assert sorted(map(repr, published)) == sorted(map(repr, leaderboard.results.published))


def test_csv_lines_come_in_the_order_of_the_tables(records: list[Record]) -> None:
    def order(by: By, column: str) -> list[str]:
        frame = pd.read_csv(io.StringIO(Leaderboard.of(records, by=by, published="none").to_csv()))
        return list(dict.fromkeys(frame[column])) if frame[column].is_monotonic_increasing else []

    assert order("dataset", "protocol") == ["xsub", "xview"]
    assert order("evaluation", "evaluation") == ["knn", "linear"]
    assert order("method", "method") == ["mamp", "stars"]
    assert order("method", "protocol") == []


def test_a_note_of_one_protocol_says_whose_it_is(make_record: MakeRecord) -> None:
    records = [make_record(protocol__notes=("odd lists",)), make_record(protocol__name="xview")]
    (table,) = tables(records, "evaluation", "none")
    assert table.notes == ("ntu60 xsub: odd lists",)


def test_published_rows_are_chosen_by_pattern(records: list[Record]) -> None:
    table, *_ = tables(records, published="mamp,aimclr")
    assert {row.method for row in table.published} == {"AimCLR", "MAMP"}
    with pytest.raises(UsageError, match=r"'mampf': fits none of the published methods; did you mean MAMP"):
        tables(records, published="mampf")


def test_episodes_are_not_called_clips(make_record: MakeRecord) -> None:
    settings = {"ways": 2, "shots": 1, "classifier": "nearest"}
    few = make_record(55.0, evaluation__name="fewshot", evaluation__settings=settings)
    (clips,) = (number.n for number in make_record(50.0).metrics[:1])
    (episodes,) = (number.n for number in few.metrics[:1])
    (alone,) = tables([few], published="none")
    assert alone.subtitle == f"top-1 accuracy in %; {episodes:,} episodes"
    (both,) = tables([few, make_record(50.0)], published="none")
    assert both.subtitle == f"top-1 accuracy in %; {clips:,} test clips, {episodes:,} episodes"
