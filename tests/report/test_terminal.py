"""Tables as they are read: they fit the terminal, parse as Markdown, and no cell runs in a spreadsheet."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable

import pandas as pd
import pytest
from rich.console import Console

from stars_bench.records.record import Record
from stars_bench.report.cells import sheets
from stars_bench.report.csv import to_csv
from stars_bench.report.leaderboard import leaderboard
from stars_bench.report.terminal import to_markdown, to_rich

MakeRecord = Callable[..., Record]
VARIANTS = [*(("knn", {"k": k}) for k in (1, 2, 5, 10)), ("linear", {})]


@pytest.fixture
def records(make_record: MakeRecord) -> list[Record]:
    """A quick run of three methods on partial data: five columns, three seeds, two marks."""
    return [
        make_record(
            50.0 + seed + 5 * place,
            best=70.0,
            seed=seed,
            method__name=method,
            method__preset="quick",
            dataset__clips=1024,
            dataset__complete=False,
            evaluation__name=name,
            evaluation__settings=settings,
        )
        for place, method in enumerate(("untrained", "mamp", "stars"))
        for seed in range(3)
        for name, settings in VARIANTS
    ]


def printed(records: list[Record], published: str = "own", width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(to_rich(leaderboard(records, published), width))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("published", ["own", "all", "none"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(records: list[Record], published: str, width: int) -> None:
    lines = printed(records, published, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines), "a cell was cut off"


def test_five_columns_fit_eighty_characters_in_one_table(records: list[Record]) -> None:
    text = printed(records)
    assert text.count(" method ") == 1
    assert re.search(r"stars\*† +3  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0", text)


def test_a_wide_table_goes_on_in_a_second_one(records: list[Record]) -> None:
    text = printed(records, width=60)
    assert text.count(" method ") == 2
    assert text.count("stars*†") == 2


def test_marks_and_sources_are_explained_underneath(records: list[Record]) -> None:
    text = printed(records)
    assert re.search(r"\* +quick preset", text)
    assert re.search(r"† +partial data \(1,024 of 56,578 clips\)", text)
    assert re.search(r"STARS \[2\] +79\.9 +– +– +– +87\.1", text)
    assert re.search(r"\[2\] github:TaatiTeam/STARS/README\.md", text)
    assert "other sources say 84.9 as MAMP" in " ".join(text.split())


def test_published_rows_have_their_own_typeface(records: list[Record]) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(to_rich(leaderboard(records)))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all("\x1b[2;3m" in line for line in lines if "STARS [2]" in line or "MAMP [1]" in line)
    assert not any("\x1b[2;3m" in line for line in lines if "stars*†" in line)


def test_markdown_is_a_table_of_even_rows(records: list[Record]) -> None:
    text = to_markdown(leaderboard(records))
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {7}
    assert [cell.strip() for cell in rows[1]] == [":---", *["---:"] * 6]
    assert [cell.strip() for cell in rows[4]] == [r"stars\*†", "3", *["**61.0 ±1.0**"] * 5]
    assert [cell.strip() for cell in rows[-1]] == [r"*STARS \[2\]*", "", "*79.9*", "–", "–", "–", "*87.1*"]


def test_markdown_shows_odd_names_as_they_are(make_record: MakeRecord) -> None:
    text = to_markdown(leaderboard([make_record(method__name="a|b*c_<i>\nd")], "none"))
    assert r"| a\|b\*c\_\<i\> d | 1 | 80.0 |" in text


def test_csv_has_every_number_with_its_provenance(records: list[Record]) -> None:
    frame = pd.read_csv(io.StringIO(to_csv(leaderboard(records))))
    ours = frame[(frame["kind"] == "measured") & (frame["method"] == "stars") & (frame["evaluation"] == "linear")]
    main, best = ours.to_dict("records")
    assert (main["metric"], main["value"], main["std"], main["seeds"], main["clips"]) == ("top1", 61.0, 1.0, 3, 16487)
    assert (best["metric"], best["value"]) == ("top1_best_epoch_on_test", 70.0)
    assert main["marks"] == "quick preset; partial data (1,024 of 56,578 clips)"
    theirs = frame[(frame["kind"] == "published") & (frame["method"] == "STARS") & (frame["evaluation"] == "knn")]
    (number,) = theirs.to_dict("records")
    assert (number["value"], number["source"]) == (79.9, "github:TaatiTeam/STARS/README.md")
    assert json.loads(number["settings"]) == {"k": 1}


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1"])
def test_csv_text_is_never_a_formula_and_numbers_stay_numbers(make_record: MakeRecord, name: str) -> None:
    text = to_csv(leaderboard([make_record(0.5, method__name=name, metrics=[_below_zero(), _top1()])], "none"))
    frame = pd.read_csv(io.StringIO(text))
    assert set(frame["method"]) == {f"'{name}"}
    assert list(frame["value"]) == [-0.25, 50.0]


def _top1() -> dict[str, object]:
    return {"name": "top1", "value": 50.0, "unit": "%", "n": 10}


def _below_zero() -> dict[str, object]:
    return {"name": "silhouette", "value": -0.25, "unit": "", "n": 10}


def test_a_source_is_numbered_once(records: list[Record]) -> None:
    (content,) = sheets(leaderboard(records, "all"))
    texts = [text for _, text in content.sources]
    assert len(set(texts)) == len(texts)


def test_no_boards_are_empty_outputs() -> None:
    assert to_markdown([]) == ""
    assert to_csv([]).count("\n") == 1
