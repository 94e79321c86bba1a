"""The three sensors: where they stand, and what a Kinect records of the bodies in front of it.

In: a performance (world joints). Out: a `SyntheticClip`: bodies frame by frame in the camera frame (x to the sensor's
left, y up, z away from it; metres) with tracking states, new ids after a loss, empty frames, and false bodies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.synthetic.performance import perform
from stars_bench.datasets.synthetic.seeds import generator
from stars_bench.datasets.synthetic.stage import ClipName
from stars_bench.io.numba_cache import compiled, kept

# The sensors of a setup share height and distance; ranges as in NTU RGB+D (0.5 to 2.7 m high, 2 to 4.5 m away), a
# little closer to the middle so that two people fit into the picture.
HEIGHT_RANGE = (0.6, 2.5)
DISTANCE_RANGE = (2.4, 4.2)
CAMERA_YAW = {1: 0.0, 2: math.pi / 4, 3: -math.pi / 4}  # radians about y; performers turn to 2 first, then to 3
YAW_ERROR = 0.06  # radians by which a tripod is off, per setup and camera
AIM_HEIGHT = 0.8  # metres above the floor at the middle of the stage that sensors are pointed at

# Jitter of each joint at 3 m, metres: with it the medians of the second differences are those of real recordings (NTU
# RGB+D and PKU-MMD: trunk 1 to 2 mm, elbows and wrists 4 to 8, hand tips 8 to 13, knees and ankles 1 to 4).
JITTER = np.array(
    [0.4, 0.4, 0.5, 0.6, 0.6, 1.2, 1.6, 2, 0.6, 1.2, 1.6, 2, 0.5, 0.5, 0.7, 1.2, 0.5, 0.5, 0.7, 1.2, 0.4, 4, 4, 4, 4]
) / 1000  # fmt: skip
DRIFT = 3.0  # slow error, in units of jitter
DRIFT_FRAMES = 9  # how long it lasts
OCCLUDED_JITTER = 2.0  # times more behind another body part
OCCLUDED_DRIFT = 0.045  # metres of slow error there
INFERRED_ODDS = 0.8  # of a hidden joint that the sensor says so
GLITCHES = 0.7  # per body and clip: a limb jumps away for some frames
GLITCH_SIZE = 0.12  # metres
BEHIND = 0.10  # metres by which a joint must be farther than what hides it
BESIDE = 0.13  # metres of lateral distance within which it is hidden

EMPTY_ODDS = 0.15  # of a clip with frames in which no body is seen
EMPTY_FRAMES = (1, 7)
LOST_ODDS = 0.12  # of a person who is lost and found under a new id
LATE_ODDS = 0.06  # of a person who is found late
GHOST_ODDS = 0.12  # of a short-lived body that is none
FURNITURE_ODDS = 0.10  # of a chair or table taken for a body
SHORTEST_TRACK = 16  # frames of a track that a loss must leave: above the 11 that cleaning drops
GHOST_FRAMES = (1, 11)

BODY_ID = 72_057_594_037_927_936  # 2**56: where the sensor's ids begin
ACTOR, PARTNER, GHOST = 0, 1, 2

# Where each joint's occluder is looked for: the same joint of the other side, and the middle of the trunk.
OTHER_SIDE = np.array([0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 20, 23, 24, 21, 22])
AXES = np.arange(75) % 3
LIMBS = ([6, 7, 21, 22], [10, 11, 23, 24], [14, 15], [18, 19], [5, 6, 7, 21, 22], [9, 10, 11, 23, 24])


@dataclass(frozen=True)
class SyntheticClip:
    """A clip as a sensor sees it; the bodies of all frames in file order (B of them).

    Attributes:
        name: NTU name.
        counts: (F,) int64 bodies in each frame.
        ids: (B,) int64 body ids of 17 digits.
        joints: (B, 25, 3) float32, metres in the camera frame.
        states: (B, 25) uint8: 2 tracked, 1 inferred, 0 not tracked.
        roles: (B,) uint8, which no file holds: 0 actor, 1 partner, 2 ghost or furniture.
    """

    name: str
    counts: np.ndarray
    ids: np.ndarray
    joints: np.ndarray
    states: np.ndarray
    roles: np.ndarray


@dataclass(frozen=True)
class Track:
    """One body that a sensor follows: the frame in which it appears, and its joints in n frames on end.

    Attributes:
        start: Frame, from 0.
        joints: (n, 25, 3) float64, metres in the camera frame.
        states: (n, 25) uint8, as in `SyntheticClip`.
        role: As in `SyntheticClip`.
    """

    start: int
    joints: np.ndarray
    states: np.ndarray
    role: int

    @property
    def frames(self) -> np.ndarray:
        """The frame numbers (n,)."""
        return np.arange(self.start, self.start + len(self.joints))


@dataclass(frozen=True)
class Recording:
    """A sensor's recording of a clip.

    Attributes:
        tracks: Tracks in file order.
        ids: Their body ids.
        seen: (F,) bool, the frames that are not lost.
    """

    tracks: tuple[Track, ...]
    ids: np.ndarray
    seen: np.ndarray


@cache
def camera_pose(seed: int, setup: int, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation (3, 3) whose columns are the camera's axes in the world, and position (3,) in metres."""
    shared, own = generator(seed, "setup", setup), generator(seed, "camera", setup, camera)
    height, distance = shared.uniform(*HEIGHT_RANGE), shared.uniform(*DISTANCE_RANGE)
    yaw = CAMERA_YAW[camera] + own.normal(0, YAW_ERROR)
    pitch = math.atan2(height - AIM_HEIGHT, distance) + own.normal(0, 0.02)
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    axes = np.array([[cy, sy * sp, sy * cp], [0.0, cp, -sp], [-sy, cy * sp, cy * cp]])
    return axes, np.array([-sy * distance, height, -cy * distance])


