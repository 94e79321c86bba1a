"""From stored coordinates to the bodies of a clip: signs and units, missing joints, at most two bodies, NTU's joints.

A joint that is missing in a frame moves in a straight line between the frames before and after in which it is seen, or
stays where it was seen first or last. A joint that is in no frame stands at its parent's place. A frame in which a body
has no joint is zero, as in the data of NTU and PKU-MMD. Joints in a picture have their score as the third number: 0
where the joint is missing, wherever it is, and 1 where it is seen and no score is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import PLANE, Skeleton
from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.custom.model import Coordinates, JointLayout
from stars_bench.datasets.skeletons.kinect import KINECT_V2

Bodies = NDArray[np.float64]
MOST = 2  # bodies that a clip can have


def finished(
    stored: Bodies, how: Coordinates, layout: JointLayout, centre: bool
) -> tuple[NDArray[np.float32], Counter[str]]:
    """Turn stored coordinates (M, F, V, A) into the bodies of a clip.

    Returns:
        Bodies (M, F, V, 3) float32, metres, and counts of what was done.

    Raises:
        NothingLeft: No body is seen in any frame.
        ValueError: Numbers are infinite, or joints are missing that must be there.
    """
    log: Counter[str] = Counter()
    with np.errstate(over="ignore"):  # what overflows is infinite, and refused below
        bodies, scores = _in_metres(stored[: how.first_people], how)
    if how.people == "score":
        bodies, scores = _by_score(bodies, scores)
    absent = np.asarray(np.isnan(bodies).any(-1))
    seen = np.asarray(~absent.all(-1))
    if not seen.any():
        raise NothingLeft("no joint is seen in any frame")
    order = np.argsort(-seen.sum(1), kind="stable")[:MOST]
    order = np.sort(order[seen[order].any(1)])
    log["bodies_left_out"] = int(seen.any(1).sum()) - len(order)
    bodies, scores, absent, seen = bodies[order], scores[order], absent[order], seen[order]
    gaps = absent & seen[..., None]
    if gaps.any() and how.missing == "set-aside":
        frame, joint = np.argwhere(gaps)[0][1:]
        raise ValueError(f"joint {joint} of frame {frame} (counted from 0) is missing")
    log["missing_joints_zero" if how.missing == "zero" else "missing_joints_filled"] = int(gaps.sum())
    skeleton = layout.own("")
    if how.missing == "zero":
        bodies[absent] = 0
    for body, here in zip(bodies, seen, strict=True):
        _fill(body, here, skeleton.parents)
    log["zero_frames_kept"] = int((~seen.any(0)).sum())
    if how.channels == PLANE:
        bodies[..., 2] = np.where(absent, 0, scores)
    origin = skeleton.centre
    if layout.ntu:
        bodies, origin = _as_ntu(bodies, layout, skeleton), KINECT_V2.centre
    if centre:
        place = bodies[0, int(np.argmax(seen[0])), origin].copy()
        place[2] = 0 if how.channels == PLANE else place[2]
        bodies = bodies - place
    bodies[~seen] = 0
    with np.errstate(over="ignore"):
        result = bodies.astype(np.float32)
    if not np.isfinite(result).all():
        raise ValueError("coordinates that are infinite")
    return result, +log


def _in_metres(stored: Bodies, how: Coordinates) -> tuple[Bodies, Bodies]:
    """Return x, y and z (M, F, V, 3) with their signs, and scores (M, F, V).

    An axis that is not stored is 0, a missing joint is NaN; a score that is not stored, or is NaN, is 1.
    """
    bodies = np.zeros((*stored.shape[:3], 3))
    axes = how.stored_axes
    chosen = [number for number, axis in enumerate(axes) if axis in "xyz"]
    absent = np.isnan(stored[..., chosen]).any(-1)
    if how.missing_value is not None:
        absent |= (stored[..., chosen] == how.missing_value).all(-1)
    scores = np.ones(stored.shape[:3])
    if "score" in axes:
        scores = np.nan_to_num(stored[..., axes.index("score")], nan=1.0)
        if how.min_score is not None:
            absent |= scores <= how.min_score
    for number, origin in zip(chosen, how.origin or np.zeros(len(chosen)), strict=True):
        axis = how.axes[number]
        sign = -1 if axis.startswith("-") else 1
        bodies[..., "xyz".index(axis.removeprefix("-"))] = sign * how.unit * (stored[..., number] - origin)
    bodies[absent] = np.nan
    return bodies, scores


def _by_score(bodies: Bodies, scores: Bodies) -> tuple[Bodies, Bodies]:
    """Return the bodies of every frame, those with the highest summed score first (ST-GCN's choice on Kinetics)."""
    sums = np.where(np.isnan(bodies).any(-1), 0, scores).sum(-1)
    rank = np.argsort(-sums, axis=0, kind="stable")[:MOST, :, None]
    return np.take_along_axis(bodies, rank[..., None], 0), np.take_along_axis(scores, rank, 0)


def _fill(body: Bodies, seen: NDArray[np.bool_], parents: Sequence[int]) -> None:
    """Fill the gaps of one body (F, V, 3) in the frames in which it is seen."""
    frames = np.flatnonzero(seen)
    known = np.asarray(~np.isnan(body[frames]).any(-1))
    for joint in np.flatnonzero(~known.all(0) & known.any(0)).tolist():
        there, gaps = frames[known[:, joint]], frames[~known[:, joint]]
        for axis in range(3):
            body[gaps, joint, axis] = np.interp(gaps, there, body[there, joint, axis])
    ever = np.asarray(known.any(0))
    if ever.all():
        return
    middle = body[frames][:, ever].mean(1)
    for joint, is_seen in enumerate(ever.tolist()):
        if not is_seen:
            at = _nearest(joint, ever.tolist(), parents)
            body[frames, joint] = middle if at is None else body[frames, at]


def _nearest(joint: int, ever: Sequence[bool], parents: Sequence[int]) -> int | None:
    """Return the nearest joint on the way to the root that is ever seen; None where none is."""
    while not ever[joint]:
        if parents[joint] == joint:
            return None
        joint = parents[joint]
    return joint


def _as_ntu(bodies: Bodies, layout: JointLayout, skeleton: Skeleton) -> Bodies:
    """Return the 25 joints of NTU: the dataset's own joints, or means of several."""
    place = {name: joint for joint, name in enumerate(skeleton.joints)}
    sources = [layout.ntu[name] for name in KINECT_V2.joints]
    of_each = [[place[name] for name in ((one,) if isinstance(one, str) else one)] for one in sources]
    return np.stack([bodies[:, :, joints].mean(2) for joints in of_each], axis=2)
