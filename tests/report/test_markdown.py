"""Tables in Markdown: rows are even, and names are shown as they are."""

from __future__ import annotations

import re
from collections.abc import Callable

from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard


def test_markdown_is_a_table_of_even_rows(quick_records: list[Record]) -> None:
    text = Leaderboard.of(quick_records).to_markdown()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    assert {len(row) for row in rows} == {7}
    assert [cell.strip() for cell in rows[1]] == [":---", *["---:"] * 6]
    assert [cell.strip() for cell in rows[4]] == [r"stars\*†", "3", *["**61.0 ±1.0**"] * 5]
    assert [cell.strip() for cell in rows[-1]] == [r"*STARS \[2\]*", "", "*79.9*", "–", "–", "–", "*87.1*"]


def test_markdown_shows_odd_names_as_they_are(make_record: Callable[..., Record]) -> None:
    records = [make_record(method__name="a|b*c_<i>\nd")]
    text = Leaderboard.of(records, published="none").to_markdown()
    assert r"| a\|b\*c\_\<i\> d | 1 | 80.0 |" in text


def test_markdown_has_no_html_no_markup_and_no_escape_of_a_record(make_record: Callable[..., Record]) -> None:
    hostile = "<img src=x>[a](javascript:1)&lt;~~$x$\x1b]0;t\x07\u202e"
    records = [make_record(**{f"{part}__name": hostile for part in ("method", "dataset", "protocol", "evaluation")})]
    text = Leaderboard.of(records, published="none").to_markdown()
    assert "img src=x" in text
    assert re.findall(r"(?<!\\)[<\[&~$]", text) == []
    assert not {"\x1b", "\x07", "\u202e"} & set(text)


def test_no_tables_are_no_text() -> None:
    assert Leaderboard.of([]).to_markdown() == ""
