"""Cleaning of NTU clips as pyskl does it, profile `pyskl`: a RawClip in, one or two bodies and a log out.

Facts and constants: github kennymckormick/pyskl, tools/data/ntu_preproc.py, which made the `ntu60_3danno.pkl` and
`ntu120_3danno.pkl` of pyskl and MMAction2. Its filters are those of the profile `mamp` (length, then spread); else:
bodies are ordered by motion before and after the filters, every wide body goes (not all but the last), overlap is
judged on half-open intervals, empty frames are cut off at both ends only, nothing is centred, and there is no limit of
frames. Its files hold float16; shards hold float32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.cleaning.mamp import NothingLeft, motion_of, noisy_frames
from stars_bench.datasets.parsing.ntu import JOINTS, RawBody, RawClip

SPINE = 1  # 0-based: the joint whose absence exchanges the two actors

PYSKL_PARAMETERS: Mapping[str, Any] = {
    "cleaning": "pyskl",
    "drop_bodies_up_to_frames": 11,
    "noisy_frame_x_over_y": 0.8,
    "noisy_body_share": 0.69754,
    "zero_below": 1e-3,
    "centre_joint": None,
    "max_frames": None,
}


@dataclass(frozen=True)
class Track:
    """One body while it is judged.

    Args:
        first: The first kept frame.
        joints: (n, 25, 3) of the frames first .. first + n - 1.
        motion: Summed variance of the coordinates, in square metres.
    """

    first: int
    joints: NDArray[np.float32]
    motion: float

    @property
    def end(self) -> int:
        """The frame after the last. The gap of a body that leaves and comes back is closed."""
        return self.first + len(self.joints)


def clean_pyskl(
    raw: RawClip, parameters: Mapping[str, Any] = PYSKL_PARAMETERS
) -> tuple[NDArray[np.float32], Counter[str]]:
    """Apply all steps of the profile `pyskl`.

    Where pyskl stops with an error because no body is left, the body that moves most is kept and logged.

    Returns:
        Bodies (M, F, 25, 3), metres, not centred, with M = 1 if one body is left after the filters, and the log.

    Raises:
        NothingLeft: No frame holds a body, or all coordinates are zero.
    """
    log = Counter(empty_frames=raw.empty_frames, bodies_seen=len(raw.bodies))
    if not raw.bodies:
        raise NothingLeft("no frame holds a body")
    if len(raw.bodies) == 1:
        bodies = raw.bodies[0].joints[None]
    else:
        with np.errstate(over="ignore", invalid="ignore"):  # absurd coordinates are the caller's to set aside
            tracks = _filtered([_track(body) for body in raw.bodies], parameters, log)
            bodies = tracks[0].joints[None] if len(tracks) == 1 else _two_actors(tracks, parameters, log)
    if not bodies.any():
        raise NothingLeft("all coordinates are zero")
    return np.ascontiguousarray(bodies), log


def _track(body: RawBody) -> Track:
    return Track(body.first, body.joints, motion_of(body.joints.reshape(-1, 3)))


def _by_motion(tracks: list[Track]) -> list[Track]:
    return sorted(tracks, key=lambda track: track.motion, reverse=True)  # stable: ties stay in order of appearance


def _filtered(tracks: list[Track], parameters: Mapping[str, Any], log: Counter[str]) -> list[Track]:
    """Apply the length and spread filters; the body that moves most comes first, and at least one is left."""
    tracks = _by_motion(tracks)
    long = [track for track in tracks if len(track.joints) > parameters["drop_bodies_up_to_frames"]]
    log["bodies_too_short"] = len(tracks) - max(len(long), 1)
    if len(long) < 2:
        log["all_bodies_too_short"] = int(not long)
        return long or tracks[:1]
    kept = [judged for track in long if (judged := _judged(track, parameters)) is not None]
    log["bodies_too_wide"] = len(long) - max(len(kept), 1)
    log["all_bodies_too_wide"] = int(not kept)
    return _by_motion(kept) or long[:1]


def _judged(track: Track, parameters: Mapping[str, Any]) -> Track | None:
    """Return a track with the motion of its frames that are no wider than a person; None when too many are."""
    noisy = noisy_frames(track.joints, parameters["noisy_frame_x_over_y"])
    if not noisy.any():
        return track
    clean = ~noisy
    if 1 - int(clean.sum()) / len(clean) >= parameters["noisy_body_share"]:
        return None
    return replace(track, motion=min(track.motion, motion_of(track.joints[clean].reshape(-1, 3))))


def _two_actors(tracks: list[Track], parameters: Mapping[str, Any], log: Counter[str]) -> NDArray[np.float32]:
    """Merge tracks to two actors: the first is actor 1; each other goes where it overlaps none, first to actor 1."""
    joints = np.zeros((2, max(track.end for track in tracks), JOINTS, 3), np.float32)
    main, *others = tracks
    joints[0, main.first : main.end] = main.joints
    intervals = [(main.first, main.end), (0, 0)]
    for track in others:
        for actor, (first, end) in enumerate(intervals):
            if max(first, track.first) >= min(end, track.end):
                joints[actor, track.first : track.end] = track.joints
                intervals[actor] = (min(first, track.first), max(end, track.end))
                log["bodies_joined" if actor == 0 or end else "second_actors"] += 1
                break
        else:
            log["bodies_in_the_way"] += 1
    return _trimmed(joints, parameters["zero_below"], log)


def _trimmed(joints: NDArray[np.float32], zero_below: float, log: Counter[str]) -> NDArray[np.float32]:
    """Cut the empty frames off at both ends; exchange the actors if only the second is seen at the start."""
    seen = np.flatnonzero(np.abs(joints).sum(axis=(0, 2, 3)) >= zero_below)
    if not seen.size:
        raise NothingLeft("all coordinates are zero")
    trimmed = joints[:, seen[0] : seen[-1] + 1]
    log["zero_frames"] = joints.shape[1] - trimmed.shape[1]
    first, second = np.abs(trimmed[:, 0, SPINE]).sum(axis=1)
    return trimmed[::-1] if first < zero_below < second else trimmed
