"""docs/tables.md: each of its layouts is a table of a paper's records, in every output."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from stars_bench.records.record import Record
from stars_bench.report import latex
from stars_bench.report.layouts import facts, table_file
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.table import BEST, SECOND
from tests.paths import ROOT
from tests.report.paper_records import paper_records as paper_records

PAGE = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
LAYOUTS: dict[str, dict[str, Any]] = {
    name: tomllib.loads(text) for name, text in re.findall(r"```toml layout=(\w+)\n(.*?)```", PAGE, re.DOTALL)
}
HAS_TEX = shutil.which("pdflatex") is not None and shutil.which("kpsewhich") is not None


def board(records: list[Record], name: str) -> Leaderboard:
    return Leaderboard.of(records, table=LAYOUTS[name])


def has_package(name: str) -> bool:
    done = subprocess.run(["kpsewhich", f"{name}.sty"], capture_output=True, check=False)
    return done.returncode == 0


def test_every_layout_of_the_field_is_there() -> None:
    assert list(LAYOUTS) == ["linear", "supervised", "zeroshot", "efficiency", "blocks", "semi"]


def test_every_key_and_fact_is_explained() -> None:
    parts = (table_file.TableFile, table_file.TableOf, table_file.GroupOf, table_file.RowOf, table_file.ColumnOf)
    keys = {key for part in parts for key in part.model_fields} - {"table"}
    assert {
        key for key in keys if f"`{key}`" not in PAGE and f"{{{key} =" not in PAGE and f"{key} =" not in PAGE
    } == set()
    assert {fact for fact in facts.KNOWN if f"`{fact}`" not in PAGE} == set()


def test_linear_evaluation(paper_records: list[Record]) -> None:
    (table,) = board(paper_records, "linear").tables
    upper, lower = table.heads
    assert [(one.text, one.width) for one in upper if one.text] == [("NTU-60", 2), ("NTU-120", 2), ("PKU-MMD II", 1)]
    assert [one.text for one in lower][:3] == ["Method", "Publisher", "Modality"]
    assert [group.heading for group in table.groups] == [
        "Contrastive learning", "Masked sequence modeling", "3s-ensemble",
    ]  # fmt: skip
    (mamp, stars) = table.groups[2].rows
    assert stars.texts[:4] == ["3s-STARS", "this work", "J+M+B", "86.2 ±0.4"]
    assert mamp.texts[:3] == [f"3s-MAMP{mamp.signs}", "ICCV'23", "J+M+B"]
    assert (mamp.signs, "re-run by us") in table.marks
    assert [(mamp.cells[2].rank, stars.cells[2].rank)] == [(SECOND, BEST)]
    published, ours, best = table.groups[1].rows
    assert (published.cells[2].number, published.cells[2].rank, published.in_italics) == ("85.0", BEST, False)
    assert (ours.cells[2].rank, best.cells[2].rank) == (0, SECOND)


def test_supervised_has_three_levels_and_a_column_of_types(paper_records: list[Record]) -> None:
    (table,) = board(paper_records, "supervised").tables
    assert [[(one.text, one.width) for one in level if one.text] for level in table.heads[:2]] == [
        [("NTU RGB+D (%)", 4)],
        [("X-Sub60", 3), ("X-View60", 1)],
    ]
    assert table.header[:3] == ["Types", "Methods", "Frames"]
    stars = table.groups[1].rows[1]
    assert [cell.number for cell in stars.cells] == ["120", "91.2", "89.2", "94.2", "95.2", "6.3"]
    assert [table.before(table.groups[1], row) for row in table.groups[1].rows] == [["Transformer"], [""]]
    assert table.style.siunitx


def test_zero_shot_is_published_numbers_with_two_decimals(paper_records: list[Record]) -> None:
    (table,) = board(paper_records, "zeroshot").tables
    assert table.measured == ()
    assert table.subtitle == "published top-1 accuracy in %"
    columns = zip(*(row.cells for row in table.rows), strict=True)
    assert [max(column, key=lambda cell: cell.value.value if cell.value else 0).rank for column in columns] == [
        BEST
    ] * 2
    assert "Publications" not in table.header  # no venue of these papers is known
    assert all(re.fullmatch(r"\d+\.\d\d", cell.number) for row in table.rows for cell in row.cells if cell.value)


def test_efficiency_has_costs_and_own_facts(paper_records: list[Record]) -> None:
    (table,) = board(paper_records, "efficiency").tables
    assert [row.texts[:5] for row in table.rows] == [
        ["mamp", "ICCV'23", "MAE", "2.15", "20.0"],
        ["stars", "arXiv'24", "MAE + CL", "2.15", "26.0"],
    ]
    assert "Hours: all trainings of a row, probes too, times processes; mean over seeds; on cpu." in table.notes


def test_blocks_are_ranked_each_for_itself(paper_records: list[Record]) -> None:
    (table,) = board(paper_records, "blocks").tables
    assert [[row.cells[1].rank for row in group.rows] for group in table.groups] == [[SECOND, BEST]] * 2
    assert [row.texts[2] for row in table.rows] == ["80.2 ±0.4", "83.2 ±0.4", "74.2 ±0.4", "77.2 ±0.4"]


def test_shares_of_labels_and_sources_are_columns(paper_records: list[Record]) -> None:
    semi, transfer = board(paper_records, "semi").tables
    assert [one.text for one in semi.heads[1] if one.text] == ["XSub", "XView"]
    assert [row.label for row in semi.measured] == ["mamp", "stars"]
    assert semi.published
    assert [row.texts for row in transfer.rows] == [
        ["mamp", "70.2 ±0.4", "71.2 ±0.4"],
        ["stars", "73.2 ±0.4", "74.2 ±0.4"],
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_output_has_the_same_layout(paper_records: list[Record], name: str) -> None:
    made = board(paper_records, name)
    outputs = (made.to_text(200), made.to_markdown(), made._repr_html_(), made.to_csv(), made.to_html())
    for table in made.tables:
        for text in outputs:
            plain = unescape(text).replace("\\", "")
            places = [plain.index(group.heading) for group in table.groups if group.heading]
            assert places == sorted(places)
            assert all(head.text in plain for head in table.heads[-1])
            assert all(cell.number in plain for row in table.rows for cell in row.cells)


@pytest.mark.slow
@pytest.mark.skipif(not HAS_TEX, reason="no pdflatex on this machine")
def test_the_layouts_compile(paper_records: list[Record], tmp_path: Path) -> None:
    if missing := [name for name in ("siunitx", "colortbl", "xcolor") if not has_package(name)]:
        pytest.skip(f"TeX has no {', '.join(missing)}")
    needed = set()
    for name in LAYOUTS:
        for path, text in latex.files(board(paper_records, name).latex_tables, tmp_path / f"{name}.tex").items():
            path.write_text(text)
        (packages,) = re.findall(r"Needs \\usepackage\{([^}]*)\}", (tmp_path / f"{name}.tex").read_text())
        needed |= set(packages.split(","))
    inputs = "".join(rf"\input{{{name}}}\clearpage" for name in LAYOUTS)
    (tmp_path / "paper.tex").write_text(
        rf"\documentclass[twocolumn]{{article}}\usepackage{{{','.join(sorted(needed))}}}"
        rf"\begin{{document}}{inputs}\bibliographystyle{{plain}}\bibliography{{{','.join(LAYOUTS)}}}\end{{document}}"
    )

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    typeset = ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex")
    run(*typeset)
    assert "Overfull" not in run(*typeset)