def clean_views(clip: ClipName, seed: int = 0) -> list[np.ndarray]:
    """Return joints (F, 25, 3) float64 of each person in the camera frame before any error of the sensor."""
    axes, position = camera_pose(seed, clip.setup, clip.camera)
    bodies = perform(seed, clip.setup, clip.performer, clip.replication, clip.action)
    start = position[AXES]  # long rows are subtracted faster
    return [((body.reshape(-1, 75) - start).reshape(-1, 3) @ axes).reshape(body.shape) for body in bodies]


def record(clip: ClipName, seed: int = 0) -> Recording:
    """Return the recording of a clip: a pure function of (seed, name)."""
    bodies = clean_views(clip, seed)
    rng = generator(seed, "sensor", clip.setup, clip.camera, clip.performer, clip.replication, clip.action)
    frames = len(bodies[0])
    tracks = [track for role, body in enumerate(bodies) for track in _follow(body, role, rng)]
    if rng.random() < GHOST_ODDS:
        tracks.append(_ghost(frames, rng))
    if rng.random() < FURNITURE_ODDS:
        tracks.append(_furniture(frames, rng))
    seen = _seen(frames, rng)
    tracks = [tracks[i] for i in rng.permutation(len(tracks))]
    # Ids count up from a number that differs from clip to clip.
    ids = BODY_ID + int(rng.integers(500, 99_000)) + rng.integers(1, 6, len(tracks)).cumsum()
    return Recording(tuple(tracks), ids, seen)


def make_clip(name: str, seed: int = 0) -> SyntheticClip:
    """Return the clip of that name, frame by frame: a pure function of (seed, name).

    Raises:
        ValueError: The name is not one of a clip of NTU RGB+D 120.
    """
    recording = record(ClipName.parse(name), seed)
    tracks, seen = recording.tracks, recording.seen
    frame = np.concatenate([track.frames for track in tracks])
    track = np.repeat(np.arange(len(tracks)), [len(track.joints) for track in tracks])
    order = np.lexsort((track, frame))
    order = order[seen[frame[order]]]
    return SyntheticClip(
        name=name,
        counts=np.bincount(frame[order], minlength=len(seen)),
        ids=recording.ids[track[order]],
        joints=np.concatenate([track.joints for track in tracks])[order].astype(np.float32),
        states=np.concatenate([track.states for track in tracks])[order],
        roles=np.array([track.role for track in tracks], dtype=np.uint8)[track[order]],
    )


def _follow(body: np.ndarray, role: int, rng: np.random.Generator) -> list[Track]:
    """Return one person with the sensor's errors: one track, or two under different ids when he is lost in between."""
    joints, states = _corrupt(body, rng)
    pieces = [slice(0, len(body))]
    if rng.random() < LOST_ODDS and len(body) > 2 * SHORTEST_TRACK + 6:
        cut = int(rng.integers(SHORTEST_TRACK, len(body) - SHORTEST_TRACK - 5))
        pieces = [slice(0, cut), slice(cut + int(rng.integers(0, 6)), len(body))]
    elif rng.random() < LATE_ODDS and len(body) > 2 * SHORTEST_TRACK:
        pieces = [slice(int(rng.integers(2, 10)), len(body))]
    return [Track(piece.start, joints[piece], states[piece], role) for piece in pieces]


