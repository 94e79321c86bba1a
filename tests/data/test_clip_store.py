"""Batches: absent bodies, valid frames, crops that stay inside the clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.data import clip_store, placement
from stars_bench.data.clip_store import ClipPart, ClipStore, as_stream, random_crop, rotate, valid_frames
from stars_bench.errors import StarsBenchError
from stars_bench.training.loop import autocast


def ragged_store(absent: str = "zero") -> tuple[ClipStore, list[np.ndarray]]:
    """Clips of one and two bodies of different lengths, and the clips themselves (M, F, 25, 3)."""
    rng = np.random.default_rng(0)
    shapes = [(1, 5), (2, 9), (1, 1), (2, 70), (1, 120)]
    clips = [rng.normal(size=(*shape, 25, 3)).astype(np.float32) for shape in shapes]
    clips[3][:, 10:14] = 0  # four frames in which nobody is seen
    rows = [clip.reshape(-1, 25, 3) for clip in clips]
    offset = np.cumsum([0, *map(len, rows)])[:-1]
    frames, bodies = np.array([s[1] for s in shapes]), np.array([s[0] for s in shapes])
    return ClipStore(np.concatenate(rows), offset, frames, bodies, absent=absent), clips


def test_valid_length_counts_frames_that_do_not_sum_to_zero() -> None:
    for absent in ("zero", "duplicate"):
        assert ragged_store(absent)[0].valid.tolist() == [5, 9, 1, 66, 120]


def test_a_batch_equals_torchs_own_resizing_clip_by_clip() -> None:
    store, clips = ragged_store()
    out = ClipPart(store, np.arange(5)).whole(torch.arange(5), 40)
    assert out.shape == (5, 3, 40, 25, 2)
    for i, clip in enumerate(clips):
        used = torch.from_numpy(clip[:, : store.valid[i]])  # (M, F, V, C)
        flat = used.permute(0, 2, 3, 1).reshape(1, -1, used.shape[1])
        expected = torch.nn.functional.interpolate(flat, size=40, mode="linear", align_corners=False)
        expected = expected.view(len(clip), 25, 3, 40).permute(2, 3, 1, 0)
        torch.testing.assert_close(out[i, ..., : len(clip)], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("absent", ["zero", "duplicate"])
def test_the_absent_second_body(absent: str) -> None:
    store, _ = ragged_store(absent)
    out = ClipPart(store, np.arange(5)).cropped(torch.arange(5), 8)
    for i in (0, 2, 4):
        expected = out[i, ..., 0] if absent == "duplicate" else torch.zeros_like(out[i, ..., 0])
        assert torch.equal(out[i, ..., 1], expected)
    assert not torch.equal(out[1, ..., 1], out[1, ..., 0])


@settings(max_examples=200, deadline=None)
@given(valid=st.integers(1, 300), fraction=st.floats(0, 1, exclude_max=True), place=st.floats(0, 1, exclude_max=True))
def test_random_crops_stay_inside_and_follow_the_rule(valid: int, fraction: float, place: float) -> None:
    draws = (torch.tensor([value], dtype=torch.float64) for value in (fraction, place))
    start, length = (int(value) for value in random_crop(torch.tensor([valid]), *draws))
    assert length == min(max(int((0.5 + 0.5 * fraction) * valid), 64), valid)
    assert 0 <= start <= valid - length


def test_angles_are_drawn_from_both_sides_as_far_as_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(clip_store, "rotate", lambda x, angles: drawn.append(angles) or x)
    store, _ = ragged_store()
    torch.manual_seed(0)
    ClipPart(store, np.arange(5)).cropped(torch.zeros(2000, dtype=torch.int64), 4, 0.2)
    angles = drawn[0]
    assert angles.shape == (2000, 3)
    assert angles.abs().max() <= 0.2
    assert (angles.amin(0) < -0.19).all()
    assert (angles.amax(0) > 0.19).all()
    assert (angles.mean(0).abs() < 0.01).all()


def test_every_place_of_a_crop_is_drawn() -> None:
    place = torch.linspace(0, 1, 1001, dtype=torch.float64)[:-1]
    start, length = random_crop(torch.full((1000,), 100), torch.zeros(1000, dtype=torch.float64), place)
    assert set(length.tolist()) == {64}
    assert set(start.tolist()) == set(range(37))


def test_labels_are_refused_where_they_were_not_given() -> None:
    store, _ = ragged_store()
    with pytest.raises(StarsBenchError, match="needs_labels"):
        _ = ClipPart(store, np.arange(5)).labels
    assert ClipPart(store, np.arange(2), np.array([3, 4])).labels.tolist() == [3, 4]


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_clips_are_the_same_bits_under_every_precision(precision: str) -> None:
    """Rounding coordinates to bf16 or TF32 moves them by more than they move between two frames."""

    def batch(context) -> torch.Tensor:
        torch.manual_seed(0)
        with context:
            return ClipPart(ragged_store()[0], np.arange(5)).cropped(torch.arange(5), 16)

    cpu = torch.device("cpu")
    plain = batch(autocast(cpu, "float32"))
    assert plain.dtype == torch.float32
    assert torch.equal(plain, batch(autocast(cpu, precision)))


def test_valid_length_sums_in_the_order_of_the_published_programs() -> None:
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(4000, 25, 3)).astype(np.float32)
    joints[:, -1, -1] -= joints.sum(-1).sum(-1)  # many frames now cancel to exactly 0, if summed in the right order
    official = joints.transpose(2, 0, 1)[..., None]  # (C, T, V, M)
    expected = (official.sum(0).sum(-1).sum(-1) != 0).sum()
    assert 0 < expected < 4000
    assert valid_frames(joints, np.array([0]), np.array([4000]), np.array([1])) == [expected]


def test_bones_are_joints_minus_parents_and_motion_the_change_to_the_next_frame() -> None:
    joints = torch.randn(2, 2, 5, 4, 3)
    parents = torch.tensor([0, 0, 1, 1])
    bones, motion = as_stream(joints, "bone", parents), as_stream(joints, "motion", parents)
    assert torch.equal(bones[..., 0, :], torch.zeros(2, 2, 5, 3))
    assert torch.equal(bones[..., 3, :], joints[..., 3, :] - joints[..., 1, :])
    assert torch.equal(motion[:, :, 1], joints[:, :, 2] - joints[:, :, 1])
    assert torch.equal(motion[:, :, -1], torch.zeros(2, 2, 4, 3))
    assert as_stream(joints, "joint", parents) is joints


@pytest.mark.parametrize("stream", ["bone", "motion"])
def test_a_stream_of_a_turned_clip_is_the_turned_stream(stream: str) -> None:
    clip = torch.randn(1, 3, 6, 4, 2, dtype=torch.float64)
    angles, parents = torch.tensor([[0.1, -0.2, 0.3]]), torch.tensor([0, 0, 1, 1])

    def of(x: torch.Tensor) -> torch.Tensor:
        return as_stream(x.permute(0, 4, 2, 3, 1), stream, parents).permute(0, 4, 2, 3, 1)

    assert torch.allclose(of(rotate(clip, angles)), rotate(of(clip), angles))


def test_coordinates_in_ram_give_the_same_batches() -> None:
    store, clips = ragged_store()
    ids, rows = np.array([4, 1, 3, 0]), torch.tensor([2, 0, 3, 2])
    part = ClipPart(store, ids)
    torch.manual_seed(0)
    expected = part.whole(rows, 16), part.cropped(rows, 16)
    size = np.array([len(clip) * clip.shape[1] for clip in clips])
    assert isinstance(store.coordinates, placement.OnDevice)
    joints = store.coordinates.joints.numpy()
    store.coordinates = placement.InMemory(joints, np.cumsum(size) - size, size, store.device)
    part = ClipPart(store, ids)
    torch.manual_seed(0)
    assert torch.equal(part.whole(rows, 16), expected[0])
    assert torch.equal(part.cropped(rows, 16), expected[1])
    staged, first = store.coordinates.of(torch.tensor([3, 0]))
    assert (len(staged), first.tolist()) == (size[3] + size[0], [0, size[3]])  # no more than the batch needs


@pytest.mark.parametrize("in_ram", [False, True])
def test_a_part_has_no_number_for_the_clips_of_another(in_ram: bool) -> None:
    """Whether they are asked for by row, or in the store that it holds; its own are those of the whole store."""
    store, clips = ragged_store()
    if in_ram:
        size = np.array([len(clip) * clip.shape[1] for clip in clips])
        assert isinstance(store.coordinates, placement.OnDevice)
        joints = store.coordinates.joints.numpy()
        store.coordinates = placement.InMemory(joints, np.cumsum(size) - size, size, store.device)
    everything, part = ClipPart(store, np.arange(5)), ClipPart(store, np.array([4, 1, 3]), np.array([7, 8, 9]))
    own, length = part._store, torch.ones(1, dtype=torch.int64)
    assert len(own) == 3
    assert not hasattr(part, "store")
    for row in (3, -4):
        beyond = torch.tensor([row])
        for ask in (
            lambda rows=beyond: part.whole(rows, 8),
            lambda rows=beyond: part.cropped(rows, 8),
            lambda rows=beyond: own.resized(rows, 0 * length, length, 8),
            lambda rows=beyond: own.coordinates.of(rows),
        ):
            with pytest.raises(IndexError):
                ask()
    assert torch.equal(part.whole(torch.arange(3), 8), everything.whole(torch.tensor([4, 1, 3]), 8))
    some = part.subset(np.array([2, 0]))
    assert (some.ids.tolist(), some.labels.tolist(), len(some._store)) == ([3, 4], [9, 7], 2)
    assert torch.equal(some.whole(torch.arange(2), 8), everything.whole(torch.tensor([3, 4]), 8))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_what_does_not_fit_on_the_gpu_stays_in_ram_and_is_the_same_there(monkeypatch: pytest.MonkeyPatch) -> None:
    store, clips = ragged_store()
    columns = [np.cumsum([0, *(len(clip) * clip.shape[1] for clip in clips)])[:-1]]
    columns += [np.array([clip.shape[axis] for clip in clips]) for axis in (1, 0)]
    assert isinstance(store.coordinates, placement.OnDevice)
    joints = store.coordinates.joints.numpy()
    order = torch.randperm(5)
    batches = []
    for share in (1.0, 0.0):
        monkeypatch.setattr(placement, "SHARE", share)
        there = ClipStore(joints, *columns, absent="zero", device="cuda")
        assert isinstance(there.coordinates, placement.InMemory) == (share == 0)
        rows = placement.with_host_copy(order, torch.device("cuda"))
        assert placement.on_host(rows[1:4]).tolist() == order[1:4].tolist()
        assert placement.on_host(rows[1:4] + 0).tolist() == order[1:4].tolist()
        batches.append([ClipPart(there, np.arange(5)).whole(rows[i : i + 2], 16).cpu() for i in range(4)])
    assert all(torch.equal(a, b) for a, b in zip(*batches, strict=True))
