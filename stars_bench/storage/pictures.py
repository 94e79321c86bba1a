"""Poses in pixels of a picture, as they are stored, and as methods get them: normalised by the picture's size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SCORE = 2
"""The channel of the score, where there is one."""
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
        clips["offset"], clips["num_frames"] * clips["num_bodies"], clips[["height", "width"]].to_numpy(), strict=True
    ):
        own = joints[first : first + rows]
        own[..., :SCORE] = normalised(own, *size)
    return joints


def normalised(joints: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return x and y (..., V, 2) of joints (..., V, 3) in pixels of a picture of this size; see `in_picture`."""
    half = np.array([width / 2, height / 2], np.float32)
    return np.where(joints[..., SCORE:] > SURE, (joints[..., :SCORE] - half) / half, np.float32(0))
