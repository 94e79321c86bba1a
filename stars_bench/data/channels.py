"""The three channels of a joint: x, y, z; or, of a pose in a picture, x, y and the score of its detection.

What turns, shears, centres or subtracts joints of a picture does so in the plane: a score is not a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

SCORE = 2
"""The channel of the score, where there is one."""
NO_JOINT = -1
SURE = 0.01
"""A joint in pixels whose score is not above this has no place."""


def in_picture(joints: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Normalise the clips that are in pixels, in place, as pyskl does (PreNormalize2D, mode "fix").

    x = (x - w / 2) / (w / 2) and y = (y - h / 2) / (h / 2), so that the picture goes from -1 to 1 either way and
    proportions are not kept; x and y are 0 where the score is at most 0.01.

    Args:
        joints: (rows, V, 3) float32: x, y, score, of all clips.
        table: The table of clips, with the columns height and width.
    """
    clips = table[table["height"] > 0]
    for first, rows, size in zip(
        clips["offset"], clips["num_frames"] * clips["num_bodies"], clips[["width", "height"]].to_numpy(), strict=True
    ):
        own = joints[first : first + rows]
        half = (size / 2).astype(np.float32)
        own[..., :SCORE] = np.where(own[..., SCORE:] > SURE, (own[..., :SCORE] - half) / half, 0)
    return joints


def scored(changed: Tensor, joints: Tensor, dim: int, planar: bool) -> Tensor:
    """Return changed joints with the scores that they had; joints in space as they are.

    Args:
        changed: Joints after a change, of any shape.
        joints: The same before.
        dim: Dimension of the channels.
        planar: Whether the last channel is a score.
    """
    if not planar:
        return changed
    return torch.cat([changed.narrow(dim, 0, SCORE), joints.narrow(dim, SCORE, 1)], dim)


def in_plane(angles: Tensor, planar: bool) -> Tensor:
    """Return rotation angles (B, 3) about x, y and z; of joints in a picture, the last alone."""
    return angles * (torch.arange(3, device=angles.device) == SCORE) if planar else angles


def origin_number(joint: int | None, planar: bool) -> int:
    """Return a joint and whether the last channel is a score, as the one number that a checkpoint holds."""
    joint = NO_JOINT if joint is None else joint
    return -joint - 3 if planar else joint


def about_origin(x: Tensor, origin: Tensor, number: Tensor) -> Tensor:
    """Subtract an origin (B, 3, ...) from clips (B, 3, T, V, M), of its last channel nothing if that is a score.

    Args:
        x: The clips.
        origin: Where joint `origin_joint(number)` is, in a shape that fits.
        number: What `origin_number` gave; without a joint nothing is subtracted.
    """
    scores = (number <= NO_JOINT - 1) & (torch.arange(3, device=x.device) == SCORE)
    none = (number == NO_JOINT) | (number == -NO_JOINT - 3)
    return x - origin * ~(scores | none).view(1, 3, 1, 1, 1)


def origin_joint(number: Tensor) -> Tensor:
    """Return the joint (1,) in a number of `origin_number`; 0 where there is none."""
    return torch.where(number <= NO_JOINT - 1, -number - 3, number).clamp_min(0).view(1)
