"""Whose recipe a number follows: published numbers beside others are marked, own rows always, labels say it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from stars_bench.records.comparability.comparable import why_not
from stars_bench.records.record import Record
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.results.published import OTHER_RECIPE
from stars_bench.report.table import Row

MakeRecord = Callable[..., Record]
OWN_MARK = "recipe of its own paper (profile raw, clips crossclr)"


@pytest.fixture
def linear(make_record: MakeRecord) -> MakeRecord:
    """Make a record of the linear probe; `recipe=` and the method's name choose what it follows."""

    def make(name: str, recipe: str | None, **changes: Any) -> Record:
        own = {"dataset__profile": "raw", "dataset__clip_input": "crossclr"} if recipe == "own" else {}
        evaluation = {"name": "linear", "config": {"lr": 3.0 if recipe == "own" else 0.1}, "settings": {}}
        method = {"method__name": name, "method__target": f"pkg:{name}", "method__recipe": recipe}
        return make_record(**(method | {"evaluation": evaluation} | own | changes))

    return make


def board(records: Sequence[Record], published: str = "own") -> Leaderboard:
    return Leaderboard.of(records, published=published)


def row(records: Sequence[Record], label: str, published: str = "own") -> Row:
    found = [row for table in board(records, published).tables for row in table.rows if row.label == label]
    assert len(found) == 1, label
    return found[0]


def is_marked(records: Sequence[Record], label: str, published: str = "own") -> bool:
    frame = board(records, published).to_frame()
    marks = frame[(frame["kind"] != "measured") & (frame["method"] == label)]["marks"]
    assert len(marks), label
    signs = [cell.signs for cell in row(records, label, published).cells if cell.value is not None]
    assert all(bool(sign) == (mark == OTHER_RECIPE) for sign, mark in zip(signs, marks, strict=True))
    return bool((marks == OTHER_RECIPE).all())


def test_published_numbers_beside_the_common_recipe_are_marked_unless_it_is_their_own(linear: MakeRecord) -> None:
    records = [linear("mamp", "both"), linear("stars", "both"), linear("skeletonclr", "common")]
    assert not is_marked(records, "MAMP")
    assert not is_marked(records, "STARS")
    assert is_marked(records, "SkeletonCLR")
    assert OTHER_RECIPE in {note.text for note in board(records).tables[0].marks}
    assert not is_marked([linear("stars", None)], "STARS")  # of before there were recipes


def test_a_method_that_is_not_known_here_has_a_recipe_that_is_not_known(linear: MakeRecord) -> None:
    assert is_marked([linear("stars", "both")], "HiCLR", published="HiCLR")


def test_beside_the_own_recipe_the_method_s_published_number_stands_without_a_mark(linear: MakeRecord) -> None:
    records = [linear("skeletonclr", "own")]
    assert not is_marked(records, "SkeletonCLR")
    (table,) = board(records, "all").tables
    assert [row.label for row in table.published] == ["SkeletonCLR"]  # the others rest on other data
    common = [linear("skeletonclr", "common", dataset__profile="raw")]
    (table,) = board(common).tables
    assert not table.published
    assert any("on the recipe of their own paper: none stand beside raw" in note for note in table.notes)


def test_names_that_papers_spell_otherwise_are_found(make_record: MakeRecord) -> None:
    evaluation = {"name": "classifier", "config": {}, "settings": {}}
    records = [make_record(method__name="stgcn", method__recipe="common", evaluation=evaluation)]
    assert is_marked(records, "ST-GCN")


def test_rows_of_the_own_recipe_are_marked_wherever_they_stand(linear: MakeRecord) -> None:
    own, common = linear("skeletonclr", "own"), linear("skeletonclr", "common")
    assert own.marks == [OWN_MARK]
    assert common.marks == []
    for by in ("dataset", "evaluation", "method"):
        tables = Leaderboard.of([own, common], by=by, published="none").tables  # type: ignore[arg-type]
        for table in tables:
            for one in table.measured:
                recipes = {record.method.recipe for cell in one.cells if cell.value for record in cell.value.records}
                text = {
                    note.text
                    for note in table.marks
                    if note.sign in one.signs or any(note.sign in cell.signs for cell in one.cells)
                }
                assert (OWN_MARK in text) == ("own" in recipes)


def test_rows_of_one_method_say_their_recipe_and_paper_means_all_of_it(linear: MakeRecord) -> None:
    same = {"dataset__profile": "mamp"}
    own, common = linear("skeletonclr", "own", **same), linear("skeletonclr", "common", **same)
    labels = [one.label for one in board([own, common], "none").tables[0].measured]
    assert sorted(labels) == ["skeletonclr (common recipe, paper settings)", "skeletonclr (own recipe, paper)"]
    quick = linear("skeletonclr", "common", method__preset="quick", **same)
    labels = [one.label for one in board([common, quick], "none").tables[0].measured]
    assert sorted(labels) == ["skeletonclr (paper settings)", "skeletonclr (quick)"]
    both = [linear("stars", "both"), linear("stars", "both", method__preset="quick")]
    assert sorted(one.label for one in board(both, "none").tables[0].measured) == ["stars (paper)", "stars (quick)"]
    (note,) = [note for note in board([own, common], "none").tables[0].notes if "not comparable" in note]
    assert "recipe" in note


def test_the_recipe_makes_numbers_comparable_or_not_and_its_name_alone_does_not(linear: MakeRecord) -> None:
    own = linear("skeletonclr", "own", dataset__profile="mamp", dataset__clip_input="resized")
    assert any(reason.startswith("recipe ") for reason in why_not(own, linear("skeletonclr", "common")))
    shown = why_not(linear("stars", None, dataset__clip_input="zero-padded"), linear("stars", "both"))
    assert shown == ["clips zero-padded / resized"]
    assert why_not(linear("stars", "both"), linear("skeletonclr", "common")) == []


def test_the_recipe_is_a_column_of_csv_and_html_and_a_note_of_latex(linear: MakeRecord) -> None:
    records = [linear("stars", "both"), linear("skeletonclr", "common"), linear("skeletonclr", "own")]
    frame = board(records).to_frame()
    named = {
        (kind, method, profile): recipe
        for kind, method, profile, recipe in frame[["kind", "method", "profile", "recipe"]].fillna("").values
    }
    assert named["measured", "stars", "mamp"] == "common, own"
    assert named["measured", "skeletonclr", "mamp"] == "common"
    assert named["measured", "skeletonclr", "raw"] == "own"
    assert set(frame[frame["kind"] != "measured"]["recipe"]) == {"own"}
    html = board(records).to_html()
    assert html.count('class="sort">recipe</button>') == 2
    assert html.count("<td>common, own</td>") == 1
    assert "<td>common, own</td>" in board(records)._repr_html_()
    latex = board(records).to_latex()
    assert OTHER_RECIPE in latex
    assert OWN_MARK in latex
