"""The views of skeleton-contrast, which CMD, PCM3, UmURL and USDRL share, for whole batches on the device.

Facts: github maoyunyao/CMD and wengwanjiang/USDRL, feeder/augmentations.py. A view is a crop of a tenth to all of a
clip's frames (at least 64), resized, and then either a shear of all joints, or 15 of 25 joints that are zero or mapped
at random. Entries of shears and maps are uniform in [-1, 1]. Every view of every clip has draws of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stars_bench.api import TrainingClips
from stars_bench.data.channels import scored
from stars_bench.models.layers.augment import AXES, Draws, linear_map, shear_matrices

SHARES = (0.1, 1.0)
"""The smallest and the largest share of a clip's frames in a view."""
CORRUPTED = 15 / 25
"""Share of the joints that a view hides or maps."""
AMPLITUDE = 1.0


def views(clips: TrainingClips, rows: Tensor, frames: int, number: int) -> Tensor:
    """Return views of the joints of clips: (B, number, 3, frames, V, M).

    Args:
        clips: The training part.
        rows: (B,) int64 numbers of clips in the part.
        frames: T of a view.
        number: Views of each clip.
    """
    planar = clips.skeleton.planar
    crops = (clips.cropped(rows, frames, max_angle=0.0, shares=SHARES, stream="joint") for _ in range(number))
    return torch.stack([corrupted(crop, planar) for crop in crops], 1)


def corrupted(x: Tensor, planar: bool = False) -> Tensor:
    """Shear some clips (B, 3, T, V, M); in the others hide or map joints, the same in all frames and bodies.

    Args:
        x: The clips.
        planar: Whether the last channel is a score, which stays. Default: False.
    """
    drawn = Draws(x)
    sheared = linear_map(x, shear_matrices(drawn.uniform(6), AMPLITUDE, planar))
    order = drawn.uniform(x.shape[3]).argsort(1)
    chosen = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, : round(CORRUPTED * x.shape[3])], True)
    matrices = (2 * drawn.uniform(AXES, AXES) - 1) * AMPLITUDE
    if planar:
        matrices = matrices * matrices.new_tensor([1, 1, 0])  # no place comes from a score
    hidden = drawn.coin().view(-1, 1, 1, 1, 1)
    others = torch.where(chosen[:, None, None, :, None], linear_map(x, matrices).masked_fill(hidden, 0), x)
    out = torch.where(drawn.coin().view(-1, 1, 1, 1, 1), sheared, others)
    return scored(out, x, 1, planar)
