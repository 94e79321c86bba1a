"""LaTeX: it compiles with a plain TeX installation, prints every name, ranks honestly and cites what it quotes."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stars_bench.records.record import Record
from stars_bench.report import latex
from stars_bench.report.latex import ROWS_PER_PAGE, Latex
from stars_bench.report.latex_escape import escape
from stars_bench.report.layouts.standard import By
from stars_bench.report.layouts.table_file import Sources
from stars_bench.report.leaderboard import Leaderboard

MakeRecord = Callable[..., Record]
HOSTILE = r"my_method & <b> 100% #1 ^~\{}$`-- ±é中"


def to_latex(
    records: list[Record],
    published: str = "none",
    by: By = "dataset",
    bibliography: str | None = None,
    sources: Sources | None = None,
) -> Latex:
    """The tables of records, and what they cite."""
    board = Leaderboard.of(records, by=by, published=published, sources=sources)
    return latex.render(board.latex_tables, bibliography)


def four_methods(make_record: MakeRecord, **changes: object) -> list[Record]:
    """Two seeds each; `mamp` and `stars` tie for the second place."""
    means = {"untrained": 40.0, "mamp": 70.0, "stars": 70.02, HOSTILE: 71.0}
    return [
        make_record(
            mean + seed,
            method__name=name,
            method__preset="quick" if name == "untrained" else "paper",
            seed=seed,
            **changes,
        )
        for name, mean in means.items()
        for seed in range(2)
    ]


def row_of(tables: str, start: str) -> str:
    (line,) = [line for line in tables.splitlines() if line.startswith(start)]
    return line


def test_best_is_bold_and_second_underlined_ties_alike(make_record: MakeRecord) -> None:
    tables = to_latex(four_methods(make_record), "none").tables
    assert r"\textbf{71.5}{\scriptsize~$\pm$~0.7}" in row_of(tables, r"my\_method")
    assert all(r"\underline{70.5}" in row_of(tables, name) for name in ("mamp", "stars"))
    assert r"40.5{\scriptsize" in row_of(tables, "untrained$^{*}$")
    assert r"$^{*}$~quick preset." in tables


@pytest.mark.parametrize(
    "advantage",
    [
        {"evaluation__checkpoint_rule": "best-on-test (as published)"},
        {
            "init": {
                "method": "mamp", "dataset": None, "protocol": None, "seed": None, "run": "r", "key": "k", "path": "p",
                "train_clips": None, "test_clips_seen": 9, "novel_classes": 0, "novel_classes_seen": None,
            }
        },
    ],
)  # fmt: skip
def test_what_has_seen_the_test_part_is_not_ranked(make_record: MakeRecord, advantage: dict[str, object]) -> None:
    records = [
        make_record(90.0, method__name="stars", **advantage),
        make_record(50.0, method__name="mamp"),
        make_record(40.0, method__name="untrained"),
    ]
    tables = to_latex(records, "none").tables
    assert r"\textbf{50.0}" in tables
    assert "90.0" in tables
    assert r"{90.0}" not in tables


def test_a_single_number_is_not_the_best_of_anything(make_record: MakeRecord) -> None:
    assert r"\textbf" not in to_latex([make_record()], "none").tables


def test_published_rows_stand_apart_and_are_cited(make_record: MakeRecord) -> None:
    records = four_methods(make_record, evaluation__name="linear", evaluation__settings={})
    tables, bibliography = to_latex(records, "all", bibliography="table")
    measured, published = tables.split(r"\emph{published}", 1)
    assert r"\textit{STARS}" not in measured
    assert r"stars~\cite{mehraban2024stars}" in measured
    assert r"\textit{STARS}~\cite{mehraban2024stars,TaatiTeam-STARS-README-md}" in published
    cited = {key for keys in re.findall(r"\\cite\{([^}]*)\}", tables) for key in keys.split(",")}
    assert cited == set(re.findall(r"^@\w+\{([^,]+),$", bibliography, re.MULTILINE))
    assert "other sources say" in published


def test_only_first_hand_numbers_are_printed_unless_all_are_asked_for(make_record: MakeRecord) -> None:
    records = four_methods(make_record, evaluation__name="linear", evaluation__settings={})
    tables, bibliography = to_latex(records, "STARS,CMD", bibliography="table")
    assert row_of(tables, r"\textit{STARS}").endswith(r"\textit{87.1} \\")
    assert "CMD" not in tables
    assert r"Left out: 1 second-hand published number (-{}-sources all prints them)" in tables
    assert "FoundSkelModel" not in bibliography
    tables, bibliography = to_latex(records, "STARS,CMD", bibliography="table", sources="all")
    assert row_of(tables, r"\textit{CMD}").endswith(r"\textit{79.8}$^{\circ}$$^{\dagger}$ \\")
    assert r"$^{\circ}$~second-hand: another publication quotes it." in tables
    assert "Left out" not in tables
    assert "FoundSkelModel" in bibliography


def test_a_paper_that_could_not_be_checked_is_left_out_and_said(make_record: MakeRecord) -> None:
    records = four_methods(make_record, evaluation__name="linear", evaluation__settings={})
    tables, _ = to_latex(records, "KTCL,STARS", bibliography="table", sources="all")
    sign = r"$^{1}$"
    assert rf"{sign}~No entry for its paper, which could not be checked: the source is cited." in tables
    assert sign in row_of(tables, r"\textit{KTCL}")
    assert sign not in row_of(tables, r"\textit{STARS}")


def test_without_a_file_the_sources_stand_under_the_table(make_record: MakeRecord) -> None:
    tables, _ = to_latex(four_methods(make_record), "own")
    assert r"\cite" not in tables
    assert r"Read in github:TaatiTeam/\allowbreak{}STARS" in tables


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("50% of a_b & #1", r"50\% of a\_b \& \#1"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("$x^2~", r"\$x\textasciicircum{}2\textasciitilde{}"),
        ("a -- b", "a -{}- b"),
        ("café 中\nx", r"caf{\'e} ? x"),
        ("Fürst, Jégou, čí", r"F{\"u}rst, J{\'e}gou, {\v c}{\'\i}"),
    ],
)
def test_special_characters_are_printed_not_run(text: str, latex: str) -> None:
    assert escape(text) == latex


def test_a_long_table_goes_on_on_another_page(make_record: MakeRecord) -> None:
    records = [make_record(method__name=f"method{i:02}") for i in range(ROWS_PER_PAGE + 1)]
    tables = to_latex(records, "none").tables
    assert tables.count(r"\begin{table}") == tables.count(r"\end{table}") == 2
    assert tables.count("(continued)") == 1


def test_only_wide_tables_span_both_columns(make_record: MakeRecord) -> None:
    def tables(*ks: int) -> str:
        return to_latex([make_record(evaluation__settings={"k": k}) for k in ks], "none").tables

    assert r"\begin{table}[tbp]" in tables(1, 2)
    assert r"\begin{table*}[tbp]" in tables(1, 2, 5, 10, 20)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
@pytest.mark.parametrize("columns", ["onecolumn", "twocolumn"])
@pytest.mark.parametrize("by", ["dataset", "method"])
def test_it_compiles_with_plain_pdflatex(make_record: MakeRecord, tmp_path: Path, by: By, columns: str) -> None:
    records = four_methods(make_record)
    records += [
        make_record(method__config={"a_setting_of_long_name": n}, evaluation__settings={"k": n}) for n in range(9)
    ]
    tables, bibliography = to_latex(records, "all", by, "table")
    (tmp_path / "table.tex").write_text(tables)
    (tmp_path / "table.bib").write_text(bibliography)
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[{columns}]{{article}}\usepackage{{booktabs,graphicx}}\begin{{document}}\input{{table}}"
        r"\bibliographystyle{plain}\bibliography{table}\end{document}"
    )

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    typeset = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex")
    run(*typeset)
    run("bibtex", "paper")
    run(*typeset)
    last = run(*typeset)
    assert "undefined" not in last
    assert "Overfull" not in last
