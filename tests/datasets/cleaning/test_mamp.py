"""Cleaning, where the golden files do not go: logs, and what the public script stops at."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from stars_bench.datasets.cleaning.mamp import (
    MAMP_PARAMETERS,
    NothingLeft,
    actors,
    centre,
    clean,
    motion_of,
    noisy_frames,
    seen_frames,
)
from stars_bench.datasets.parsing import bodies_numba, compiled_code
from stars_bench.datasets.parsing.ntu import RawBody, RawClip
from tests.datasets.raw_writers import standing


@pytest.fixture(params=[None, bodies_numba], ids=["numpy", "compiled"], autouse=True)
def measured_by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_code, "body_kernels", lambda: request.param)


def clip(*bodies: tuple[int, np.ndarray], frames: int | None = None, empty: int = 0) -> RawClip:
    raw = tuple(RawBody(number, first, joints) for number, (first, joints) in enumerate(bodies))
    return RawClip(raw, frames or max(body.first + len(body.joints) for body in raw), empty)


def denoise(raw: RawClip) -> tuple[np.ndarray, Counter[str]]:
    """Steps 1 to 3: joints of the actors, not yet centred, and the log."""
    joints, several, log = actors(raw, MAMP_PARAMETERS)
    return (seen_frames(joints, log) if several else joints), log


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


@pytest.mark.parametrize("actors", [1, 2])
def test_centring_subtracts_in_float32_what_numpy_does(actors: int) -> None:
    joints = np.hstack([standing(7, seed).reshape(7, 75) for seed in range(actors)]) * np.float32(1.0000001)
    expected = joints.reshape(7, -1, 3) - joints[0, 60:63]
    assert centre(joints, 20).tobytes() == expected.tobytes()
    assert centre(np.asfortranarray(joints), 20).tobytes() == expected.tobytes()


def test_at_most_300_frames_are_kept_and_the_rest_is_counted() -> None:
    bodies, log = clean(clip((0, standing(310))))
    assert bodies.shape == (1, 300, 25, 3)
    assert log["frames_past_the_limit"] == 10


def test_bodies_that_merge_into_one_actor_still_count_two() -> None:
    bodies, log = clean(clip((0, standing(15, 1)), (15, standing(15, 2))))
    assert bodies.shape == (2, 30, 25, 3)
    assert not bodies[1].any()
    assert log["bodies_joined"] == 1


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_motion_is_what_numpy_computes_to_the_last_bit(scale: float) -> None:
    rng = np.random.default_rng(5)
    for count in [*range(1, 140), 150, 299, 300, 1750, 7500, 7501, 20_000]:
        points = (rng.normal(0, 1, (count, 3)) * scale + rng.normal(0, 3, 3)).astype(np.float32)
        assert motion_of(points) == float(np.sum(np.var(points, axis=0)))
        if count % 25 == 0:
            seen = points.reshape(-1, 25, 3)[rng.random(count // 25) < 0.8].reshape(-1, 3)
            if len(seen):
                assert motion_of(seen) == float(np.sum(np.var(seen, axis=0)))


def test_motion_of_points_far_away_alike_or_at_zero_is_what_numpy_computes() -> None:
    for value in (0.0, -0.0, 1e-30, 3.3333333, 1e18):
        points = np.full((77, 3), value, np.float32)
        assert motion_of(points) == float(np.sum(np.var(points, axis=0)))
    assert motion_of(np.asfortranarray(standing(3).reshape(-1, 3))) == motion_of(standing(3).reshape(-1, 3))


def test_noisy_frames_are_those_wider_than_four_fifths_of_their_height() -> None:
    rng = np.random.default_rng(6)
    for count in (1, 2, 12, 100):
        joints = rng.normal(0, 1, (count, 25, 3)).astype(np.float32)
        joints[:, :, 0] *= rng.uniform(0.5, 1.2, (count, 1)).astype(np.float32)
        width, height = (np.ptp(joints[:, :, axis], axis=1).astype(np.float64) for axis in (0, 1))
        np.testing.assert_array_equal(noisy_frames(joints, 0.8), width > 0.8 * height)


def test_the_bound_of_noisy_frames_is_compared_in_float64() -> None:
    joints = np.zeros((1, 25, 3), np.float32)
    joints[0, 0] = (np.float32(0.8), 1, 0)  # as float32 a little more than 0.8
    assert noisy_frames(joints, 0.8).tolist() == [True]
    assert noisy_frames(joints, float(np.float32(0.8))).tolist() == [False]


def test_a_pair_of_which_nothing_is_seen_has_nothing_left() -> None:
    with pytest.raises(NothingLeft):
        clean(clip((0, np.zeros((20, 25, 3), np.float32)), (0, np.zeros((20, 25, 3), np.float32))))


def test_the_raw_clip_is_left_as_it_was() -> None:
    for raw in (clip((0, standing(20))), clip((0, standing(20, 1)), (5, standing(15, 2)), (0, standing(4)))):
        before = [body.joints.copy() for body in raw.bodies]
        bodies, _ = clean(raw)
        bodies[:] = 7
        for body, joints in zip(raw.bodies, before, strict=True):
            np.testing.assert_array_equal(body.joints, joints)


def outcome(raw: RawClip) -> tuple[bytes, tuple[int, ...], Counter[str]] | str:
    try:
        bodies, log = clean(raw)
    except NothingLeft as error:
        return str(error)
    return bodies.tobytes(), bodies.shape, log


@pytest.mark.parametrize("seed", range(12))
def test_both_ways_clean_alike_whatever_is_zero_cancels_or_is_infinite(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    found = set()
    for _ in range(40):
        bodies = []
        for _ in range(rng.integers(1, 4)):
            joints = standing(int(rng.integers(1, 40)), int(rng.integers(99)))
            blank = rng.random(len(joints)) < rng.choice([0, 0.3, 1], p=[0.5, 0.4, 0.1])
            joints[blank] = rng.choice([0.0, -0.0, 1e-42])
            if rng.random() < 0.3:  # sums that cancel, in one order of float32 or in every one
                joints[rng.integers(len(joints))] = rng.permutation(np.repeat([0.1, -0.1, 0], 25)).reshape(25, 3)
            if rng.random() < 0.1:
                joints[-1, 3, 0] = rng.choice([2e38, -2e38, 3e38])
                joints[0, 1, 0] = -2e38
            bodies.append((int(rng.integers(0, 30)), joints))
        raw = clip(*bodies)
        results = []
        for way in (None, bodies_numba):
            monkeypatch.setattr(compiled_code, "body_kernels", lambda way=way: way)
            results.append(outcome(raw))
        assert results[0] == results[1]
        found.add(type(results[0]))
    assert tuple in found
