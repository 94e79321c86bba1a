"""From an array of any axes to (M, T, V, A)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing.ntu_text import MOST_NUMBERS
from stars_bench.datasets.skeletons.layouts import LAYOUTS

Stored = NDArray[np.float64]


def arranged(stored: Stored, order: str, joints: int, axes: int) -> Stored:
    """Return an array of the axes `order` as (M, T, V, A); joints and axes may share one axis.

    Args:
        stored: Numbers of any shape.
        order: Its axes: bodies M, frames T, joints V, coordinates C. Without M or T there is one of these.
        joints: V.
        axes: A.

    Raises:
        ValueError: It does not have these axes, joints or coordinates.
    """
    if stored.ndim == len(order) - 1 and axes == 1 and (not order.endswith("VC") or stored.shape[-1] == joints):
        stored = np.expand_dims(stored, order.index("C"))
    if order.endswith("VC") and stored.ndim == len(order) - 1 and stored.shape[-1] == joints * axes:
        stored = stored.reshape(*stored.shape[:-1], joints, axes)
    if stored.ndim != len(order):
        raise ValueError(f"an array of shape {stored.shape}, not of the axes {order}")
    whole = order
    for axis in "TM":
        if axis not in whole:
            stored, whole = stored[None], f"{axis}{whole}"
    stored = stored.transpose([whole.index(axis) for axis in "MTVC"])
    if stored.shape[2:] != (joints, axes):
        raise ValueError(f"{stored.shape[2]} joints of {stored.shape[3]} numbers, not {joints} of {axes} ({order})")
    return stored


def with_scores(stored: Stored, scores: Stored) -> Stored:
    """Return coordinates (M, T, V, A) with scores (M, T, V, 1) as their last axis.

    Raises:
        ValueError: There are more or fewer scores than joints.
    """
    if stored.shape[:3] != scores.shape[:3]:
        raise ValueError(f"scores of shape {scores.shape[:3]} for joints of shape {stored.shape[:3]}")
    return np.concatenate([stored, scores], axis=3)


def real(values: NDArray[Any]) -> Stored:
    """Return an array of whole or real numbers, as float64.

    Raises:
        ValueError: It is of something else.
    """
    if values.dtype.kind not in "fiu":
        raise ValueError(f"an array of {values.dtype}, not of numbers")
    return values.astype(np.float64)


def check_size(bodies: int, frames: int, numbers: int) -> None:
    """Check that bodies of one frame each do not make a huge array: every body gets all frames.

    Raises:
        ValueError: They do.
    """
    if bodies * frames * numbers > MOST_NUMBERS:
        raise ValueError(f"{bodies:,} times {frames:,} bodies and frames, more than any clip has")


def not_joints(numbers: int, joints: int, axes: int) -> str:
    """Say that so many numbers are not the joints of a layout, and of which ready layouts they would be."""
    told = f"not {joints} joints times {axes} axes"
    fitting = [name for name, layout in LAYOUTS.items() if len(layout.joints) * axes == numbers]
    return f"{told}; layouts of {numbers // axes} joints: {', '.join(fitting)}" if fitting else told
