"""What cleaning measures of a body, compiled by numba: the bits that `cleaning` computes with NumPy, sooner.

Loaded by `scan_choice` together with the compiled scanner. Sums are float32 and in order, as np.var's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.scan_numba import compiled


@compiled
def motion_of(points: NDArray[np.float32]) -> float:
    """Variances of x, y and z over all points (n, 3), summed."""
    count = np.float32(len(points))
    x, y, z = points[0]
    for row in range(1, len(points)):
        x, y, z = x + points[row, 0], y + points[row, 1], z + points[row, 2]
    x, y, z = x / count, y / count, z / count
    across, up, away = np.float32(0), np.float32(0), np.float32(0)
    for row in range(len(points)):
        dx, dy, dz = points[row, 0] - x, points[row, 1] - y, points[row, 2] - z
        across, up, away = across + dx * dx, up + dy * dy, away + dz * dz
    return float(across / count + up / count + away / count)


@compiled
def noisy_frames(joints: NDArray[np.float32], x_over_y: float) -> NDArray[np.bool_]:
    """Frames (n,) in which a body (n, 25, 3) is wider than a person."""
    noisy = np.empty(len(joints), np.bool_)
    for frame in range(len(joints)):
        left = right = joints[frame, 0, 0]
        low = high = joints[frame, 0, 1]
        for joint in range(1, joints.shape[1]):
            x, y = joints[frame, joint, 0], joints[frame, joint, 1]
            left, right, low, high = min(left, x), max(right, x), min(low, y), max(high, y)
        noisy[frame] = np.float64(right - left) > x_over_y * np.float64(high - low)
    return noisy
