"""The leaderboard as an object: made from a folder of runs, printed in every form, shown in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import write_record
from stars_bench.report.leaderboard import leaderboard

MakeRecord = Callable[..., Record]
HOSTILE = "</table><script>x</script>"


@pytest.fixture
def runs(make_record: MakeRecord, tmp_path: Path) -> Path:
    """Two methods of two protocols, one of a hostile name."""
    for method, value in (("stars", 60.0), (HOSTILE, 50.0)):
        for protocol in ("xsub", "xview"):
            folder = RunFolder.of(tmp_path / "runs", "ntu60", protocol, method, "key", 0)
            write_record(folder, make_record(value, method__name=method, protocol__name=protocol))
    return tmp_path / "runs"


def test_it_ranks_what_lies_in_a_folder(runs: Path) -> None:
    (table,) = leaderboard(runs, by="evaluation", methods="STA*", published="mamp").tables
    assert table.header == ["method", "seeds", "ntu60 xsub", "ntu60 xview"]
    assert [row.texts for row in table.measured] == [["stars", "1", "60.0", "60.0"]]
    assert [row.label for row in table.published] == ["MAMP"]


def test_sources_of_published_numbers_are_chosen(runs: Path) -> None:
    def kinds(**choice: Any) -> set[str]:
        return set(leaderboard(runs, methods="stars", published="all", **choice).to_frame()["kind"])

    assert kinds() == kinds(sources="all") == {"measured", "authors", "third-party"}
    assert kinds(sources="first-hand") == {"measured", "authors"}
    (table,) = leaderboard(runs, by="evaluation", methods="stars", published="all", sources="first-hand").tables
    (whole,) = leaderboard(runs, by="evaluation", methods="stars", published="all").tables
    dropped = len(whole.published_results) - len(table.published_results)
    assert dropped > 1
    assert f"Left out: {dropped} second-hand published numbers (--sources all prints them)." in table.notes
    (alone, _) = leaderboard(runs, published="STARS", sources="first-hand").tables
    assert not any("Left out" in note for note in alone.notes)
    with pytest.raises(UsageError, match=r"sources='mine': choose one of first-hand, all, None"):
        leaderboard(runs, sources="mine")  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["markdown", "csv", "html", "latex"])
def test_a_text_is_also_written_to_a_file(runs: Path, tmp_path: Path, form: str) -> None:
    board, file = leaderboard(runs), tmp_path / "table.out"
    text = getattr(board, f"to_{form}")(file)
    assert "60.0" in text
    assert file.read_text(encoding="utf-8") == text


def test_latex_in_a_file_cites_what_lies_beside_it(runs: Path, tmp_path: Path) -> None:
    board = leaderboard(runs)
    assert r"\cite" not in board.to_latex()
    assert r"\cite{mehraban2024stars}" in board.to_latex(tmp_path / "table.tex")
    assert "@article{mehraban2024stars," in (tmp_path / "table.bib").read_text()


def test_a_console_and_a_notebook_show_the_tables(runs: Path) -> None:
    board = leaderboard(runs, published="none")
    assert "ntu60 xsub, profile mamp" in repr(board)
    shown = board._repr_html_()
    assert shown.count("<table>") == shown.count("</table>") == 2
    assert "<script>" not in shown
    assert "<b>60.0</b>" in shown
    assert "<u>50.0</u>" in shown


def test_bad_input_is_one_clear_line(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere: there is no such folder of runs"):
        leaderboard(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StarsBenchError, match=r"no records under .*empty: run a method first"):
        leaderboard(tmp_path / "empty")
    with pytest.raises(UsageError, match="by='seed': choose one of dataset, evaluation, method"):
        leaderboard(runs, by="seed")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="fits none of the measured methods"):
        leaderboard(runs, methods="nothing")
    with pytest.raises(UsageError, match=r"citations go into table\.bib"):
        leaderboard(runs).to_latex(tmp_path / "table.bib")


def test_a_record_that_cannot_be_read_is_warned_of(runs: Path) -> None:
    broken = next(runs.glob("*/*/*/*/*/records/*.json"))
    broken.write_text("{")
    with pytest.warns(UserWarning, match=broken.name):
        board = leaderboard(runs)
    assert len(board.results.measured) == 3
