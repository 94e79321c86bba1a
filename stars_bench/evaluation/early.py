"""Early recognition: how much of an action must be seen before it is recognised.

A clip is cut to its first frames, before the crop and the resizing that every clip meets.
"""

from __future__ import annotations

from torch import Tensor

FEWEST_FRAMES = 3
"""Frames that are always seen, where the clip has them."""


def early_frames(frames: Tensor, percent: int) -> Tensor:
    """Return how many frames are seen: max(3, n * percent // 100), in whole numbers.

    In floating point 0.7 * n falls one frame short at n = 90, 170 and 180, as in programs that compute so.

    Args:
        frames: (N,) int64 frames n of each clip. A clip of fewer than three frames is seen whole.
        percent: Observed share in %.
    """
    return (frames * percent // 100).clamp_min(FEWEST_FRAMES)
