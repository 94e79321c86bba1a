"""Cleaning of NTU clips: a RawClip in, the joints of one or two actors and a log of what was dropped out.

Follows the preprocessing that CTR-GCN, MAMP and STARS share (get_raw_skes_data, get_raw_denoised_data,
seq_transformation), including its habits in float32, since all published numbers rest on what it produces.
Arrays are (frames, 75) for one actor and (frames, 150) for two, float32, metres.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.ntu_raw import JOINTS, RawBody, RawClip

MAMP_PARAMETERS: Mapping[str, Any] = {
    "drop_bodies_up_to_frames": 11,
    "noisy_frame_x_over_y": 0.8,
    "noisy_body_share": 0.69754,
    "centre_joint": 1,  # 0-based: the spine's middle
    "max_frames": 300,
}


class NothingLeft(ValueError):
    """A clip in which no actor is left to be seen."""


@dataclass(frozen=True)
class Track:
    """One body while it is judged: first and last kept frame (inclusive), and motion (sum of variances, m^2)."""

    first: int
    last: int
    joints: NDArray[np.float32]
    motion: float


def clean(raw: RawClip, parameters: Mapping[str, Any] = MAMP_PARAMETERS) -> tuple[NDArray[np.float32], Counter[str]]:
    """All steps of the profile `mamp`: bodies (M, F, 25, 3), M = 1 when one actor is left after step 2, and the log.

    Raises:
        NothingLeft: no frame holds a body, or the first actor is zero throughout.
    """
    with np.errstate(over="ignore", invalid="ignore"):  # absurd coordinates are the caller's to set aside
        joints, log = denoise(raw, parameters)
        joints = centre(joints, parameters["centre_joint"])
    if len(joints) > parameters["max_frames"]:
        log["frames_past_the_limit"] += len(joints) - parameters["max_frames"]
        joints = joints[: parameters["max_frames"]]
    return as_bodies(joints), log


def denoise(raw: RawClip, parameters: Mapping[str, Any] = MAMP_PARAMETERS) -> tuple[NDArray[np.float32], Counter[str]]:
    """Steps 1 to 3: which bodies are actors, and where they are in which frame.

    Raises:
        NothingLeft: no frame holds a body.
    """
    log = Counter(empty_frames=raw.empty_frames, bodies_seen=len(raw.bodies))
    if not raw.bodies:
        raise NothingLeft("no frame holds a body")
    if len(raw.bodies) == 1:
        return _place(raw.num_frames, [_track(raw.bodies[0])]), log
    tracks = _drop_noise([_track(body) for body in raw.bodies], parameters, log)
    joints = _place(raw.num_frames, tracks) if len(tracks) == 1 else _two_actors(raw.num_frames, tracks, log)
    seen = joints.sum(axis=1) != 0
    if not seen.all():
        log["zero_frames"] += int((~seen).sum())
        joints = joints[seen]
    return joints, log


def centre(joints: NDArray[np.float32], joint: int = 1) -> NDArray[np.float32]:
    """Step 4: the first actor's `joint`, in the first frame in which that actor is seen, becomes the origin.

    Args:
        joints: (F, 75) or (F, 150).
        joint: 0-based.

    Raises:
        NothingLeft: the first actor is zero throughout.
    """
    first = joints[:, :75]
    seen = (first != 0).any(axis=1)
    if not seen.any():
        raise NothingLeft("the first actor is zero in every frame")
    origin = first[int(seen.argmax()), 3 * joint : 3 * joint + 3]
    moved = joints - np.tile(origin, joints.shape[1] // 3)
    if joints.shape[1] > 75:
        for columns in (slice(0, 75), slice(75, 150)):
            moved[joints[:, columns].sum(axis=1) == 0, columns] = 0
    return moved


def as_bodies(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """(F, 75 M) -> (M, F, 25, 3)."""
    frames, columns = joints.shape
    return np.ascontiguousarray(joints.reshape(frames, columns // 75, JOINTS, 3).swapaxes(0, 1))


def motion_of(points: NDArray[np.float32]) -> float:
    """Variances of x, y and z over all points (n, 3), summed: in float32 as np.var does it along the first axis."""
    return float(np.sum(np.var(points, axis=0)))


def noisy_frames(joints: NDArray[np.float32], x_over_y: float) -> NDArray[np.bool_]:
    """Frames (n,) in which a body (n, 25, 3) is wider than a person: ranges in float32, compared in float64."""
    x_range = np.ptp(joints[:, :, 0], axis=1).astype(np.float64)
    y_range = np.ptp(joints[:, :, 1], axis=1).astype(np.float64)
    return np.asarray(x_range > x_over_y * y_range)


def _track(body: RawBody) -> Track:
    # The interval runs without gaps: a body that leaves and comes back is closed up.
    return Track(body.first, body.first + len(body.joints) - 1, body.joints, 0.0)


def _drop_noise(tracks: list[Track], parameters: Mapping[str, Any], log: Counter[str]) -> list[Track]:
    """Step 2. At least one track is left."""
    tracks = [replace(track, motion=motion_of(track.joints.reshape(-1, 3))) for track in tracks]
    long = [track for track in tracks if len(track.joints) > parameters["drop_bodies_up_to_frames"]]
    log["bodies_too_short"] += len(tracks) - len(long)
    if not long:  # the public script stops with an error here
        log["bodies_too_short"] -= 1
        log["all_bodies_too_short"] += 1
        return [max(tracks, key=lambda track: track.motion)]
    kept: list[Track] = []
    left = len(long)
    for track in long:
        noisy = noisy_frames(track.joints, parameters["noisy_frame_x_over_y"])
        count = int(noisy.sum())
        if left == 1 or count == 0:
            kept.append(track)
        elif count / len(noisy) >= parameters["noisy_body_share"]:
            log["bodies_too_wide"] += 1
            left -= 1
        else:
            clean_points = track.joints[~noisy].reshape(-1, 3)
            kept.append(replace(track, motion=min(track.motion, motion_of(clean_points))))
    return kept


def _place(num_frames: int, tracks: list[Track]) -> NDArray[np.float32]:
    joints = np.zeros((num_frames, 75 * len(tracks)), np.float32)
    for number, track in enumerate(tracks):
        joints[track.first : track.last + 1, 75 * number : 75 * (number + 1)] = track.joints.reshape(-1, 75)
    return joints


def _two_actors(num_frames: int, tracks: list[Track], log: Counter[str]) -> NDArray[np.float32]:
    """Step 3: the body that moves most is the first actor; the others fill the gaps of two actors, or are dropped."""
    main, *others = sorted(tracks, key=lambda track: track.motion, reverse=True)
    joints = np.zeros((num_frames, 150), np.float32)
    joints[main.first : main.last + 1, :75] = main.joints.reshape(-1, 75)
    intervals = [(main.first, main.last), (0, 0)]
    for track in others:
        for actor, (first, last) in enumerate(intervals):
            if min(last, track.last) - max(first, track.first) <= 0:
                columns = slice(75 * actor, 75 * (actor + 1))
                joints[track.first : track.last + 1, columns] = track.joints.reshape(-1, 75)
                intervals[actor] = (min(first, track.first), max(last, track.last))
                log["bodies_joined" if actor == 0 or (first, last) != (0, 0) else "second_actors"] += 1
                break
        else:
            log["bodies_in_the_way"] += 1
    return joints
