"""A layout and numbers to a table: which number a cell shows, what is ranked, what is refused."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from stars_bench.errors import UsageError
from stars_bench.records.record import Record
from stars_bench.report.layouts.table_file import parse
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.table import BEST, SECOND, Table

MakeRecord = Callable[..., Record]
LINEAR = {"evaluation__name": "linear", "evaluation__settings": {}}
XSUB = {"dataset": "ntu60", "protocol": "xsub", "evaluation": "linear"}


def filled(records: list[Record], *columns: Any, rows: Any = ("mamp", "stars"), **said: Any) -> Table:
    """The table of one group of rows."""
    groups = said.pop("groups", [{"rows": list(rows)}])
    (table,) = Leaderboard.of(records, table={"table": [{"columns": list(columns), "groups": groups, **said}]}).tables
    return table


@pytest.fixture
def linear(make_record: MakeRecord) -> list[Record]:
    """Two methods; MAMP's published number on x-sub is 85.0 and its paper's recipe is the common one."""
    return [
        make_record(value, method__name=method, protocol__name=protocol, method__recipe="both", **LINEAR)
        for method, value in (("mamp", 84.0), ("stars", 84.96))
        for protocol in ("xsub", "xview")
    ]


def ranks(table: Table) -> list[int]:
    return [row.cells[-1].rank for row in table.rows]


def test_rows_stand_in_the_order_and_under_the_names_of_the_file(linear: list[Record]) -> None:
    rows = [{"measured": "stars", "name": "STARS (ours)"}, {"published": "MAMP", "name": "MAMP 2023"}, "mamp"]
    table = filled(linear, XSUB, rows=rows)
    assert [row.label for row in table.rows] == ["STARS (ours)", "MAMP 2023", "mamp"]
    assert [row.is_published for row in table.rows] == [False, True, False]


def test_the_best_is_sought_where_the_file_says_and_ties_after_rounding_are_alike(linear: list[Record]) -> None:
    groups = [{"rows": ["mamp", "stars"]}, {"rows": [{"published": "MAMP"}, {"published": "STARS"}]}]
    found = {
        rank: ranks(filled(linear, XSUB, groups=groups, rank=rank)) for rank in ("measured", "all", "group", "none")
    }
    assert found == {
        "measured": [SECOND, BEST, 0, 0],
        "all": [0, SECOND, SECOND, BEST],  # 84.96 prints as 85.0, as the published number does
        "group": [SECOND, BEST, SECOND, BEST],
        "none": [0, 0, 0, 0],
    }
    assert ranks(filled(linear, XSUB, groups=groups, rank="all", decimals=2)) == [0, 0, SECOND, BEST]


def test_a_pattern_takes_what_no_other_row_names(linear: list[Record]) -> None:
    groups = [{"heading": "others", "rows": ["*"]}, {"heading": "ours", "rows": ["stars"]}]
    assert [[row.label for row in group.rows] for group in filled(linear, XSUB, groups=groups).groups] == [
        ["mamp"],
        ["stars"],
    ]


def test_settings_say_which_of_several_runs_is_meant(make_record: MakeRecord) -> None:
    base = {"protocol__name": "xsub", "method__name": "mamp"}
    records = [
        make_record(
            top1,
            **base,
            **LINEAR,
            method__config={"dim": 8, "lr": lr, "steps": [3, 4]},
            evaluation__config={"epochs": epochs},
        )
        for top1, lr, epochs in ((10.0, 0.1, 5), (20.0, 0.2, 5), (30.0, 0.2, 9))
    ]
    row = {"measured": "mamp", "settings": {"lr": 0.2, "steps": [3.0, 4], "knn.k": 1}}
    probes = [XSUB | {"settings": {"linear.epochs": epochs}, "head": str(epochs)} for epochs in (5, 9)]
    (found,) = filled(records, *probes, rows=[row]).rows
    assert (found.label, [cell.text[:4] for cell in found.cells]) == ("mamp", ["20.0", "30.0"])
    again = Leaderboard.of(records, table={"table": [{"columns": probes, "groups": [{"rows": [row]}]}]})
    assert parse(tomllib.loads(again.to_toml()), "x") == again.layout
    with pytest.raises(UsageError, match=r"'mamp': was not measured with lr=0\.3$"):
        filled(records, XSUB, rows=[{"measured": "mamp", "settings": {"lr": 0.3}}])
    with pytest.raises(UsageError, match=r"'mamp' has 2 numbers for one cell .*settings"):
        filled(records, XSUB, rows=[{"measured": "mamp", "settings": {"lr": 0.2}}])


def test_the_usual_groups_are_all_measured_rows_then_all_published_ones(linear: list[Record]) -> None:
    (table,) = Leaderboard.of(linear, table={"published": "own", "table": [{"columns": [XSUB]}]}).tables
    assert [(group.heading, [row.label for row in group.rows]) for group in table.groups] == [
        ("", ["mamp", "stars"]),
        ("published", ["MAMP", "STARS"]),
    ]


def test_deviation_missing_and_marks_are_the_files(make_record: MakeRecord) -> None:
    records = [make_record(80.0 + seed, seed=seed, **LINEAR) for seed in (0, 1)]
    records.append(make_record(70.0, protocol__name="xview", method__name="mamp", **LINEAR))
    rows = [{"measured": "stars", "mark": "ours"}, {"measured": "mamp", "missing": "n/a"}]
    columns = [XSUB, XSUB | {"protocol": "xview"}]
    table = filled(records, *columns, rows=rows, deviation=False, missing="?")
    assert [row.texts for row in table.rows] == [["stars*", "80.5", "?"], ["mamp", "n/a", "70.0"]]
    assert table.marks == (("*", "ours"),)
    assert table.subtitle.startswith("top-1 accuracy in %, mean over seeds;")


def test_another_metric_of_the_record_has_its_own_column(make_record: MakeRecord) -> None:
    table = filled(
        [make_record(80.0, best=90.0, **LINEAR)], XSUB, XSUB | {"metric": "top1_best_epoch_on_test"}, rows=["*"]
    )
    assert table.rows[0].texts == ["stars", "80.0", "90.0"]
    assert table.subtitle.startswith("top-1 accuracy, top1 best epoch on test in %")


def test_columns_without_a_number_are_dropped_and_a_row_that_is_named_stays(linear: list[Record]) -> None:
    more = [*linear, linear[0].model_copy(update={"dataset": linear[0].dataset.model_copy(update={"name": "pku2"})})]
    table = filled(more, XSUB | {"dataset": "pku2"}, XSUB | {"dataset": "pku1"})
    assert [row.texts for row in table.rows] == [["mamp", "84.0"], ["stars", "–"]]


def test_published_numbers_stand_where_nothing_was_measured(linear: list[Record]) -> None:
    rows = [{"published": "MAMP"}]
    table = filled(linear, XSUB | {"dataset": "ntu120", "protocol": "xset"}, rows=rows)
    assert table.rows[0].texts == ["MAMP [1]", "79.5"]
    three = filled(linear, XSUB, "streams", rows=[{"published": "3s-STJD-CL"}])
    assert [cell.number for cell in three.rows[0].cells[1:]] == ["J+M+B"]


def test_second_hand_numbers_stay_out_of_latex_unless_the_file_says_so(linear: list[Record]) -> None:
    content = {"table": [{"columns": [XSUB], "groups": [{"rows": ["mamp", {"published": "CMD"}]}]}]}
    assert "CMD" not in Leaderboard.of(linear, table=content).to_latex()
    assert "Left out: 1 second-hand published number" in Leaderboard.of(linear, table=content).to_latex()
    assert "CMD" in Leaderboard.of(linear, table=content | {"sources": "all"}).to_latex()
    alone = {"table": [{"columns": [XSUB], "groups": [{"rows": [{"published": "CMD"}]}]}]}
    with pytest.raises(UsageError, match="table: has second-hand numbers alone; --sources all prints them"):
        Leaderboard.of(linear, table=alone).to_latex()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"columns": [XSUB | {"dataset": "ntu6"}]}, r"table.0: dataset = 'ntu6': no number is of it; did you mean ntu60"),
    ({"columns": [XSUB | {"evaluation": "linaer"}]}, r"evaluation = 'linaer': no number is of it; did you mean linear"),
    ({"columns": [XSUB], "rows": ["star"]}, r"table.0.groups.0.rows.0: 'star': was not measured; did you mean stars"),
    ({"columns": [XSUB], "rows": [{"published": "MAMQ"}]}, r"'MAMQ': no published method; did you mean MAMP"),
    (
        {"columns": [{"evaluation": "linear"}]},
        r"rows.0: 'mamp' has 2 numbers for one cell \(evaluation linear\): mamp, ntu60 xsub, .* say which by dataset",
    ),
    (
        {"columns": [XSUB, "colour"]},
        r"table.0: fact 'colour' is not known, and no row says facts = \{colour = ...\}; known",
    ),
    (
        {"columns": [XSUB | {"protocol": "xview", "streams": "bone"}]},
        "table.0: no number fits any of its rows and columns",
    ),
    (
        {"columns": [XSUB], "rows": ["mamp", {"published": "MAMP", "streams": "bone"}]},
        r"'MAMP': no published number fits these columns; it has .*linear on ntu60 xsub \(J\)",
    ),
]


@pytest.mark.parametrize(("said", "line"), WRONG)
def test_what_is_not_there_or_is_not_one_number_is_refused(
    linear: list[Record], said: dict[str, Any], line: str
) -> None:
    with pytest.raises(UsageError, match=line):
        filled(linear, *said.pop("columns"), **said)


def test_the_caption_and_label_of_the_only_table(linear: list[Record]) -> None:
    board = Leaderboard.of(linear, by="all", caption="Linear probe, 100 %", label="tab:linear", published="none")
    tex = board.to_latex()
    assert "\\caption{Linear probe, 100 \\%}\n\\label{tab:linear}" in tex
    assert "Top-1 accuracy in \\%; 16,487 test clips." in tex
    assert "### Linear probe, 100 %" in board.to_markdown()
    with pytest.raises(UsageError, match=r"--caption: is for one table, and there are 2 \(ntu60 xsub, .*--by all"):
        Leaderboard.of(linear, caption="x")


def test_what_the_file_says_is_not_said_again(linear: list[Record]) -> None:
    with pytest.raises(UsageError, match="--table: the file says what --by, --methods would: leave --by out"):
        Leaderboard.of(linear, table={"table": [{"columns": [XSUB]}]}, by="all", methods="mamp")


def test_differences_to_a_baseline_need_the_same_clips_and_are_the_reports(linear: list[Record]) -> None:
    content = {"baseline": "moco", "table": [{"columns": [XSUB]}]}
    with pytest.raises(UsageError, match="--baseline moco: was not measured; choose one: mamp, stars"):
        Leaderboard.of(linear, table=content)
