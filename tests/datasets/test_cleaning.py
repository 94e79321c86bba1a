"""Cleaning, where the golden files do not go: logs, and what the public script stops at."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.datasets.cleaning import NothingLeft, centre, clean, denoise
from stars_bench.datasets.ntu_raw import RawBody, RawClip
from tests.datasets.raw_files import standing


def clip(*bodies: tuple[int, np.ndarray], frames: int | None = None, empty: int = 0) -> RawClip:
    raw = tuple(RawBody(number, first, joints) for number, (first, joints) in enumerate(bodies))
    return RawClip(raw, frames or max(body.first + len(body.joints) for body in raw), empty)


def test_when_every_body_is_short_the_one_that_moves_most_is_kept_and_it_is_logged() -> None:
    calm, lively = standing(11, 1), standing(11, 2)
    lively[5:] += 1
    joints, log = denoise(clip((0, calm), (0, lively)))
    np.testing.assert_array_equal(joints, lively.reshape(-1, 75))
    assert log["all_bodies_too_short"] == 1
    assert log["bodies_too_short"] == 1


def test_eleven_frames_are_too_short_and_twelve_are_not() -> None:
    assert denoise(clip((0, standing(20, 1)), (0, standing(11, 2))))[0].shape == (20, 75)
    assert denoise(clip((0, standing(20, 1)), (0, standing(12, 2))))[0].shape == (20, 150)


def test_a_body_wider_than_a_person_is_dropped_and_counted() -> None:
    wide = standing(20, 2)[:, :, [1, 0, 2]]
    joints, log = denoise(clip((0, wide), (0, standing(20, 1))))
    np.testing.assert_array_equal(joints, standing(20, 1).reshape(-1, 75))
    assert log["bodies_too_wide"] == 1


def test_the_last_body_is_kept_however_wide_it_is() -> None:
    wide = standing(20, 2)[:, :, [1, 0, 2]]
    assert denoise(clip((0, wide), (0, wide)))[0].shape == (20, 75)


def test_a_clip_without_a_body_has_nothing_left() -> None:
    with pytest.raises(NothingLeft):
        clean(RawClip((), 0, 9))


def test_an_actor_that_is_zero_throughout_has_nothing_left() -> None:
    with pytest.raises(NothingLeft):
        clean(clip((0, np.zeros((5, 25, 3), np.float32))))


def test_centring_puts_the_spine_of_the_first_seen_frame_at_the_origin_and_keeps_zero_frames_of_pairs() -> None:
    joints = np.hstack([standing(6, 1).reshape(6, 75), standing(6, 2).reshape(6, 75)])
    joints[:2, :75] = 0
    joints[4, 75:] = 0
    moved = centre(joints)
    np.testing.assert_array_equal(moved[2, 3:6], 0)
    assert not moved[:2, :75].any()
    assert not moved[4, 75:].any()
    np.testing.assert_allclose(moved[3, 75:78], joints[3, 75:78] - joints[2, 3:6], rtol=1e-6)


def test_at_most_300_frames_are_kept_and_the_rest_is_counted() -> None:
    bodies, log = clean(clip((0, standing(310))))
    assert bodies.shape == (1, 300, 25, 3)
    assert log["frames_past_the_limit"] == 10


def test_bodies_that_merge_into_one_actor_still_count_two() -> None:
    bodies, log = clean(clip((0, standing(15, 1)), (15, standing(15, 2))))
    assert bodies.shape == (2, 30, 25, 3)
    assert not bodies[1].any()
    assert log["bodies_joined"] == 1
