"""Shards -> clips on the device -> batches (B, 3, T, V, 2), a whole batch at once.

The prepared dataset is ragged and small: it is loaded once and stays on the device. Cropping, two-tap resizing and
rotation of a batch are a handful of tensor operations; no worker process and no copy per step. The streams bone and
motion (2s-AGCN, CrosSCLR) are made from the joints of a batch, after resizing.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from stars_bench.api import AbsentBody, ClipInput, Skeleton
from stars_bench.data import placement, random, repetitions
from stars_bench.data.channels import in_plane, scored
from stars_bench.data.clip_inputs import frames_of_first_body, joints_of_crossclr, padded, placed_as_crossclr, rows_of
from stars_bench.errors import StarsBenchError
from stars_bench.storage.clip_facts import FACTS, FIRST_BODY, SECOND, VALID
from stars_bench.storage.pictures import in_picture

if TYPE_CHECKING:
    from stars_bench.storage.shards import PreparedDataset

BODIES = 2
STREAMS = ("joint", "bone", "motion", "bone-motion")
MIN_CROP = 64
"""A random crop is at least this many frames long, where the clip has them (MAMP)."""

CROP_SHARES = (0.5, 1.0)
"""The smallest and the largest share of a clip's frames in a random crop (MAMP)."""
MOST_FRAMES = 10_000
"""Most frames that clips may be resized to: a batch of 256 then takes 1.5 GB, and recorded clips have some hundreds."""


LENGTHS: dict[ClipInput, str] = {"resized": VALID, "crossclr": FIRST_BODY}
"""The column of the table that has the `lengths` of clips, where they must be counted."""


