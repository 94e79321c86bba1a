"""Episodes are what they say: N classes, K labelled clips, Q queries, drawn from the seed and the clips alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.errors import UsageError
from stars_bench.protocols.episodes import draw_episodes

RNG = np.random.default_rng(0)
BANK, TEST = RNG.integers(3, 15, 400), RNG.integers(0, 12, 500)


@settings(max_examples=25, deadline=None)
@given(ways=st.integers(1, 9), shots=st.integers(1, 15), queries=st.integers(1, 15), seed=st.integers(0, 2**32))
def test_every_episode_has_its_classes_shots_and_queries(ways: int, shots: int, queries: int, seed: int) -> None:
    drawn = draw_episodes(BANK, TEST, ways, shots, queries, 20, seed)
    assert drawn.classes.shape == (20, ways)
    assert drawn.support.shape == (20, ways, shots) == (20, drawn.ways, drawn.shots)
    assert drawn.query.shape == (20, ways * queries)
    assert (BANK[drawn.support] == drawn.classes[..., None]).all()
    for classes, support, query in zip(drawn.classes, drawn.support, drawn.query, strict=True):
        assert len(np.unique(classes)) == ways
        assert len(np.unique(support)) == ways * shots
        assert (np.diff(query) > 0).all()  # none twice, and in an order that tells nothing of the classes
        asked, counts = np.unique(TEST[query], return_counts=True)
        assert np.array_equal(asked, np.sort(classes))
        assert (counts == queries).all()


def test_the_seed_decides() -> None:
    first, again, other = (draw_episodes(BANK, TEST, 5, 2, 4, 30, seed) for seed in (7, 7, 8))
    assert np.array_equal(first.query, again.query)
    assert np.array_equal(first.support, again.support)
    assert not np.array_equal(first.query, other.query)


def test_fewer_shots_are_the_first_of_more_with_the_same_queries() -> None:
    one, five = (draw_episodes(BANK, TEST, 5, shots, 4, 30, 0) for shots in (1, 5))
    assert np.array_equal(one.query, five.query)
    assert np.array_equal(one.support, five.support[..., :1])


def test_only_classes_with_enough_clips_in_both_parts_are_drawn() -> None:
    bank, test = np.repeat([0, 1, 2, 3, 5], [5, 5, 1, 5, 5]), np.repeat([0, 1, 2, 4, 5], [9, 9, 9, 9, 8])
    drawn = draw_episodes(bank, test, 2, 2, 9, 50, 0)
    assert set(drawn.classes.ravel().tolist()) == {0, 1}
    with pytest.raises(UsageError, match=r"3-way 2-shot episodes need 3 classes with 2 labelled and 9 test clips; 2"):
        draw_episodes(bank, test, 3, 2, 9, 50, 0)


def test_classes_and_clips_are_drawn_equally_often() -> None:
    bank, test = np.repeat(np.arange(10), 8), np.repeat(np.arange(10), 8)
    drawn = draw_episodes(bank, test, 4, 2, 3, 5000, 1)
    for rows, times in ((drawn.classes, 10), (drawn.support, 80), (drawn.query, 80)):
        expected = rows.size / times
        assert np.abs(np.bincount(rows.ravel(), minlength=times) - expected).max() < 5 * expected**0.5
