"""The file of `--table`: what is written is read again, and what is wrong is said in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import UsageError
from stars_bench.records.record import Record
from stars_bench.report import latex
from stars_bench.report.layouts.standard import By
from stars_bench.report.layouts.table_file import parse, read
from stars_bench.report.leaderboard import Leaderboard

MakeRecord = Callable[..., Record]
HOSTILE = 'my "method" \\ [x] = {1}\x7f, 100 %'


def outputs(board: Leaderboard) -> list[str]:
    """What every output but CSV prints."""
    tex = latex.render(board.latex_tables, "bib")
    return [board.to_text(120), board.to_markdown(), board._repr_html_(), board.to_html(), *tex]


@pytest.mark.parametrize("by", ["dataset", "evaluation", "method", "all"])
@pytest.mark.parametrize("published", ["own", "MAMP,*CLR", "none"])
def test_the_file_of_a_report_gives_that_report(
    make_record: MakeRecord, tmp_path: Path, by: By, published: str
) -> None:
    where = [
        ("ntu60", "xsub", "mamp"),
        ("ntu60", "xsub", "raw"),
        ("pku2", "xsub", "mamp"),
        ("synthetic", "xsub", "mamp"),
    ]
    records = [
        make_record(
            60.0 + seed + 5 * place,
            seed=seed,
            method__name=method,
            dataset__name=dataset,
            dataset__profile=profile,
            protocol__name=protocol,
            dataset__stream=stream,
            evaluation__name=name,
            evaluation__settings=settings,
        )
        for place, method in enumerate(("mamp", "stars", HOSTILE))
        for seed in (0, 1)
        for dataset, protocol, profile in where
        for stream in ("joint", "bone")
        for name, settings in (("knn", {"k": 1}), ("linear", {}))
    ]
    records += [make_record(50.0, protocol__validation="subjects"), make_record(49.0, method__config={"dim": 64})]
    board = Leaderboard.of(records, by=by, published=published, intervals="cells")
    file = tmp_path / "table.toml"
    file.write_text(board.to_toml(), encoding="utf-8")
    assert outputs(Leaderboard.of(records, table=file)) == outputs(board)


def test_all_in_one_table_has_each_number_once(paper_records: list[Record]) -> None:
    board = Leaderboard.of(paper_records, by="all", evaluations="linear,k-NN*", published="none")
    (table,) = board.tables
    assert [(one.text, one.width) for one in table.heads[0] if one.text] == [("ntu60", 4), ("ntu120", 4), ("pku2", 2)]
    assert sorted(id(one) for one in table.results) == sorted(id(one) for one in board.results.measured)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({}, "t.toml: table: is missing"),
    ({"tables": []}, r"t.toml: tables: there is no such key; did you mean table\? there are published, sources, base"),
    ({"table": []}, "t.toml: table: there is none; stars-bench report --table-init FILE writes one"),
    (
        {"table": [{"columns": [{"evalution": "knn"}]}]},
        r"t.toml: table.0.columns.0.evalution: there is no such key; did ",
    ),
    (
        {"table": [{"columns": [], "rank": "best"}]},
        "t.toml: table.0.rank: input should be 'measured', 'all', 'group' or",
    ),
    ({"table": [{"columns": [{"head": ["a", "b", "c", "d"]}]}]}, "t.toml: table.0.columns.0.head: "),
    ({"table": [{"columns": [], "label": "a}b"}]}, "t.toml: table.0.label: "),
    ({"table": [{"columns": [{"fact": "year", "dataset": "x"}]}]}, "fact = 'year' is of the row: leave dataset out"),
    ({"table": [{"columns": [], "groups": [{"rows": [{"name": "x"}]}]}]}, 'say either measured = "stars" or published'),
    ({"table": [{"columns": [], "groups": [{"rows": [{"measured": "*", "name": "x"}]}]}]}, "name is for one row"),
]


@pytest.mark.parametrize(("content", "line"), WRONG)
def test_what_a_table_does_not_know_is_named(content: dict[str, Any], line: str) -> None:
    with pytest.raises(UsageError, match=line):
        parse(content, "t.toml")


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("[[table]\n")
    with pytest.raises(Exception, match=r"t\.toml: cannot be read \(.*line 1"):
        read(file)
