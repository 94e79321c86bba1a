"""Cleaning of NTU clips: a RawClip in, the joints of one or two actors and a log of what was dropped out.

Follows the preprocessing that CTR-GCN, MAMP and STARS share (get_raw_skes_data, get_raw_denoised_data,
seq_transformation), including its float32 rounding, since all published numbers depend on its output. Arrays are
(frames, 75) for one actor and (frames, 150) for two, float32, metres.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.ntu import JOINTS, RawBody, RawClip

ACTOR = 3 * JOINTS  # columns of one actor
AXES = np.tile(np.arange(3), 300 * JOINTS)  # x y z x y z ...: enough for most bodies

MAMP_PARAMETERS: Mapping[str, Any] = {
    "drop_bodies_up_to_frames": 11,
    "noisy_frame_x_over_y": 0.8,
    "noisy_body_share": 0.69754,
    "centre_joint": 1,  # 0-based: the spine's middle
    "max_frames": 300,
}


class NothingLeft(ValueError):
    """A clip in which no actor is left, or whose coordinates are not numbers."""


class Track(NamedTuple):
    """One body while it is judged.

    Args:
        first: The first kept frame.
        joints: (n, 25, 3) from `first` on, without gaps.
        motion: Summed variance of the coordinates, in square metres.
    """

    first: int
    joints: NDArray[np.float32]
    motion: float

    @property
    def last(self) -> int:
        """The last kept frame (inclusive). The gap of a body that leaves and comes back is closed."""
        return self.first + len(self.joints) - 1


@np.errstate(over="ignore", invalid="ignore")  # absurd coordinates are judged when all is done
def clean(raw: RawClip, parameters: Mapping[str, Any] = MAMP_PARAMETERS) -> tuple[NDArray[np.float32], Counter[str]]:
    """Apply all steps of the profile `mamp`.

    Returns:
        Bodies (M, F, 25, 3), with M = 1 if one actor is left after step 2, and the log.

    Raises:
        NothingLeft: No frame holds a body, the first actor is zero throughout, or a difference is infinite.
    """
    joints, several, log = actors(raw, parameters)
    origin, most = parameters["centre_joint"], parameters["max_frames"]
    if (compiled := compiled_code.body_kernels()) is not None:
        sure, bodies, dropped = compiled.finished(np.ascontiguousarray(joints), origin, most, several)
        if sure:
            _count(log, zero_frames=dropped, frames_past_the_limit=len(joints) - dropped - bodies.shape[1])
            return bodies, log
    joints = centre(seen_frames(joints, log) if several else joints, origin)
    _count(log, frames_past_the_limit=max(len(joints) - most, 0))
    if not np.isfinite(joints := joints[:most]).all():
        raise NothingLeft("coordinates so large that their differences are infinite")
    return as_bodies(joints), log


def actors(raw: RawClip, parameters: Mapping[str, Any]) -> tuple[NDArray[np.float32], bool, Counter[str]]:
    """Choose the actors and keep their joints in all frames.

    Returns:
        Joints (F, 75) or (F, 150), whether there were several bodies, and the log.

    Raises:
        NothingLeft: No frame holds a body.
    """
    log = Counter({"empty_frames": raw.empty_frames, "bodies_seen": len(raw.bodies)})
    if not raw.bodies:
        raise NothingLeft("no frame holds a body")
    if len(raw.bodies) == 1:
        body = raw.bodies[0]
        return _place(raw.num_frames, Track(body.first, body.joints, 0.0)), False, log
    tracks = _drop_noise(raw.bodies, parameters, log)
    joints = _place(raw.num_frames, tracks[0]) if len(tracks) == 1 else _two_actors(raw.num_frames, tracks, log)
    return joints, True, log


def seen_frames(joints: NDArray[np.float32], log: Counter[str]) -> NDArray[np.float32]:
    """Drop frames that sum to zero; dropping bodies may leave some in which no body is seen.

    `log` counts the frames that are dropped.
    """
    seen = joints.sum(axis=1) != 0
    if not seen.all():
        _count(log, zero_frames=int((~seen).sum()))
        joints = joints[seen]
    return joints


def _count(log: Counter[str], **counts: int) -> None:
    """Count what happened at all, so that a log has no rule that did nothing."""
    log.update({rule: count for rule, count in counts.items() if count})


def centre(joints: NDArray[np.float32], joint: int = 1) -> NDArray[np.float32]:
    """Move the first actor's `joint`, in the first frame that shows this actor, to the origin (step 4).

    Args:
        joints: (F, 75) or (F, 150).
        joint: 0-based joint. Default: 1.

    Raises:
        NothingLeft: The first actor is zero throughout.
    """
    frames, columns = joints.shape
    first = 0
    if not joints[:1, :ACTOR].any():  # rare
        seen = joints[:, :ACTOR].any(axis=1)
        if not seen.any():
            raise NothingLeft("the first actor is zero in every frame")
        first = int(seen.argmax())
    wide = np.empty((columns // 3, 3), np.float32)  # rows of three would be subtracted slowly
    wide[:] = joints[first, 3 * joint : 3 * joint + 3]
    moved = joints - wide.reshape(-1)
    if columns > ACTOR:
        unseen = joints.reshape(frames, -1, ACTOR).sum(axis=2) == 0
        if unseen.any():
            moved.reshape(frames, -1, ACTOR)[unseen] = 0
    return moved


def as_bodies(joints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reshape (F, 75 M) to (M, F, 25, 3)."""
    return np.ascontiguousarray(joints.reshape(len(joints), -1, JOINTS, 3).swapaxes(0, 1))


