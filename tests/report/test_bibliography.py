"""The .bib file: what records say, what shipped methods say where records do not, and nothing that LaTeX would run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from stars_bench import registry
from stars_bench.api import Citation
from stars_bench.errors import StarsBenchError
from stars_bench.records.published.numbers import published_numbers
from stars_bench.records.record import Record, parse
from stars_bench.report import latex
from stars_bench.report.bibliography import Bibliography, _only_published, _same_paper, papers_named
from stars_bench.report.leaderboard import Leaderboard
from tests.paths import HISTORIC

MakeRecord = Callable[..., Record]
MEASURED = ("knn", "linear", "finetune", "supervised", "semi", "transfer", "transfer-linear", "exemplar")
"""Evaluations of published numbers that have a column."""
PAPER = Citation("doe2026", "A Title", authors="Doe, Jane", venue="CVPR", year=2026, arxiv="2601.00001")


def test_a_record_of_schema_6_is_cited_as_it_says(make_record: MakeRecord) -> None:
    bibliography = Bibliography()
    record = make_record(method__name="stars", method__citations=[PAPER], dataset__citation=PAPER)
    assert bibliography.cite_method(record) == bibliography.cite_dataset(record) == ["doe2026"]
    assert "mehraban" not in bibliography.text
    assert bibliography.cite_method(make_record(method__citations=[])) == []


def test_a_record_from_before_schema_6_is_cited_as_the_shipped_method_says() -> None:
    record = parse((HISTORIC / "record-v5.json").read_text(encoding="utf-8"), "v5")
    bibliography = Bibliography()
    assert bibliography.cite_method(record) == ["mao2023mamp"]
    assert bibliography.cite_dataset(record) == ["liu2017pkummd"]


def test_published_names_find_their_papers_in_any_case() -> None:
    named = {
        name: [paper.key for paper in papers_named(name)] for name in ("STARS", "SkeletonCLR", "ST-GCN", "ctr-gcn", "X")
    }
    assert named == {
        "STARS": ["mehraban2024stars"],
        "SkeletonCLR": ["li2021crossclr"],
        "ST-GCN": ["yan2018stgcn"],
        "ctr-gcn": ["chen2021ctrgcn"],
        "X": [],
    }


def test_the_file_of_papers_names_published_methods_alone() -> None:
    published = {name.casefold() for row in published_numbers() for name in (row.method, row.stated_as)}
    papers, same = _only_published(), _same_paper()
    meant = {name for names in same.values() for name in names}
    assert {*papers, *same} <= published | meant
    assert meant <= {*papers, *registry.BUILT_IN["methods"]}


def test_a_paper_is_whole_and_has_a_key_of_its_own() -> None:
    papers = _only_published()
    assert len({paper.key for paper in papers.values()}) == len(papers)
    for name, paper in papers.items():
        assert paper.title, name
        assert paper.venue, name
        assert paper.year, name
        assert all("," in person for person in paper.authors.split(" and ")), name


def test_every_method_that_latex_prints_by_default_has_its_paper() -> None:
    """First-hand numbers of joints alone; second-hand methods may lack one, and the table says so."""
    for row in published_numbers():
        measured = row.dataset in registry.BUILT_IN["datasets"] and row.evaluation in MEASURED
        if row.is_first_hand and row.streams == "J" and measured:
            assert papers_named(row.method), row.method


def test_the_year_of_a_published_number_is_that_of_its_paper() -> None:
    for row in published_numbers():
        papers = papers_named(row.method)
        if papers and row.year:
            assert row.year in [paper.year for paper in papers], row.method


def test_two_papers_with_one_key_stay_apart() -> None:
    bibliography = Bibliography()
    other = Citation("doe2026", "Another Title")
    assert bibliography.cite([PAPER, other, PAPER, other]) == ["doe2026", "doe2026-2", "doe2026", "doe2026-2"]
    assert bibliography.text.count("@") == 2


def test_what_a_record_says_is_printed_not_run(make_record: MakeRecord) -> None:
    hostile = Citation("x", r"\input{/etc/passwd} }, note = {", authors=r"\write18{x}, A")
    _, text = latex.render(Leaderboard.of([make_record(method__citations=[hostile])], published="none").tables, "table")
    assert r"\input" not in text
    assert r"\write" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} \}, note = \{" in text


@pytest.mark.parametrize("fields", [{"key": "a b"}, {"key": "a}"}, {"title": " "}, {"authors": "A\nB"}])
def test_a_citation_that_cannot_be_one_is_refused(fields: dict[str, str], make_record: MakeRecord) -> None:
    with pytest.raises(ValueError, match=r"citation"):
        Citation(**({"key": "k", "title": "T"} | fields))
    content = json.loads(make_record(method__citations=[PAPER]).model_dump_json())
    content["method"]["citations"][0] |= fields
    with pytest.raises(StarsBenchError, match=r"^x\.json: not a sound record: method\.citations\.0: .*citation"):
        parse(json.dumps(content), "x.json")


def test_reports_cite_shipped_methods_without_torch() -> None:
    code = (
        "import sys; from stars_bench.report.bibliography import papers_named; "
        "assert papers_named('STARS') and papers_named('SkeletonCLR'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
