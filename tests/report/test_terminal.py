"""Tables in a terminal: they fit it, are cut in two where they do not, and explain their signs."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from stars_bench.records.record import Record
from stars_bench.report import terminal
from stars_bench.report.leaderboard import Leaderboard


def printed(records: list[Record], published: str = "own", width: int = 80) -> str:
    return Leaderboard.of(records, published=published).to_text(width)


@pytest.mark.parametrize("published", ["own", "all", "none"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(quick_records: list[Record], published: str, width: int) -> None:
    lines = printed(quick_records, published, width).splitlines()
    assert max(map(len, lines)) <= width
    assert not any("…" in line for line in lines), "a cell was cut off"


def test_five_columns_fit_eighty_characters_in_one_table(quick_records: list[Record]) -> None:
    text = printed(quick_records)
    assert text.count(" method ") == 1
    assert re.search(r"stars\*† +3  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0  61\.0 ±1\.0", text)


def test_a_wide_table_goes_on_in_a_second_one(quick_records: list[Record]) -> None:
    text = printed(quick_records, width=60)
    assert text.count(" method ") == 2
    assert text.count("stars*†") == 2


def test_marks_and_sources_are_explained_underneath(quick_records: list[Record]) -> None:
    text = printed(quick_records)
    assert re.search(r"\* +quick preset", text)
    assert re.search(r"† +partial data \(1,024 of 56,578 clips\)", text)
    assert re.search(r"STARS \[2\] +79\.9 +– +– +– +87\.1", text)
    said = " ".join(text.split())
    assert "[2] authors' repository, github:TaatiTeam/STARS/README.md" in said
    assert "other sources say 84.9 as MAMP" in said


def test_second_hand_numbers_are_marked(quick_records: list[Record]) -> None:
    text = printed(quick_records, "CMD,STARS")
    assert re.search(r"CMD \[\d+\] +70\.6°‡ +– +– +– +79\.8°‡", text)
    assert "° second-hand: another publication quotes it" in " ".join(text.split())
    assert "°" not in printed(quick_records, "STARS")


def test_published_rows_have_their_own_typeface(quick_records: list[Record]) -> None:
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(terminal.render(Leaderboard.of(quick_records).tables))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all("\x1b[2;3m" in line for line in lines if "STARS [2]" in line or "MAMP [1]" in line)
    assert not any("\x1b[2;3m" in line for line in lines if "stars*†" in line)


def test_a_source_is_numbered_once(quick_records: list[Record]) -> None:
    (table,) = Leaderboard.of(quick_records, published="all").tables
    texts = [text for _, text in table.sources]
    assert len(set(texts)) == len(texts)
