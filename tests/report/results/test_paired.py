"""Differences to a baseline, ties with the best and the power of a test part, from saved predictions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import UsageError
from stars_bench.io.files import digest_file
from stars_bench.io.run_folder import RunFolder
from stars_bench.records.measured_clips import MeasuredClips
from stars_bench.records.metrics import measure
from stars_bench.records.outcome import Outcome
from stars_bench.records.paired.differences import Difference, difference
from stars_bench.records.predictions import save_predictions
from stars_bench.records.record import BEST_ON_TEST, Record
from stars_bench.records.store import StoredRecord, write_record
from stars_bench.report.layouts.fill import fill
from stars_bench.report.leaderboard import Leaderboard
from stars_bench.report.results.paired import significant
from stars_bench.report.table import BEST, SECOND, TIED, Cell

MakeRecord = Callable[..., Record]
Stored = Callable[..., StoredRecord]
PERSONS, EACH = 12, 30
N = PERSONS * EACH
NUMBERS = {"subject": np.repeat(np.arange(1, PERSONS + 1), EACH), "performance": np.repeat(np.arange(N // 3), 3)}
CLIPS = MeasuredClips(np.array([f"c{n:03}" for n in range(N)]), np.zeros(N, int), NUMBERS)
EASE = np.random.default_rng(0).random(N)


@pytest.fixture
def stored(tmp_path: Path, make_record: MakeRecord) -> Stored:
    """A maker of records with predictions: a method recognises the clips that are easy enough for it."""

    def make(method: str, skill: float, seed: int = 0, clips: MeasuredClips = CLIPS) -> StoredRecord:
        own = np.random.default_rng([seed, *method.encode()]).normal(0, 0.05, N)
        outcome = Outcome({"k": 1}, np.where(EASE + own < skill, 0, 1))
        folder = RunFolder.of(tmp_path, "ntu60", "xsub", method, "key", seed)
        file = folder.predictions / "knn-k1.npz"
        file.parent.mkdir(parents=True)
        save_predictions(file, outcome, clips)
        metrics = [metric.model_dump() for metric in measure(outcome, clips.labels, clips.units)]
        record = make_record(
            method__name=method,
            seed=seed,
            metrics=metrics,
            predictions__digest=digest_file(file),
            protocol__test_persons=clips.persons,
        )
        return StoredRecord(record, write_record(folder, record))

    return make


def cells(board: Leaderboard) -> dict[str, Cell]:
    """The cell of each method."""
    (table,) = board.tables
    return {row.method: row.cells[1] for row in table.measured}


def notes(board: Leaderboard) -> str:
    (table,) = board.tables
    return "\n".join(table.notes)


def test_a_row_that_cannot_be_told_from_the_best_is_tied_with_it(stored: Stored) -> None:
    board = Leaderboard.of([stored("good", 0.70), stored("alike", 0.69), stored("poor", 0.40)], published="none")
    assert {method: cell.rank for method, cell in cells(board).items()} == {"good": BEST, "alike": TIED, "poor": 0}
    assert "Bold, too: numbers that cannot be told from the best of their column (paired" in notes(board)
    assert "sign flips by person, Holm)" in notes(board)
    for text in (board.to_markdown(), board.to_latex(), board._repr_html_()):
        bold = {mark: text.count(mark) for mark in ("**", r"\textbf{", "<b>")}
        assert max(bold.values()) - ("<b>" in text) in (2, 4)  # two numbers; a pair of stars each


def test_a_second_that_is_worse_is_only_second(stored: Stored) -> None:
    board = Leaderboard.of([stored("good", 0.70), stored("poor", 0.40)], published="none")
    assert {method: cell.rank for method, cell in cells(board).items()} == {"good": BEST, "poor": SECOND}
    assert "Bold, too" not in notes(board)


def test_differences_to_the_baseline_are_marked_where_holm_allows(stored: Stored) -> None:
    records = [stored("good", 0.70, seed) for seed in (0, 1)] + [stored("base", 0.69), stored("poor", 0.40)]
    board = Leaderboard.of(records, published="none", baseline="base")
    found, results = cells(board), {result.method: result for result in board.results.measured}
    by_hand = difference(results["poor"].hits, results["base"].hits)  # type: ignore[arg-type]
    assert results["poor"].difference == by_hand
    assert found["poor"].difference == f"{by_hand.value:+.1f}; p < .05"
    assert "p < .05" not in found["good"].difference
    assert found["good"].difference != ""
    assert found["base"].difference == ""
    assert "over 2 tests" in notes(board)
    for text in (board.to_text(200), board.to_markdown(), board._repr_html_()):
        assert f"({by_hand.value:+.1f}; p" in text
    assert f"({by_hand.value:+.1f}; p $<$ .05)" in board.to_latex()


def test_holm_is_over_all_differences_of_a_table(stored: Stored) -> None:
    records = [stored("base", 0.60), *(stored(f"m{place}", 0.60 - place / 50) for place in range(1, 6))]
    results = Leaderboard.of(records, published="none", baseline="base").results.measured
    p = {place: one.difference.p for place, one in enumerate(results) if one.difference}
    bounds = [0.05 / (5 - rank) for rank in range(5)]
    allowed, expected = True, {}
    for bound, place in zip(bounds, sorted(p, key=p.__getitem__), strict=True):
        allowed = allowed and p[place] < bound
        expected[place] = allowed
    assert significant(results) == expected
    assert set(expected.values()) == {True, False}


def test_the_smallest_difference_that_can_be_shown_stands_under_the_table(stored: Stored) -> None:
    board = Leaderboard.of([stored("good", 0.70), stored("poor", 0.40)], published="none")
    first, second = (result.hits for result in board.results.measured)
    smallest = difference(first, second).smallest  # type: ignore[arg-type]
    assert f"Smallest difference that the test part can show (80 % power, one test): {smallest:.1f} points." in notes(
        board
    )


def test_other_clips_are_not_tested(stored: Stored) -> None:
    other = MeasuredClips(CLIPS.names[::-1], CLIPS.labels, NUMBERS)
    board = Leaderboard.of(
        [stored("good", 0.7), stored("elsewhere", 0.69, clips=other)], baseline="good", published="none"
    )
    assert cells(board)["elsewhere"].difference == ""
    assert cells(board)["elsewhere"].rank == SECOND
    assert "Smallest difference" not in notes(board)


def test_a_baseline_that_was_not_measured_names_those_that_were(stored: Stored) -> None:
    with pytest.raises(UsageError, match="--baseline moco: was not measured; choose one: good, poor"):
        Leaderboard.of([stored("good", 0.7), stored("poor", 0.4)], baseline="moco")


def test_few_persons_can_show_no_difference(stored: Stored) -> None:
    few = NUMBERS | {"subject": np.repeat(np.arange(1, 5), N // 4)}
    clips = MeasuredClips(CLIPS.names, CLIPS.labels, few)
    board = Leaderboard.of([stored("good", 0.9, clips=clips), stored("poor", 0.1, clips=clips)], published="none")
    assert "4 persons can show no difference, however large: p is at least 0.125." in notes(board)
    assert "Smallest difference" not in notes(board)
    assert cells(board)["poor"].rank == TIED


def test_what_was_selected_on_the_test_part_is_not_tested_against_the_baseline(stored: Stored) -> None:
    base, other = stored("base", 0.6), stored("chosen", 0.9)
    evaluation = other.record.evaluation.model_copy(update={"checkpoint_rule": BEST_ON_TEST})
    chosen = StoredRecord(other.record.model_copy(update={"evaluation": evaluation}), other.path)
    for baseline in ("base", "chosen"):
        board = Leaderboard.of([base, chosen], published="none", baseline=baseline)
        assert {cell.difference for cell in cells(board).values()} == {""}
    fair = Leaderboard.of([base, other], published="none", baseline="base")
    assert cells(fair)["chosen"].difference != ""


def test_intervals_stand_in_the_cells_where_they_are_asked_for(stored: Stored) -> None:
    records = [*(stored("good", 0.70, seed) for seed in (0, 1)), stored("base", 0.40)]
    shown = {
        where: Leaderboard.of(records, published="none", baseline="base", intervals=where)
        for where in ("notes", "cells", "none")
    }
    good, base = (
        result for method in ("good", "base") for result in shown["cells"].results.measured if result.method == method
    )
    half = f"{good.main.half:.1f}"
    assert cells(shown["cells"])["good"].deviation == half != cells(shown["notes"])["good"].deviation
    assert cells(shown["notes"])["good"].deviation == cells(shown["none"])["good"].deviation == f"{good.main.std:.1f}"
    assert (cells(shown["cells"])["base"].deviation, cells(shown["notes"])["base"].deviation) == (
        f"{base.main.half:.1f}",
        "",
    )
    assert good.difference is not None
    wide = f"±{(good.difference.high - good.difference.low) / 2:.1f}; p < .05"
    assert cells(shown["cells"])["good"].difference == f"{good.difference.value:+.1f} {wide}"
    assert [("95 % intervals" in notes(board)) for board in shown.values()] == [True, True, False]
    subtitles = [board.tables[0].subtitle.partition(";")[0] for board in shown.values()]
    assert subtitles[0] == subtitles[2] == "top-1 accuracy in %, mean ± standard deviation over seeds"
    assert subtitles[1] == "top-1 accuracy in %, mean over seeds ± half the 95 % interval"
    assert rf"{{\scriptsize~$\pm$~{half}}}" in shown["cells"].to_latex()
    assert f"{good.value:.1f} ±{half} (" in shown["cells"].to_text(200)


def test_an_interval_that_is_cut_shows_its_other_side(stored: Stored) -> None:
    board = Leaderboard.of([stored("all", 1.05)], published="none", intervals="cells")
    (result,), (table,) = board.results.measured, board.tables
    assert result.main.high == 100
    assert table.measured[0].cells[1].deviation == f"{result.main.mean - result.main.low:.1f}"


def test_seeds_are_averaged_before_clips_are_compared(stored: Stored) -> None:
    records = [stored(method, skill, seed) for method, skill in (("a", 0.7), ("b", 0.6)) for seed in range(3)]
    board = Leaderboard.of(records, published="none", baseline="b")
    (result, _) = board.results.measured
    assert result.hits is not None
    assert result.main.high is not None
    assert result.hits.seeds.shape == (3, N)
    assert result.difference is not None
    assert result.difference.p_methods is not None
    total = (result.hits.sample_se() ** 2 + np.var(100 * result.hits.seed_means, ddof=1) / 3) ** 0.5
    assert result.main.high - result.value == pytest.approx(2.200985 * total, rel=1e-6)


def test_rows_that_agree_everywhere_say_nothing_of_the_power(stored: Stored) -> None:
    good, every, same = stored("good", 0.7), stored("all", 1.5), stored("same", 1.5)
    assert "one test): 0.0" not in notes(Leaderboard.of([good, every, same], published="none"))
    alone = Leaderboard.of([every, same], published="none", baseline="all")
    assert cells(alone)["same"].difference == "+0.0"
    assert "Smallest difference" not in notes(alone)


def test_a_difference_that_rounds_to_zero_has_no_minus(stored: Stored) -> None:
    found = Difference(-0.04, 1.0, 1.0, "person", 12, 0.9, None, exact=True)
    board = Leaderboard.of([stored("good", 0.7)])
    (result,) = board.results.measured
    results = replace(board.results, measured=[replace(result, difference=found)])
    (row,) = fill(board.layout.table[0], results).measured
    assert row.cells[1].difference == "+0.0"


def test_numbers_of_an_older_record_take_persons_from_the_newer_one(stored: Stored) -> None:
    unnamed = MeasuredClips(CLIPS.names, CLIPS.labels, {})
    old, new = stored("old", 0.6, clips=unnamed), stored("new", 0.7)
    for baseline in ("old", "new"):
        results = Leaderboard.of([old, new], published="none", baseline=baseline).results.measured
        assert [one.difference.unit for one in results if one.difference] == ["person"]