def _corrupt(body: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return joints (F, 25, 3) with jitter, slow drift and glitches, and tracking states (F, 25) that show them."""
    noise = rng.standard_normal(body.shape)
    knots = rng.standard_normal((len(body) // DRIFT_FRAMES + 2, 25, 3))
    states = _disturb(body, noise, knots, rng.random(body.shape[:2]))
    for _ in range(rng.poisson(GLITCHES)):
        limb = LIMBS[rng.integers(len(LIMBS))]
        start = int(rng.integers(len(body)))
        window = slice(start, start + int(rng.integers(2, 9)))
        noise[window, limb] += GLITCH_SIZE * rng.standard_normal(3)
        states[window, limb] = 0 if rng.random() < 0.25 else 1
    return noise, states


@kept
def _disturb(body: Any, noise: Any, knots: Any, luck: Any) -> NDArray[np.uint8]:
    """Turn standard normal `noise` (F, 25, 3) into the joints as they are seen, and mark states (F, 25) for them.

    Drift changes linearly between `knots`, one every `DRIFT_FRAMES` frames; `luck` (F, 25) is 0 to 1.
    """
    states = np.empty(luck.shape, np.uint8)
    for frame in range(len(body)):
        knot = frame // DRIFT_FRAMES
        part = frame / DRIFT_FRAMES - knot
        for joint in range(25):
            hidden = _hidden(body[frame], joint)
            depth = (body[frame, joint, 2] / 3.0) ** 2
            jitter = JITTER[joint] * depth * (OCCLUDED_JITTER if hidden else 1.0)
            slow = DRIFT * JITTER[joint] * depth + (OCCLUDED_DRIFT if hidden else 0.0)
            for axis in range(3):
                drift = knots[knot, joint, axis] * (1 - part) + knots[knot + 1, joint, axis] * part
                noise[frame, joint, axis] = body[frame, joint, axis] + noise[frame, joint, axis] * jitter + drift * slow
            states[frame, joint] = 1 if hidden and luck[frame, joint] < INFERRED_ODDS else 2
    return states


@compiled
def _hidden(body: Any, joint: int) -> bool:
    """Return whether a limb's joint lies behind the trunk or behind its counterpart of the other side."""
    if joint in (0, 1, 2, 3, 20):
        return False
    for front in (OTHER_SIDE[joint], 1):
        behind, beside = body[joint, 2] - body[front, 2], body[joint, 0] - body[front, 0]
        if behind > BEHIND and abs(beside) < BESIDE:
            return True
    return False


def _ghost(frames: int, rng: np.random.Generator) -> Track:
    """Return a body out of nothing for at most 11 frames, anywhere in the picture."""
    length = int(rng.integers(GHOST_FRAMES[0], GHOST_FRAMES[1] + 1))
    start = int(rng.integers(0, max(frames - length, 1)))
    shape = rng.normal((0.0, 0.0, 0.0), (0.2, 0.35, 0.15), (25, 3)) + rng.normal((0, 0, 3.2), (0.8, 0.3, 0.6))
    moving = shape + np.cumsum(rng.normal(0, 0.03, (length, 25, 3)), axis=0)
    moving[:, :, 2] = np.maximum(moving[:, :, 2], 0.8)
    moving = moving[: frames - start]
    return Track(start, moving, rng.integers(0, 3, moving.shape[:2]).astype(np.uint8), GHOST)


def _furniture(frames: int, rng: np.random.Generator) -> Track:
    """Return something flat and wide that hardly moves, for most of the clip."""
    width, height = rng.uniform(0.7, 1.3), rng.uniform(0.25, 0.6)
    shape = rng.uniform(-0.5, 0.5, (25, 3)) * (width, height, 0.4) + rng.normal((0.3, -0.5, 3.2), (0.8, 0.2, 0.5))
    shape[:, 2] = np.maximum(shape[:, 2], 0.8)
    start, stop = int(rng.integers(0, frames // 4 + 1)), frames - int(rng.integers(0, frames // 4 + 1))
    still = shape + 0.004 * rng.standard_normal((stop - start, 25, 3))
    return Track(start, still, rng.integers(1, 3, still.shape[:2]).astype(np.uint8), GHOST)


def _seen(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Return (F,) whether the sensor reports anything; sometimes it misses frames at an end or in the middle."""
    seen = np.ones(frames, dtype=bool)
    if rng.random() < EMPTY_ODDS:
        length = int(rng.integers(*EMPTY_FRAMES))
        start = (0, frames - length, int(rng.integers(0, frames - length)))[rng.integers(3)]
        seen[start : start + length] = False
    return seen
