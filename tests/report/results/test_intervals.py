"""What stands under a table of its intervals: what is sampled, how many, how wide, and what noise is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stars_bench.records.record import Record
from stars_bench.records.statistics.intervals import around
from stars_bench.report.leaderboard import Leaderboard

MakeRecord = Callable[..., Record]


def measured(unit: str, value: float = 80.0, se: float = 0.8, clusters: int = 20) -> dict[str, object]:
    found = around(value, se, clusters, 2.0)
    interval = {"interval": [found.low, found.high], "intervals": {unit: found.model_dump()}}
    return {"metrics": [{"name": "top1", "value": value, "unit": "%", "n": 16487} | interval]}


def notes(*records: Record) -> list[str]:
    (table,) = Leaderboard.of(records, published="none").tables
    return [note for note in table.notes if "interval" in note]


def test_by_person(make_record: MakeRecord) -> None:
    assert notes(make_record(**measured("person"), protocol__test_persons=20)) == [
        "95 % intervals (±1.7): other persons, the same classes; 20 persons, Student's t.",
        "With one seed: training noise unknown; the intervals are those of the test part alone.",
    ]


def test_several_seeds_hold_the_noise_of_training(make_record: MakeRecord) -> None:
    records = [
        make_record(**measured("person", 80.0 + seed, clusters=53), protocol__test_persons=53, seed=seed)
        for seed in range(3)
    ]
    assert notes(*records) == [
        "95 % intervals (±1.9): other persons, the same classes; 53 persons.",
        "The intervals include the noise of training (standard error over seeds).",
    ]
    other = make_record(**measured("person", clusters=53), protocol__test_persons=53, method__name="mamp")
    assert notes(*records, other) == [
        "95 % intervals (±1.6 to ±1.9): other persons, the same classes; 53 persons.",
        "Of rows with one seed: training noise unknown; the intervals are those of the test part alone.",
    ]


@pytest.mark.parametrize(("persons", "reason"), [(None, "the data names no person"), (3, "fewer than 4 persons: 3")])
def test_by_performance_says_why(make_record: MakeRecord, persons: int | None, reason: str) -> None:
    record = make_record(**measured("performance", clusters=900), protocol__test_persons=persons)
    assert notes(record)[0] == (
        f"95 % intervals (±1.6): these persons, other recordings (within class); 900 performances ({reason})."
    )


def test_independent_clips_are_called_so(make_record: MakeRecord) -> None:
    unnamed = make_record(**measured("clip", clusters=16487))
    assert "as if clips were independent; 16,487 independent clips (the data names no person)." in notes(unnamed)[0]
    old = make_record(metrics=[{"name": "top1", "value": 80.0, "unit": "%", "n": 16487, "interval": [79.0, 81.0]}])
    assert "16,487 independent clips (record of an older version)." in notes(old)[0]


def test_every_output_has_the_line_and_the_lines_of_csv_have_the_numbers(make_record: MakeRecord) -> None:
    board = Leaderboard.of([make_record(**measured("person"), protocol__test_persons=20)], published="none")
    for text in (board.to_text(200), board.to_markdown(), board.to_latex(), board.to_html(), board._repr_html_()):
        assert "other persons, the same classes; 20 persons" in text
    row = board.to_frame().iloc[0]
    assert (row["sampled"], row["clusters"], row["design_effect"]) == ("person", 20, 2.0)
    assert row["high"] - row["value"] == pytest.approx(2.093 * 0.8, abs=1e-3)
    assert "95 % 78.3 to 81.7 by 20 persons" in board.to_html()


def test_an_interval_without_width_is_not_taken_for_certainty(make_record: MakeRecord) -> None:
    says = "An interval without width says nothing"
    for se in (0.0, 0.8):
        found = notes(make_record(**measured("person", se=se), protocol__test_persons=20))
        assert [note for note in found if says in note] == (
            [] if se else [f"{says}: what was sampled does not differ there."]
        )
