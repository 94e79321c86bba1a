"""`stars-bench report`: its options choose, its files hold what the terminal shows, its faults are one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stars_bench.cli import app
from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.record import Record
from stars_bench.records.store import write_record


@pytest.fixture
def report(make_record: Callable[..., Record], tmp_path: Path) -> Callable[..., Result]:
    """Runs the command on two methods."""
    for place, method in enumerate(("mamp", "stars")):
        record = make_record(50.0 + place, method__name=method)
        write_record(RunFolder.of(tmp_path, "ntu60", "xsub", method, "key", 0), record)
    return lambda *options: CliRunner().invoke(app, ["report", "--runs-dir", str(tmp_path), *map(str, options)])


def test_latex_comes_with_its_bibliography(report: Callable[..., Result], tmp_path: Path) -> None:
    out = tmp_path / "table.tex"
    assert report("--out", out).exit_code == 0
    assert r"\bibliography{table}" in out.read_text()
    assert "@article{mehraban2024stars," in out.with_suffix(".bib").read_text()
    assert r"\toprule" in report("--format", "latex").stdout


def test_methods_are_chosen_by_pattern(report: Callable[..., Result]) -> None:
    shown = report("--format", "csv", "--published", "none", "--methods", "ST*").stdout
    assert [line.split(",")[5] for line in shown.splitlines()[1:]] == ["stars"]
    with pytest.raises(
        UsageError, match=r"--methods 'nothing': fits none of the measured methods; there are mamp, stars"
    ):
        raise report("--methods", "nothing").exception or AssertionError("no error")


def test_sources_of_published_numbers_are_chosen(report: Callable[..., Result]) -> None:
    def second_hand(*options: str) -> bool:
        return "MAMP" in report(*options).stdout  # k-NN of MAMP is known from others alone

    assert second_hand("--format", "md")
    assert second_hand("--format", "latex", "--sources", "all")
    assert not second_hand("--format", "latex")
    assert not second_hand("--format", "md", "--sources", "first-hand")
    assert report("--sources", "mine").exit_code == 2


def test_tables_can_be_of_methods(report: Callable[..., Result]) -> None:
    assert "### stars\n" in report("--format", "md", "--by", "method").stdout


@pytest.mark.parametrize("name", ["report.txt", "report.md"])
def test_a_table_that_was_asked_for_is_written_as_the_terminal_shows_it(
    name: str, report: Callable[..., Result], tmp_path: Path
) -> None:
    shown = report("--format", "table").stdout
    report("--format", "table", "--out", tmp_path / name)
    assert (tmp_path / name).read_text().removeprefix("<!-- written by stars-bench report -->\n\n") == shown


def test_a_name_that_says_no_format_is_refused(report: Callable[..., Result], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"choose a --format, or a name that ends in \.md, \.csv, \.tex, \.html"):
        raise report("--out", tmp_path / "report.doc").exception or AssertionError("no error")


def test_evaluations_are_chosen_and_one_table_has_a_caption(report: Callable[..., Result]) -> None:
    shown = report("--format", "latex", "--evaluations", "knn", "--caption", "k-NN", "--label", "tab:knn").stdout
    assert "\\caption{k-NN}\n\\label{tab:knn}" in shown
    with pytest.raises(UsageError, match=r"--evaluations 'linear': fits none of the evaluations measured; there are"):
        raise report("--evaluations", "linear").exception or AssertionError("no error")


def test_a_layout_is_written_edited_and_printed(report: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "table.toml"
    said = "".join(report("--table-init", file).stdout.split())  # a long path is broken anywhere
    assert "table.toml;editit,thenstars-benchreport--table" in said
    assert report("--table", file).stdout == report().stdout
    file.write_text(file.read_text().replace('    "stars",', '    {measured = "stars", name = "Ours"},'))
    assert "Ours" in report("--table", file).stdout
    with pytest.raises(UsageError, match=r"table\.toml is there already; --force replaces it"):
        raise report("--table-init", file).exception or AssertionError("no error")
    assert "Ours" in file.read_text()
    rows = report("--table", file, "--format", "csv").stdout.splitlines()
    assert rows[1:4] == ["method,seeds,k-NN k=1", "mamp,1,50.0", "Ours,1,51.0"]
    with pytest.raises(UsageError, match="--table: the file says what --by would: leave --by out"):
        raise report("--table", file, "--by", "all").exception or AssertionError("no error")


def test_a_figure_needs_a_file(report: Callable[..., Result]) -> None:
    with pytest.raises(UsageError, match=r"--format figure: name its file: --out costs\.png \(or \.svg, \.pdf\)"):
        raise report("--format", "figure").exception or AssertionError("no error")
