"""Which bodies are repetitions is known from the table: what the coordinates themselves say, without asking them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stars_bench.api import AbsentBody
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.data.placement import with_host_copy
from stars_bench.data.repetitions import known
from stars_bench.models.layers.augment import mirror
from stars_bench.models.layers.encoder import SkeletonEncoder, distinct_bodies
from stars_bench.storage.clip_facts import SECOND, facts_of
from tests.stand_in_gpu import stand_in_gpu, waits

FRAMES, JOINTS = 8, 6
BODIES = (2, 1, 2, 2, 1, 2)
"""Of these clips the third has a copy as its second body, the fourth nothing but zeros."""


def part(absent: AbsentBody, device: str = "cpu") -> ClipPart:
    rng = np.random.default_rng(0)
    clips = [rng.normal(size=(bodies, 70, JOINTS, 3)).astype(np.float32) for bodies in BODIES]
    clips[2][1], clips[3][1] = clips[2][0], 0
    joints = np.concatenate([clip.reshape(-1, JOINTS, 3) for clip in clips])
    offset = np.cumsum([0, *(len(clip) * 70 for clip in clips[:-1])])
    second = facts_of(clips)[SECOND]
    store = ClipStore(joints, offset, np.full(6, 70), np.array(BODIES), absent, device, second=second)
    return ClipPart(store, np.array([5, 0, 1, 2, 3, 4]))


def asked(batch: Tensor) -> tuple[Tensor, Tensor]:
    """What is found out of the coordinates alone."""
    return distinct_bodies(batch.clone())


@pytest.mark.parametrize("absent", ["zero", "duplicate"])
@pytest.mark.parametrize("batch", [[0, 1, 2, 3, 4, 5], [2, 5], [0, 1], [3, 4, 3]])
def test_it_is_what_the_coordinates_say(absent: AbsentBody, batch: list[int]) -> None:
    clips, rows = part(absent), torch.tensor(batch)
    mirrored = mirror(clips.whole(rows, FRAMES), torch.arange(JOINTS).flip(0), torch.arange(len(rows)) % 2 == 0)
    for x in (clips.whole(rows, FRAMES), clips.cropped(rows, FRAMES), mirrored):
        assert known(x) is not None
        for ours, expected in zip(distinct_bodies(x), asked(x), strict=True):
            assert torch.equal(ours, expected)


def test_what_is_changed_in_place_is_asked_again() -> None:
    x = part("zero").whole(torch.arange(6), FRAMES)
    assert known(x) is not None
    x[1, ..., 1] = 0
    assert known(x) is None
    assert len(distinct_bodies(x)[0]) == 8  # six first bodies, the second of the first clip, an empty one


def test_features_of_such_a_batch_wait_for_nothing_on_a_gpu() -> None:
    encoder = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=1, heads=2)
    expected = encoder(part("zero").whole(torch.arange(6), FRAMES))
    with stand_in_gpu():
        clips, there = part("zero", "cuda"), encoder.to("cuda")
        rows = with_host_copy(torch.arange(6), torch.device("cuda"))
        waits.clear()
        features = there(clips.whole(rows[2:], FRAMES))
        assert not waits
        there(clips.whole(torch.arange(6, device="cuda"), FRAMES))  # nobody but the device knows these
        assert waits == {"_unique2": 1}
        assert torch.equal(features.cpu(), expected[2:])
