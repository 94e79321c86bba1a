"""Doubts: each weakness of a measurement is said beside the number, and a sound one has none."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stars_bench.records.doubts import doubts, doubts_of_sum
from stars_bench.records.outcome import Outcome
from stars_bench.records.record import Record

TEST, LABELLED = np.array([0, 0, 1, 1]), np.array([0, 1, 1])
EVEN = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]], np.float32)
APART = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
CASES: dict[str, tuple[Outcome, np.ndarray, np.ndarray, tuple[str, ...]]] = {
    "sound": (Outcome({}, np.array([0, 1, 1, 0]), scores=APART), TEST, LABELLED, ()),
    "one class": (Outcome({}, np.zeros(2, int)), np.zeros(2, int), LABELLED, ("one class tested",)),
    "untrained class": (
        Outcome({}, np.array([0, 1, 1, 0])),
        TEST,
        np.zeros(3, int),
        ("1 of 2 tested classes have no training clips",),
    ),
    "constant": (Outcome({}, np.zeros(4, int)), TEST, LABELLED, ("every clip predicted as one class",)),
    "ties": (
        Outcome({}, np.array([0, 1, 1, 0]), scores=EVEN),
        TEST,
        LABELLED,
        ("ties for first place in 4 of 4 clips",),
    ),
    "constant in every episode": (
        Outcome({}, np.array([[0, 0], [1, 1]]), kind="episodes"),
        TEST,
        LABELLED,
        ("every clip of an episode predicted as one class",),
    ),
    "sound episodes": (Outcome({}, np.array([[0, 0], [1, 0]]), kind="episodes"), TEST, LABELLED, ()),
    "one cluster": (
        Outcome({}, np.zeros(4, int), kind="clusters"),
        TEST,
        np.zeros(3, int),
        ("every clip in one cluster",),
    ),
    "not finite": (
        Outcome({}, np.array([0, 1, 1, 0]), scores=np.where(APART == [[0, 1]], np.nan, APART)),
        TEST,
        LABELLED,
        ("scores of 2 of 4 clips are not finite",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_each_weakness_is_said(name: str) -> None:
    outcome, test, labelled, expected = CASES[name]
    assert doubts(outcome, test, labelled) == expected


def test_a_sum_of_scores_has_its_own_doubts_and_those_of_the_split() -> None:
    first = ("1 of 2 tested classes have no training clips", "every clip predicted as one class")
    summed = Outcome({}, np.array([0, 1, 1, 0]), scores=EVEN)
    assert doubts_of_sum(summed, TEST, first) == (first[0], "ties for first place in 4 of 4 clips")


def test_a_doubt_is_a_mark_in_every_table(make_record: Callable[..., Record]) -> None:
    assert "one class tested" in make_record(doubts=("one class tested",)).marks
    assert make_record().marks == []