def motion_of(points: NDArray[np.float32]) -> float:
    """Return the variances of x, y and z over all points (n, 3), n > 0, summed, as np.sum(np.var(points, axis=0)).

    np.var adds rows in float32, one after another, and so must this function. It takes a third of the time.
    """
    if (compiled := compiled_code.body_kernels()) is not None:
        return float(compiled.motion_of(np.ascontiguousarray(points)))
    values = points.reshape(-1)
    mean = _summed(values) / np.float32(len(points))
    width = ACTOR if values.size % ACTOR == 0 else 3  # wide rows are subtracted faster
    apart = values.reshape(-1, width) - np.tile(mean, width // 3)
    apart *= apart
    return float(np.sum(_summed(apart.reshape(-1)) / np.float32(len(points))))


def _summed(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sum x y z x y z ... to (3,), each in order; np.add.at adds in order and is fast."""
    total = values[:3].copy()
    axes = AXES if len(AXES) >= len(values) else np.tile(AXES, len(values) // len(AXES) + 1)
    np.add.at(total, axes[3 : len(values)], values[3:])
    return total


def noisy_frames(joints: NDArray[np.float32], x_over_y: float) -> NDArray[np.bool_]:
    """Return frames (n,) in which a body (n, 25, 3) is wider than a person: ranges in float32, compared in float64."""
    if (compiled := compiled_code.body_kernels()) is not None:
        return np.asarray(compiled.noisy_frames(np.ascontiguousarray(joints), x_over_y))
    x_and_y = np.ascontiguousarray(joints[:, :, :2].transpose(2, 1, 0))
    x_range, y_range = (x_and_y.max(axis=1) - x_and_y.min(axis=1)).astype(np.float64)
    return np.asarray(x_range > x_over_y * y_range)


def _drop_noise(bodies: Sequence[RawBody], parameters: Mapping[str, Any], log: Counter[str]) -> list[Track]:
    """Drop noisy bodies (step 2); at least one track is left."""
    tracks = [Track(body.first, body.joints, motion_of(body.joints.reshape(-1, 3))) for body in bodies]
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
            kept.append(track._replace(motion=min(track.motion, motion_of(clean_points))))
    return kept


def _place(num_frames: int, track: Track) -> NDArray[np.float32]:
    if len(track.joints) == num_frames:
        return track.joints.reshape(num_frames, ACTOR)
    joints = np.zeros((num_frames, ACTOR), np.float32)
    joints[track.first : track.last + 1] = track.joints.reshape(-1, ACTOR)
    return joints


def _two_actors(num_frames: int, tracks: list[Track], log: Counter[str]) -> NDArray[np.float32]:
    """Choose two actors (step 3): the body that moves most is first; the others fill gaps or are dropped."""
    main, *others = sorted(tracks, key=lambda track: track.motion, reverse=True)
    joints = np.zeros((num_frames, 2 * ACTOR), np.float32)
    joints[main.first : main.last + 1, :ACTOR] = main.joints.reshape(-1, ACTOR)
    intervals = [(main.first, main.last), (0, 0)]
    for track in others:
        for actor, (first, last) in enumerate(intervals):
            if min(last, track.last) - max(first, track.first) <= 0:
                columns = slice(ACTOR * actor, ACTOR * (actor + 1))
                joints[track.first : track.last + 1, columns] = track.joints.reshape(-1, ACTOR)
                intervals[actor] = (min(first, track.first), max(last, track.last))
                log["bodies_joined" if actor == 0 or (first, last) != (0, 0) else "second_actors"] += 1
                break
        else:
            log["bodies_in_the_way"] += 1
    return joints
