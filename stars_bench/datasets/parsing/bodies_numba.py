"""Bodies gathered and measured by compiled code: the same bits as `parsing.ntu` and `cleaning`, sooner.

`compiled_code` loads this module together with the compiled scanner. Sums are float32 and in order, as in np.var.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from stars_bench.io.numba_cache import ANY_ORDER, kept

JOINTS = 25
WIDTH = 3 * JOINTS  # columns of one actor
CLEAR = 1e-4  # of its numbers' sizes: a sum above that is not zero in float32 either, in whichever order it is taken


@kept
def rows_by_body(ids: NDArray[np.int64], frames: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Order the rows by body, bodies in order of appearance.

    Returns:
        The rows (n,), the position where each body begins, ending with n, and a row that repeats its body and frame, or
        -1.
    """
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
    starts = starts[: bodies + 1]
    for body in range(bodies):  # np.cumsum would take longer to compile than all the rest
        starts[body + 1] += starts[body]
    order, behind = np.empty(rows, np.int64), starts.copy()
    for row in range(rows):
        order[behind[codes[row]]] = row
        behind[codes[row]] += 1
    return order, starts, twice


@kept
def motion_of(points: NDArray[np.float32]) -> float:
    """Return the variances of x, y and z over all points (n, 3), summed."""
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


@partial(kept, options=ANY_ORDER)
def finished(
    joints: NDArray[np.float32], centre_joint: int, most: int, drop: bool
) -> tuple[bool, NDArray[np.float32], int]:
    """Apply the last steps of `cleaning` to the joints (F, 75 M) of one or two actors.

    Frames that sum to zero are dropped (if `drop`), the first actor's `centre_joint` becomes the origin in the first
    frame that shows it, actors that sum to zero stay zero, and `most` frames are kept.

    Returns:
        Whether all this is certain, the bodies (M, F', 25, 3), and the number of dropped frames. It is not certain if a
        sum is so near to zero that its float32 rounding decides, if no frame shows the first actor, or if a difference
        is infinite.
    """
    frames, actors = len(joints), joints.shape[1] // WIDTH
    kept_frames = 0
    seen = np.empty((frames, actors), np.bool_)
    places = np.empty(frames, np.int64)  # of the frames that are left
    start = -1  # the first of them that shows the first actor
    sure = True
    for frame in range(frames):
        total, size = np.float32(0), np.float32(0)
        for actor in range(actors):
            part, part_size = np.float32(0), np.float32(0)
            for column in range(actor * WIDTH, (actor + 1) * WIDTH):
                part += joints[frame, column]
                part_size += abs(joints[frame, column])
            if part_size != 0 and not abs(part) > np.float32(CLEAR) * part_size:
                sure = False
            seen[kept_frames, actor] = part_size > 0
            total, size = total + part, size + part_size
            if actor == 0 and start < 0 and part_size > 0:
                start = kept_frames
        if size != 0 and not abs(total) > np.float32(CLEAR) * size:
            sure = False
        places[kept_frames] = frame
        if size > 0 or not drop:
            kept_frames += 1
    bodies = np.empty((actors, min(kept_frames, most), JOINTS, 3), np.float32)
    if not sure or start < 0:
        return False, bodies, 0
    flat = bodies.reshape(-1)
    first = joints[places[start]]
    x, y, z = first[3 * centre_joint], first[3 * centre_joint + 1], first[3 * centre_joint + 2]
    at, check = 0, np.float32(0)
    for actor in range(actors):
        for place in range(bodies.shape[1]):
            row = joints[places[place]]
            shown = actors == 1 or seen[place, actor]
            for column in range(actor * WIDTH, (actor + 1) * WIDTH, 3):
                flat[at] = row[column] - x if shown else np.float32(0)
                flat[at + 1] = row[column + 1] - y if shown else np.float32(0)
                flat[at + 2] = row[column + 2] - z if shown else np.float32(0)
                check += (flat[at] + flat[at + 1] + flat[at + 2]) * np.float32(0)  # NaN from the first infinity on
                at += 3
    return check == 0, bodies, frames - kept_frames


@kept
def noisy_frames(joints: NDArray[np.float32], x_over_y: float) -> NDArray[np.bool_]:
    """Return frames (n,) in which a body (n, 25, 3) is wider than a person."""
    noisy = np.empty(len(joints), np.bool_)
    for frame in range(len(joints)):
        left = right = joints[frame, 0, 0]
        low = high = joints[frame, 0, 1]
        for joint in range(1, joints.shape[1]):
            x, y = joints[frame, joint, 0], joints[frame, joint, 1]
            left, right, low, high = min(left, x), max(right, x), min(low, y), max(high, y)
        noisy[frame] = np.float64(right - left) > x_over_y * np.float64(high - low)
    return noisy
