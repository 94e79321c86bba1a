"""Clips of the raw profile, resized, placed and turned, equal CrosSCLR's program; clips padded with zeros."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose

from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.errors import UsageError
from tests.evaluation.small_subject import SIX
from tests.golden.conftest import Arrays

CLIPS = ("one_body_37_frames", "two_bodies_103_frames", "gap_inside")
FRAMES = 50


def part(*clips: np.ndarray, **how: str) -> ClipPart:
    """Clips (3, T, 25, 2) with the bodies that are there, as the profile `raw` stores them."""
    bodies = [2 if clip[..., 1].any() else 1 for clip in clips]
    rows = [clip.transpose(3, 1, 2, 0)[:count].reshape(-1, 25, 3) for clip, count in zip(clips, bodies, strict=True)]
    offset, frames = np.cumsum([0, *map(len, rows)])[:-1], np.array([clip.shape[1] for clip in clips])
    store = ClipStore(np.concatenate(rows), offset, frames, np.array(bodies), "zero", skeleton=KINECT_V2, **how)
    return ClipPart(store, np.arange(len(clips)))


@pytest.fixture(scope="module")
def arrays(golden) -> Arrays:
    return golden("crossclr_place.npz")


def test_all_clips_of_a_batch_are_those_of_the_program(arrays: Arrays) -> None:
    clips = part(*(arrays[f"{name}_in"] for name in CLIPS), clip_input="crossclr")
    batch = clips.whole(torch.arange(len(CLIPS)), FRAMES)
    for found, name in zip(batch, CLIPS, strict=True):
        assert_allclose(found, arrays[f"{name}_out"], rtol=0, atol=1e-6, err_msg=name)


def test_a_gap_takes_as_many_frames_off_the_end(arrays: Arrays) -> None:
    (clip,) = (arrays[f"{name}_in"] for name in CLIPS if name == "gap_inside")
    seen = np.abs(clip[:, :, 0, 0]).sum(0) != 0
    assert 0 < (~seen).sum() < len(seen)
    assert part(clip, clip_input="crossclr")._store.valid.tolist() == [seen.sum()]
    without = clip.copy()
    without[:, int(seen.argmax()), 0, 0] = 0  # the other joints and the other body are there
    assert part(without, clip_input="crossclr")._store.valid.tolist() == [seen.sum() - 1]
    assert part(clip)._store.valid.tolist() == [(clip.sum((0, 2, 3)) != 0).sum()]


def test_shoulders_lie_along_x_and_an_absent_body_stays_zero(arrays: Arrays) -> None:
    batch = part(arrays["one_body_37_frames_in"], clip_input="crossclr").whole(torch.tensor([0]), FRAMES)[0]
    across = batch[:, :, 8, 0] - batch[:, :, 4, 0]
    before = part(arrays["one_body_37_frames_in"]).whole(torch.tensor([0]), FRAMES)[0]
    depth = (before[:, :, 8, 0] - before[:, :, 4, 0])[2]
    same_side = torch.sign(depth) == torch.sign(depth.sum())
    assert (across[2].abs() < 0.03 * across[0].abs())[same_side].all()
    assert (batch[:, :, 20] == 0).all()
    assert (batch[..., 1] == 0).all()


def test_bones_and_motion_are_made_of_the_placed_joints(arrays: Arrays) -> None:
    clip = arrays["two_bodies_103_frames_in"]
    joints = part(clip, clip_input="crossclr").whole(torch.tensor([0]), FRAMES)
    bones = part(clip, clip_input="crossclr", stream="bone").whole(torch.tensor([0]), FRAMES)
    assert torch.equal(bones, joints - joints[:, :, :, list(KINECT_V2.parents)])
    moving = part(clip, clip_input="crossclr", stream="motion")
    assert torch.equal(moving.whole(torch.tensor([0]), FRAMES)[:, :, :-1], joints[:, :, 1:] - joints[:, :, :-1])
    assert torch.equal(moving.whole(torch.tensor([0]), FRAMES, stream="joint"), joints)


def test_other_layouts_are_refused() -> None:
    rows = np.ones((4, 6, 3), np.float32)
    with pytest.raises(UsageError, match="needs the joint 'left shoulder'"):
        ClipStore(rows, np.array([0]), np.array([4]), np.array([1]), "zero", skeleton=SIX, clip_input="crossclr")


def test_zeros_behind_a_clip_and_its_own_frames_in_front(arrays: Arrays) -> None:
    clips = [arrays[f"{name}_in"] for name in CLIPS]
    batch = part(*clips, clip_input="zero-padded").whole(torch.arange(3), 90)
    for found, clip in zip(batch, clips, strict=True):
        frames = min(clip.shape[1], 90)
        expected = F.pad(torch.from_numpy(clip[:, :frames]), (0, 0, 0, 0, 0, 90 - frames))
        assert torch.equal(found, expected)
