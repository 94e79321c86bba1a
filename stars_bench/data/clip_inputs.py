"""How a stored clip becomes the T frames that an encoder takes: the ways of `stars_bench.api.ClipInput`.

`resized`: the frames that are not empty, resized linearly (MAMP, STARS, CTR-GCN). `zero-padded`: the frames as they
are, zeros behind (ST-GCN, github yysijie/st-gcn). `crossclr`: resized, then every body placed and turned to the camera
(CrosSCLR and AimCLR, github LinguoLi/CrosSCLR and Levigty/AimCLR).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from stars_bench.api import Skeleton
from stars_bench.errors import UsageError

SHOULDERS = ("left shoulder", "right shoulder")
PLACED_AT = "spine shoulder"
SHOULDER_FLOOR = 1e-4
"""Added to the distance of the shoulders by CrosSCLR, in metres."""
DEGREES = 180 / math.pi


def padded(joints: Tensor, first: Tensor, length: Tensor, frames: int) -> Tensor:
    """Return the first frames of clips as they are, with zeros behind: (B, M, frames, V, 3).

    Args:
        joints: (R, V, 3) rows of all clips, each body's frames one after another.
        first: (B, M) int64, the row of the first frame of each body.
        length: (B,) int64, frames of each clip from there on.
        frames: Number of frames of the result; longer clips lose their end.
    """
    steps = torch.arange(frames, device=joints.device)
    there = steps < length[:, None]
    rows = first[..., None] + torch.where(there, steps, 0)[:, None]
    return rows_of(joints, rows) * there[:, None, :, None, None]


def joints_of_crossclr(skeleton: Skeleton | None) -> tuple[int, int, int]:
    """Return the joints that CrosSCLR's placement reads: left shoulder, right shoulder, spine at the shoulders.

    Raises:
        UsageError: There is no layout, or it has no such joints.
    """
    names = () if skeleton is None else skeleton.joints
    if skeleton is not None and skeleton.planar:
        raise UsageError("CrosSCLR's placement turns bodies about y: it needs x, y and z, these are poses in pictures")
    if missing := [name for name in (*SHOULDERS, PLACED_AT) if name not in names]:
        raise UsageError(f"CrosSCLR's placement of bodies needs the joint {missing[0]!r}, which this dataset has not")
    left, right, centre = (names.index(name) for name in (*SHOULDERS, PLACED_AT))
    return left, right, centre


def placed_as_crossclr(
    joints: Tensor, first: Tensor, length: Tensor, frames: int, places: tuple[int, int, int]
) -> Tensor:
    """Resize bodies about the spine at their shoulders, then turn them about y until the shoulders lie along x.

    Per body and frame the angle is that between the shoulders and x. One sign holds for the whole clip, that of most of
    its depth: in frames that stand the other way the body is turned away. So in the official program, which rounds
    each step to float32; so does this, because the arc cosine magnifies a rounding where shoulders lie along x already.
    Each step is computed in float64 first: float32 square roots of torch are not all rounded correctly.

    Args:
        joints: (R, V, 3) float32 rows of all clips, metres, each body's frames one after another.
        first: (B, M) int64, the row of the first frame of each body.
        length: (B,) int64, frames of each clip from there on.
        frames: Number of frames of the result.
        places: Left shoulder, right shoulder, spine, see `joints_of_crossclr`.

    Returns:
        (B, M, frames, V, 3) float32.
    """
    left, right, centre = places
    steps = torch.arange(frames, dtype=torch.float64, device=joints.device)
    position = ((steps + 0.5) * (length.double() / frames)[:, None] - 0.5).float().clamp_min(0)
    lower = position.long()
    upper = torch.minimum(lower + 1, length[:, None] - 1)
    before, after = (
        (rows - rows[..., centre : centre + 1, :]).double()
        for rows in (rows_of(joints, first[..., None] + tap[:, None]) for tap in (lower, upper))
    )
    weight = (position - lower)[:, None, :, None, None]
    bodies = (before * (1 - weight) + after * weight).to(joints.dtype)
    across = bodies[..., right, :] - bodies[..., left, :]
    x, z = across[..., 0], across[..., 2]
    width = (x.square() + z.square()).double().sqrt().float() + SHOULDER_FLOOR
    degrees = (x.double() / width).float().double().arccos().float() * DEGREES
    angle = torch.where(z.sum(-1, keepdim=True) >= 0, -degrees, degrees) * math.pi / 180
    cos, sin = (turn.float().double()[..., None] for turn in (angle.double().cos(), angle.double().sin()))
    px, py, pz = bodies.double().unbind(-1)
    return torch.stack([px * cos - pz * sin, py, px * sin + pz * cos], -1).to(joints.dtype)


def rows_of(joints: Tensor, numbers: Tensor) -> Tensor:
    """Return rows (..., V, 3) of joints (R, V, 3) by number (...).

    Copying whole rows is several times faster than indexing with [].
    """
    found = joints.flatten(1).index_select(0, numbers.flatten())
    return found.view(*numbers.shape, *joints.shape[1:])


def frames_of_first_body(joints: np.ndarray, offset: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Count the frames (N,) int64 in which the first joint of the first body is not zero; at least 1.

    CrosSCLR's length of a clip: a count, so that a gap inside takes as many frames off the end.

    Args:
        joints: (rows, V, 3); per clip all frames of body 1, then those of body 2.
        offset: (N,) int64 first row of each clip.
        frames: (N,) int64 frames of each clip.
    """
    clip = np.repeat(np.arange(len(frames)), frames)
    row = np.asarray(offset)[clip] + np.arange(len(clip)) - np.repeat(np.cumsum(frames) - frames, frames)
    seen = joints[row, 0].any(-1)
    return np.maximum(np.bincount(clip, weights=seen, minlength=len(frames)).astype(np.int64), 1)
