"""Padding and back: the public arrays, and the same bits again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.api import AbsentBody, SetAside
from stars_bench.formats import padding
from tests.formats.clips import bodies


def official(clip: np.ndarray, absent: AbsentBody) -> np.ndarray:
    """(300, 150) as align_frames of the public program fills it from (T, 75) or (T, 150)."""
    joints = clip.swapaxes(0, 1).reshape(clip.shape[1], -1)
    aligned = np.zeros((300, 150), np.float32)
    if joints.shape[1] == 75:
        joints = np.hstack((joints, joints if absent == "duplicate" else np.zeros_like(joints)))
    aligned[: len(joints)] = joints
    return aligned


@pytest.mark.parametrize("absent", ["zero", "duplicate"])
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("frames", [1, 103, 300])
def test_padded_clips_are_the_public_ones(frames: int, count: int, absent: AbsentBody) -> None:
    clip = bodies(frames, count)
    block = padding.pad([clip], 25, absent)
    np.testing.assert_array_equal(block.reshape(300, 150), official(clip, absent))


def test_a_clip_longer_than_300_frames_is_cut() -> None:
    clip = bodies(310, 2)
    np.testing.assert_array_equal(padding.pad([clip], 25, "zero")[0], clip[:, :300].swapaxes(0, 1))


@given(
    frames=st.integers(1, 300),
    count=st.integers(1, 2),
    absent=st.sampled_from(["zero", "duplicate"]),
    zeroed=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 299)), max_size=4),
    second=st.sampled_from(["own", "zero", "copy"]),
    negative=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_padding_taken_off_and_put_on_again_gives_the_same_bits(
    frames: int, count: int, absent: AbsentBody, zeroed: list, second: str, negative: bool
) -> None:
    clip = bodies(frames, count, frames)
    clip[-1] = {"own": clip[-1], "zero": 0 * clip[-1] if count == 2 else clip[-1], "copy": clip[0]}[second]
    for body, frame in zeroed:
        clip[body % count, frame % frames] = -0.0 if negative else 0
    once = padding.pad([clip], 25, absent)
    back = padding.unpad(once[0], absent)
    if back is None:
        assert not clip.view(np.uint32).any()
        return
    assert back.shape[1] <= frames
    assert padding.pad([back], 25, absent).tobytes() == once.tobytes()


@pytest.mark.parametrize("absent", ["zero", "duplicate"])
def test_a_second_body_is_absent_only_where_padding_would_put_it_back(absent: AbsentBody) -> None:
    clip = bodies(8, 2)
    clip[1] = 0
    assert len(padding.unpad(padding.pad([clip], 25, absent)[0], absent)) == (1 if absent == "zero" else 2)
    clip[1] = clip[0]
    assert len(padding.unpad(padding.pad([clip], 25, absent)[0], absent)) == (2 if absent == "zero" else 1)
    assert len(padding.unpad(padding.pad([bodies(8)], 25, absent)[0], absent)) == 1


def test_clips_with_nan_or_nothing_are_set_aside_with_their_place() -> None:
    clip = padding.pad([bodies(5)], 25, "zero")[0]
    clip[2, 0, 3, 1] = np.nan
    found = padding.named("a", 1, clip, "zero", "x.npz, x_train[7]")
    assert isinstance(found, SetAside)
    assert (found.where, found.reason, found.kind) == ("x.npz, x_train[7]", "a coordinate is NaN or infinite", "fault")
    empty = padding.named("a", 1, np.zeros_like(clip), "zero", "x.npz, x_train[7]")
    assert isinstance(empty, SetAside)
    assert empty.kind == "empty"
