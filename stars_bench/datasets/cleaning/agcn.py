"""NTU clips as 2s-AGCN places them, profiles `agcn` and `agcn-x`: the data of CMD, PCM3, UmURL and USDRL.

Facts: github lshiwjx/2s-AGCN and maoyunyao/CMD, data_gen/ntu_gendata.py and preprocess.py. Of the first four bodies
that each frame lists, the two slots of the largest spread stay. A body that is not there at first is moved to the
front, and the frames behind its last one repeat it from the start. In every frame the first body's spine is the origin.
One turn for the whole clip brings the spine of its first frame upright along z, a second one the shoulders along x.
UmURL (github HuiGuanLab/UmURL), and USDRL with its data, have the second alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.cleaning.mamp import NothingLeft
from stars_bench.datasets.cleaning.raw import as_listed
from stars_bench.datasets.parsing.ntu import RawClip
from stars_bench.datasets.parsing.ntu_frames import Seen
from stars_bench.errors import UsageError

AGCN_PARAMETERS: Mapping[str, Any] = {
    "cleaning": "agcn",
    "align": "zx",
    "empty_frames": "filled at the end",
    "body_slots": "as listed in each frame",
    "slots": 4,
    "max_bodies": 2,
    "centre_joint": 1,  # 0-based: the spine's middle, in every frame
    "max_frames": 300,
}
ALONG: Mapping[str, tuple[int, int, tuple[int, int, int]]] = {"z": (0, 1, (0, 0, 1)), "x": (4, 8, (1, 0, 0))}
"""By axis: two joints (spine base and mid, left and right shoulder) and the direction from the first to the second."""
NO_LENGTH = 1e-6
"""A vector whose absolute coordinates sum to less has no direction."""


def clean_agcn(
    raw: RawClip, frames: Sequence[Sequence[Seen]], parameters: Mapping[str, Any] = AGCN_PARAMETERS
) -> tuple[NDArray[np.float32], Counter[str]]:
    """Choose two bodies of a file and place them.

    Args:
        raw: The bodies of the file.
        frames: What each frame of the same file lists, from `frames_of`.
        parameters: Parameters of the profile. Default: those of `agcn`.

    Returns:
        Bodies (M, F, 25, 3), metres, with M = 1 if there is no second one, and the log.

    Raises:
        NothingLeft: No coordinate of the kept frames differs from zero.
        UsageError: The parameter `align` is not one of "zx", "z", "x" and "".
    """
    kept, most = frames[: parameters["max_frames"]], parameters["max_bodies"]
    slots, left_out = as_listed(raw, kept, parameters["slots"])
    log = Counter(bodies_seen=len(raw.bodies), body_frames_beyond_the_fourth=left_out)
    log["frames_past_the_limit"] = len(frames) - len(kept)
    order = np.array([spread(body) for body in slots]).argsort(kind="stable")[::-1]
    log["body_slots_that_move_less"] = sum(bool(slots[slot].any()) for slot in order[most:])
    bodies = slots[[slot for slot in order[:most] if slots[slot].any()]]
    if not len(bodies):
        raise NothingLeft("no frame holds a body" if not raw.bodies else "all coordinates are zero")
    log["body_frames_filled"] = sum(int(fillable(body)) for body in bodies)
    return place(bodies, parameters["align"], parameters["centre_joint"]), log


def spread(body: NDArray[np.float32]) -> float:
    """Return the standard deviations of x, y and z of a body (F, 25, 3), over the frames that show it, summed."""
    seen = body[body.any((1, 2))].astype(np.float64)
    return float(seen.std((0, 1)).sum()) if len(seen) else 0.0


def fillable(body: NDArray[np.float32]) -> int:
    """Return how many frames of a body (F, 25, 3) are empty at its end, once it has been moved to the front."""
    seen = np.flatnonzero(body.any((1, 2)))
    return len(body) - (len(seen) if seen[0] else int(seen[-1]) + 1)


def place(bodies: NDArray[np.float32], align: str = "zx", centre: int = 1) -> NDArray[np.float32]:
    """Fill up, centre and turn the bodies of a clip.

    Args:
        bodies: (M, F, 25, 3), metres; empty frames are zero.
        align: The axes that the clip is turned to, one after the other. Default: "zx".
        centre: 0-based joint of the first body that is the origin of every frame. Default: 1.

    Returns:
        (M, F, 25, 3) float32.

    Raises:
        UsageError: There is another letter than z and x in `align`.
    """
    if set(align) - set(ALONG):
        raise UsageError(f"parameter align is {align!r}; it must be zx or x")
    out = np.stack([_filled(body) for body in bodies])
    out = (out - out[:1, :, centre : centre + 1]) * (out.sum(-1, keepdims=True) != 0)
    for axis in align:
        start, end, onto = ALONG[axis]
        turn = rotation_onto(out[0, 0, end] - out[0, 0, start], np.array(onto, np.float64))
        out = (out @ turn.T).astype(np.float32)
    placed: NDArray[np.float32] = out
    return placed


def rotation_onto(vector: NDArray[np.floating[Any]], onto: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation (3, 3) about the cross product that brings a vector (3,) onto the direction of another.

    It is the identity where the two are parallel, opposite ones too, or the vector is zero.
    """
    axis = np.cross(vector.astype(np.float64), onto)
    if np.abs(axis).sum() < NO_LENGTH or np.abs(vector).sum() < NO_LENGTH:
        return np.eye(3)
    cosine = np.clip(vector @ onto / np.linalg.norm(vector), -1, 1)
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sqrt(1 - cosine**2) * cross + (1 - cosine) * cross @ cross)


def _filled(body: NDArray[np.float32]) -> NDArray[np.float32]:
    """Move a body (F, 25, 3) that is not there at first to the front; repeat it behind its last frame."""
    seen = np.flatnonzero(body.any((1, 2)))
    if not len(seen):
        return body
    shown = body[seen] if seen[0] else body[: seen[-1] + 1]  # a gap inside stays, unless the start was empty
    repeated: NDArray[np.float32] = shown[np.arange(len(body)) % len(shown)]
    return repeated