class ClipStore:
    """All clips of a prepared dataset, on one device.

    Args:
        joints: (rows, V, 3) float32, metres; per clip all frames of body 1, then those of body 2.
        offset: (N,) int64 first row of each clip.
        frames: (N,) int64 frames of each clip.
        bodies: (N,) int64 bodies of each clip, 1 or 2.
        absent: What stands for a missing body.
        stream: What batches hold: joint, bone (a joint minus its parent), motion (the next frame minus this one) or
            bone-motion (the motion of bones). Default: joint.
        skeleton: The joint layout, which bones need, and methods that work on the skeleton's graph. Default: None.
        clip_input: How a clip becomes the frames that an encoder takes. Default: resized.
        valid: (N,) int64 frames that crops are cut from. Default: None, counted (`lengths`).
        second: (N,) int64 what each second body is, as `storage.clip_facts` has it. Default: None, another than the
            first where there is one.
    """

    def __init__(
        self,
        joints: np.ndarray,
        offset: np.ndarray,
        frames: np.ndarray,
        bodies: np.ndarray,
        absent: AbsentBody,
        device: torch.device | str = "cpu",
        stream: str = "joint",
        skeleton: Skeleton | None = None,
        clip_input: ClipInput = "resized",
        valid: np.ndarray | None = None,
        second: np.ndarray | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.stream, self.skeleton, self.clip_input = stream, skeleton, clip_input
        self.placed = joints_of_crossclr(skeleton) if clip_input == "crossclr" else None
        parents = () if skeleton is None else skeleton.parents
        self.parents = torch.tensor(parents, dtype=torch.int64, device=self.device)
        rows = np.asarray(frames, dtype=np.int64) * np.asarray(bodies, dtype=np.int64)
        self.num_joints = int(joints.shape[1])
        self.coordinates = placement.place(joints, offset, rows, self.device)
        if valid is None:
            valid = lengths(joints, offset, frames, bodies, clip_input)
        self.valid, self.frames, self.bodies = (_numbers(one, self.device) for one in (valid, frames, bodies))
        self.second = _numbers(np.asarray(bodies) - 1 if second is None else second, torch.device("cpu"))
        self.absent: AbsentBody = absent

    @classmethod
    def of(
        cls,
        dataset: PreparedDataset,
        device: torch.device | str = "cpu",
        stream: str = "joint",
        clip_input: ClipInput = "resized",
        joints: np.ndarray | None = None,
    ) -> ClipStore:
        """Load a prepared dataset.

        Args:
            dataset: The prepared dataset.
            device: Where its coordinates go. Default: cpu.
            stream: Joint, bone, motion or bone-motion. Default: joint.
            clip_input: How a clip becomes the frames that an encoder takes. Default: resized.
            joints: What `coordinates_of` gives for the dataset. Default: None, it is read.

        Returns:
            The store.
        """
        table = dataset.table
        offset, frames, bodies = (table[name].to_numpy() for name in ("offset", "num_frames", "num_bodies"))
        joints = coordinates_of(dataset) if joints is None else joints
        # In pictures it is after normalisation that sums cancel or do not.
        known = {} if "height" in table else {name: table[name].to_numpy() for name in FACTS if name in table}
        return cls(
            joints, offset, frames, bodies, dataset.absent_body, device, stream, dataset.spec.skeleton, clip_input,
            known.get(LENGTHS.get(clip_input, "")), known.get(SECOND),
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.frames)

    def subset(self, ids: np.ndarray) -> Self:
        """Return a store of some clips, numbered anew from 0, in which no other clip has a number.

        Args:
            ids: (N,) int64 clip numbers.

        Returns:
            The store; it shares the coordinates and copies nothing.
        """
        part, chosen = copy(self), _numbers(ids, self.device)
        part.coordinates = self.coordinates.subset(chosen)
        part.valid, part.frames, part.bodies = (column[chosen] for column in (self.valid, self.frames, self.bodies))
        part.second = self.second[_numbers(ids, self.second.device)]
        return part

    def resized(self, ids: Tensor, start: Tensor, length: Tensor, frames: int, stream: str | None = None) -> Tensor:
        """Cut a part out of each clip and resize it linearly, with two taps; or pad it, where `clip_input` says so.

        Args:
            ids: (B,) int64 clip numbers.
            start: (B,) int64 first frame of the part.
            length: (B,) int64 number of frames of the part.
            frames: T of the result.
            stream: Joint, bone, motion or bone-motion. Default: None, that of the store.

        Returns:
            (B, 3, frames, V, 2) float32, metres.
        """
        joints, offset = self.coordinates.of(ids)
        body = torch.arange(BODIES, device=self.device)
        present = body < self.bodies[ids][:, None]
        first = (offset + start)[:, None] + torch.where(present, body, 0) * self.frames[ids][:, None]
        out = self._frames_of(joints, first, length, frames)
        if self.absent == "zero":
            out *= present[..., None, None, None]
        planar = self.skeleton is not None and self.skeleton.planar
        return as_stream(out, stream or self.stream, self.parents, planar).permute(0, 4, 2, 3, 1).contiguous()

    def _frames_of(self, joints: Tensor, first: Tensor, length: Tensor, frames: int) -> Tensor:
        if self.placed is not None:
            return placed_as_crossclr(joints, first, length, frames, self.placed)
        return (padded if self.clip_input == "zero-padded" else interpolate)(joints, first, length, frames)


class ClipPart:
    """One part of a store, training or test; implements `stars_bench.api.TrainingClips`.

    It holds a store of its own clips alone, so that no row of it is a clip of another part.

    Args:
        store: All clips of the dataset.
        ids: (N,) int64 clip numbers in the store.
        labels: (N,) classes, or None where they must not be seen.
        num_classes: Number of classes of the dataset.
    """

    def __init__(
        self, store: ClipStore, ids: np.ndarray, labels: np.ndarray | None = None, num_classes: int = 0
    ) -> None:
        self.num_joints, self.num_classes = store.num_joints, num_classes
        self.ids = _numbers(ids, store.device)
        self._store = store.subset(ids)
        self._labels = None if labels is None else _numbers(labels, store.device)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labels(self) -> Tensor:
        """The classes (N,) int64.

        Raises:
            StarsBenchError: This part was handed out without labels.
        """
        if self._labels is None:
            raise StarsBenchError("labels are not given here: a method that trains on them says needs_labels = True")
        return self._labels

    @property
    def skeleton(self) -> Skeleton:
        """The joint layout.

        Raises:
            StarsBenchError: The store was made without a layout.
        """
        if self._store.skeleton is None:
            raise StarsBenchError("these clips have no joint layout: give ClipStore its skeleton=Skeleton(...)")
        return self._store.skeleton

    @property
    def stream(self) -> str:
        """What batches hold, and what the encoder takes: joint, bone, motion or bone-motion."""
        return self._store.stream

    def subset(self, rows: np.ndarray) -> Self:
        """Return some of the clips, by their row numbers (N,) int64 in this part."""
        part, chosen = copy(self), _numbers(rows, self._store.device)
        part.ids, part._store = self.ids[chosen], self._store.subset(rows)
        part._labels = None if self._labels is None else self._labels[chosen]
        return part

    def whole(self, rows: Tensor, frames: int, keep: float = 1.0, stream: str | None = None) -> Tensor:
        """Return centre crops: int((1 - keep) * F / 2) frames dropped at each end, resized: (B, 3, frames, V, 2)."""
        start, length = center_crop(self._store.valid[rows], keep)
        return self._noted(self._store.resized(rows, start, length, frames, stream), rows)

    def cropped(
        self,
        rows: Tensor,
        frames: int,
        max_angle: float = 0.3,
        shares: tuple[float, float] = CROP_SHARES,
        stream: str | None = None,
    ) -> Tensor:
        """Return random crops of a share of the frames (at least 64), resized, rotated: (B, 3, frames, V, 2)."""
        device = self._store.device
        crop = random.rand(2, len(rows), dim=1, dtype=torch.float64, device=device)
        start, length = random_crop(self._store.valid[rows], crop[0], crop[1], shares)
        angles = (2 * random.rand(len(rows), 3, device=device) - 1) * max_angle
        clips = self._store.resized(rows, start, length, frames, stream)
        planar = self._store.skeleton is not None and self._store.skeleton.planar
        return self._noted(rotate(clips, in_plane(angles, planar)) if max_angle else clips, rows)

    def _noted(self, batch: Tensor, rows: Tensor) -> Tensor:
        if torch.compiler.is_compiling():  # a note is no part of a graph
            return batch
        return repetitions.noted(batch, self._store.second, self._store.absent, rows)


def _numbers(numbers: np.ndarray, device: torch.device) -> Tensor:
    """Copy whole numbers (N,) to the device as int64."""
    return torch.from_numpy(np.array(numbers, dtype=np.int64)).to(device)


def interpolate(joints: Tensor, first: Tensor, length: Tensor, frames: int) -> Tensor:
    """Resize clips linearly over time, with two taps: (B, M, frames, V, 3).

    Args:
        joints: (R, V, 3) rows of all clips, each body's frames one after another.
        first: (B, M) int64, the row of the first frame of each body.
        length: (B,) int64, frames of each clip from there on.
        frames: Number of frames of the result.
    """
    # float32 throughout, as torch's own interpolation computes it: the published programs' numbers.
    scale = length.float() / frames
    steps = torch.arange(frames, dtype=torch.float32, device=joints.device)
    position = ((steps + 0.5) * scale[:, None] - 0.5).clamp_min(0)
    lower = position.long()
    upper = torch.minimum(lower + 1, length[:, None] - 1)
    weight = (position - lower).to(joints.dtype)[:, None, :, None, None]
    first = first[..., None]
    return torch.lerp(rows_of(joints, first + lower[:, None]), rows_of(joints, first + upper[:, None]), weight)


def as_stream(bodies: Tensor, stream: str, parents: Tensor, planar: bool = False) -> Tensor:
    """Turn joints (B, M, T, V, 3) into one of STREAMS, of the same shape.

    The motion of the last frame is 0, as is the bone of a root. A score (`planar`) stays that of the joint.
    """
    out = bodies
    if stream.startswith("bone"):
        out = out - out[..., parents, :]
    if stream.endswith("motion"):
        out = torch.cat([out[:, :, 1:] - out[:, :, :-1], torch.zeros_like(out[:, :, :1])], dim=2)
    return scored(out, bodies, -1, planar)


def coordinates_of(dataset: PreparedDataset, into: np.ndarray | None = None) -> np.ndarray:
    """Return the coordinates of all clips (rows, V, 3) float32 as batches need them; those in pixels are normalised.

    Args:
        dataset: The prepared dataset.
        into: (rows, V, 3) float32, the array to fill. Default: None, a new one.
    """
    joints = dataset.load(into)
    return in_picture(joints, dataset.table) if "height" in dataset.table else joints


def lengths(
    joints: np.ndarray, offset: np.ndarray, frames: np.ndarray, bodies: np.ndarray, clip_input: ClipInput
) -> np.ndarray:
    """Return the length (N,) int64 of the clips that crops are cut from, as a way of `ClipInput` has it."""
    if clip_input == "zero-padded":
        return np.array(frames, dtype=np.int64)
    if clip_input == "crossclr":
        return frames_of_first_body(joints, offset, frames)
    return valid_frames(joints, offset, frames, bodies)


def valid_frames(joints: np.ndarray, offset: np.ndarray, frames: np.ndarray, bodies: np.ndarray) -> np.ndarray:
    """Count the frames F (N,) int64 whose coordinates, both bodies together, do not sum to 0; at least 1.

    The frames count wherever they lie in the clip. NumPy adds in the order of the published programs (x y z, then
    bodies, then joints), because the order decides whether a sum cancels to exactly 0. A copied second body doubles
    every sum, so it is not read.
    """
    clip = np.repeat(np.arange(len(frames)), frames)
    row = np.asarray(offset)[clip] + np.arange(len(clip)) - np.repeat(np.cumsum(frames) - frames, frames)
    sums = joints.sum(-1)
    both = sums[row]
    two = np.flatnonzero(np.asarray(bodies)[clip] > 1)
    both[two] += sums[row[two] + np.asarray(frames)[clip[two]]]
    return np.maximum(np.bincount(clip, weights=both.sum(-1) != 0, minlength=len(frames)).astype(np.int64), 1)


def center_crop(valid: Tensor, keep: float) -> tuple[Tensor, Tensor]:
    """Return start and length (B,) of centre crops that keep this share of clips of `valid` (B,) frames."""
    start = ((1 - keep) * valid.double() / 2).long()
    return start, valid - 2 * start


def random_crop(
    valid: Tensor,
    fraction: Tensor,
    place: Tensor,
    shares: tuple[float, float] = CROP_SHARES,
    min_frames: int = MIN_CROP,
) -> tuple[Tensor, Tensor]:
    """Return start and length (B,) of random crops.

    Args:
        valid: (B,) int64, frames of the clips.
        fraction: (B,) draws from [0, 1), for the length.
        place: (B,) draws from [0, 1), for the start.
        shares: The smallest and the largest share of the frames that a crop has.
        min_frames: The least length, where the clip has so many frames.
    """
    low, high = shares
    length = ((low + (high - low) * fraction) * valid).long().clamp_min(min_frames).minimum(valid)
    return (place * (valid - length + 1)).long(), length


def rotation_matrices(angles: Tensor) -> Tensor:
    """Return R = Rz(-c) Ry(-b) Rx(-a) of angles (B, 3) in radians, right-handed: (B, 3, 3)."""
    cos, sin = angles.neg().cos().unbind(1), angles.neg().sin().unbind(1)
    one, zero = torch.ones_like(cos[0]), torch.zeros_like(cos[0])
    rx = torch.stack([one, zero, zero, zero, cos[0], -sin[0], zero, sin[0], cos[0]], 1).view(-1, 3, 3)
    ry = torch.stack([cos[1], zero, sin[1], zero, one, zero, -sin[1], zero, cos[1]], 1).view(-1, 3, 3)
    rz = torch.stack([cos[2], -sin[2], zero, sin[2], cos[2], zero, zero, zero, one], 1).view(-1, 3, 3)
    return rz @ ry @ rx


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn clips (B, 3, T, V, M) about the origin, each by its angles (B, 3).

    No matrix product: autocast and TF32 would round coordinates by millimetres, more than they move between frames.
    """
    matrices = rotation_matrices(angles.double()).to(x.dtype)[..., None, None, None]
    turned = torch.empty_like(x)
    for axis in range(3):  # a sum over a product of all nine pairs would fill three times the memory of the batch
        turned[:, axis].copy_(x[:, 0]).mul_(matrices[:, axis, 0])
        turned[:, axis].addcmul_(x[:, 1], matrices[:, axis, 1]).addcmul_(x[:, 2], matrices[:, axis, 2])
    return turned
