"""The three channels of a joint: x, y, z; or, of a pose in a picture, x, y and the score of its detection.

What turns, shears, centres or subtracts joints of a picture does so in the plane: a score is not a place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stars_bench.storage.pictures import SCORE

NO_JOINT = -1


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
