"""Lists of clips that keep their labels: balanced, nested, a function of the names alone."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.errors import UsageError
from stars_bench.protocols.semi import Drawing, semi_rows

CLASS_SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=8).filter(lambda sizes: sum(sizes) >= 2)
PERCENTS = st.one_of(st.sampled_from([1, 10, 100]), st.floats(0.1, 100))
DRAWINGS = st.sampled_from(get_args(Drawing))


def clips(sizes: list[int], shuffled_by: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and names of clips, `sizes` of each class, in some order."""
    labels = np.repeat(np.arange(len(sizes)), sizes)
    names = np.array([f"S{i % 17:03}C{i % 3}A{label:03}N{i}" for i, label in enumerate(labels)])
    order = np.random.default_rng(shuffled_by).permutation(len(names))
    return labels[order], names[order]


@settings(max_examples=60, deadline=None)
@given(CLASS_SIZES, PERCENTS, st.integers(0, 4))
def test_classes_are_as_equal_as_they_can_be(sizes: list[int], percent: float, number: int) -> None:
    labels, names = clips(sizes)
    rows = semi_rows(labels, names, percent, number)
    shares = np.bincount(labels[rows], minlength=len(sizes))
    assert len(rows) == max(round(len(names) * percent / 100), len(sizes), 2)
    assert len(set(rows.tolist())) == len(rows)
    assert (np.diff(rows) > 0).all()
    assert (shares >= 1).all()
    for share, size in zip(shares, sizes, strict=True):
        assert share == size or share >= shares.max() - 1


@settings(max_examples=60, deadline=None)
@given(
    CLASS_SIZES,
    PERCENTS,
    st.integers(0, 4),
    st.integers(1, 100),
    DRAWINGS,
)
def test_the_order_of_the_clips_does_not_matter(sizes, percent, number, shuffled_by, drawing) -> None:
    chosen = []
    for order in (0, shuffled_by):
        labels, names = clips(sizes, order)
        chosen.append(set(names[semi_rows(labels, names, percent, number, drawing)]))
    assert chosen[0] == chosen[1]


@settings(max_examples=60, deadline=None)
@given(CLASS_SIZES, PERCENTS, PERCENTS, DRAWINGS)
def test_lists_of_one_number_are_nested(sizes, first, second, drawing) -> None:
    labels, names = clips(sizes)
    small, large = (set(semi_rows(labels, names, percent, 3, drawing)) for percent in sorted((first, second)))
    assert small <= large


def test_lists_differ_by_number_and_classes_take_turns_at_being_larger() -> None:
    labels, names = clips([50] * 4)
    lists = [semi_rows(labels, names, 3, number) for number in range(20)]
    assert len({tuple(rows) for rows in lists}) == 20
    larger = {label for rows in lists for label in np.flatnonzero(np.bincount(labels[rows]) == 2).tolist()}
    assert larger == {0, 1, 2, 3}


def test_lists_stay_what_they_are() -> None:
    """Results of different versions can be compared only while a list's number means the same clips."""
    labels, names = clips([10] * 3)
    assert set(names[semi_rows(labels, names, 10, 0)]) == {"S003C0A000N3", "S004C0A002N21", "S014C2A001N14"}
    published = names[semi_rows(labels, names, 10, 4, "published")]
    assert set(published) == {"S000C0A000N0", "S001C1A000N1", "S006C2A002N23"}


def test_a_class_more_does_not_change_the_clips_of_the_others() -> None:
    labels, names = clips([20, 20, 20])
    rows = semi_rows(labels, names, 20, 1)
    kept = labels != 2
    fewer = names[kept][semi_rows(labels[kept], names[kept], 20, 1)]
    assert set(fewer) == {name for name, label in zip(names[rows], labels[rows], strict=True) if label != 2}


def test_the_published_drawing_looks_at_no_class() -> None:
    labels, names = clips([300, 100])
    rows = semi_rows(labels, names, 10.9, 0, "published")
    assert len(rows) == 43  # int(43.6), as the official program counts
    assert np.array_equal(rows, semi_rows(labels * 0, names, 10.9, 0, "published"))
    shares = [np.bincount(labels[semi_rows(labels, names, 10, n, "published")])[0] for n in range(20)]
    assert len(set(shares)) > 3
    assert 0.7 < np.mean(shares) / 40 < 0.8


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_percentage_that_is_none_is_told(percent: float) -> None:
    with pytest.raises(UsageError, match="cannot be drawn"):
        semi_rows(*clips([10]), percent, 0)


def test_one_clip_is_too_few() -> None:
    with pytest.raises(UsageError, match="1 training clips"):
        semi_rows(*clips([1]), 10, 0)


def test_two_processes_draw_nearly_twice_the_clips() -> None:
    labels, names = clips([150, 84])
    rows, one = (semi_rows(labels, names, 10, 0, drawing) for drawing in ("published-two-gpus", "published"))
    assert set(one) < set(rows)
    assert 2 * 23 - 8 <= len(rows) <= 2 * 23
    assert len(set(rows)) == len(rows)
