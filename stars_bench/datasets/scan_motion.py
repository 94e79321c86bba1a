"""Bodies gathered and measured, compiled by numba: the bits that `ntu_raw` and `cleaning` compute with NumPy, sooner.

Loaded by `scan_choice` together with the compiled scanner. Sums are float32 and in order, as np.var's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stars_bench.compiling import kept


@kept
def rows_by_body(ids: NDArray[np.int64], frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Rows (n,) body by body, bodies in order of appearance; where each body's begin, and n; a row that is a second one
    of its body and frame, or -1."""
    rows, codes = len(ids), np.empty(len(ids), np.int64)
    starts = np.zeros(rows + 1, np.int64)  # first: how many rows each body has
    last = np.empty(rows, np.int64)  # its latest row
    bodies, twice = 0, -1
    for row in range(rows):
        body = 0
        while body < bodies and ids[last[body]] != ids[row]:
            body += 1
        if body == bodies:
            bodies += 1
        elif frames[last[body]] == frames[row] and twice < 0:
            twice = row
        last[body] = row
        codes[row] = body
        starts[body + 1] += 1
    starts = np.cumsum(starts[: bodies + 1])
    order, behind = np.empty(rows, np.int64), starts.copy()
    for row in range(rows):
        order[behind[codes[row]]] = row
        behind[codes[row]] += 1
    return order, starts, twice


@kept
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


@kept
def moved(joints: NDArray[np.float32], origin: NDArray[np.float32]) -> NDArray[np.float32]:
    """Coordinates (F, 75 M), each row x y z x y z ..., seen from `origin` (3,)."""
    out = np.empty_like(joints)
    x, y, z = origin
    for frame in range(len(joints)):
        for column in range(0, joints.shape[1], 3):
            out[frame, column] = joints[frame, column] - x
            out[frame, column + 1] = joints[frame, column + 1] - y
            out[frame, column + 2] = joints[frame, column + 2] - z
    return out


@kept
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
