"""The three sensors: where they stand, and what a Kinect makes of the bodies in front of it.

In: a performance (world joints). Out: a `SyntheticClip`: bodies frame by frame in the camera frame (x to the sensor's
left, y up, z away from it; metres) with tracking states, new ids after a loss, empty frames, and bodies that are none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from stars_bench.datasets.synthetic.performance import perform
from stars_bench.datasets.synthetic.seeds import generator
from stars_bench.datasets.synthetic.stage import ClipName

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
GLITCHES = 0.7  # per body and clip: a limb jumps away for some frames
GLITCH_SIZE = 0.12  # metres
BEHIND = 0.10  # metres by which a joint must be farther than what hides it
BESIDE = 0.13  # metres of lateral distance within which it is hidden

EMPTY_ODDS = 0.15  # of a clip with frames in which nobody is seen
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
LIMBS = ((6, 7, 21, 22), (10, 11, 23, 24), (14, 15), (18, 19), (5, 6, 7, 21, 22), (9, 10, 11, 23, 24))


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
class _Track:
    """One body id: the frames in which it is seen (n,), its joints (n, 25, 3), states (n, 25) and role."""

    frames: np.ndarray
    joints: np.ndarray
    states: np.ndarray
    role: int


def camera_pose(seed: int, setup: int, camera: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotation (3, 3) whose columns are the camera's axes in the world, and position (3,) in metres."""
    shared, own = generator(seed, "setup", setup), generator(seed, "camera", setup, camera)
    height, distance = shared.uniform(*HEIGHT_RANGE), shared.uniform(*DISTANCE_RANGE)
    yaw = CAMERA_YAW[camera] + own.normal(0, YAW_ERROR)
    pitch = math.atan2(height - AIM_HEIGHT, distance) + own.normal(0, 0.02)
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    axes = np.array([[cy, sy * sp, sy * cp], [0.0, cp, -sp], [-sy, cy * sp, cy * cp]])
    return axes, np.array([-sy * distance, height, -cy * distance])


def clean_views(name: str, seed: int = 0) -> list[np.ndarray]:
    """Joints (F, 25, 3) float64 of each person in the camera frame before any error of the sensor."""
    clip = ClipName.parse(name)
    axes, position = camera_pose(seed, clip.setup, clip.camera)
    bodies = perform(seed, clip.setup, clip.performer, clip.replication, clip.action)
    return [(body - position) @ axes for body in bodies]


def make_clip(name: str, seed: int = 0) -> SyntheticClip:
    """The clip of that name: a pure function of (seed, name).

    Raises:
        ValueError: not a valid NTU name, or an action without choreography.
    """
    clip = ClipName.parse(name)
    bodies = clean_views(name, seed)
    rng = generator(seed, "sensor", clip.setup, clip.camera, clip.performer, clip.replication, clip.action)
    frames = len(bodies[0])
    tracks = [track for role, body in enumerate(bodies) for track in _observe(body, role, rng)]
    if rng.random() < GHOST_ODDS:
        tracks.append(_ghost(frames, rng))
    if rng.random() < FURNITURE_ODDS:
        tracks.append(_furniture(frames, rng))
    return _assemble(name, frames, tracks, _seen(frames, rng), rng)


def _observe(body: np.ndarray, role: int, rng: np.random.Generator) -> list[_Track]:
    """One person with the sensor's errors: one track, or two under different ids when he is lost in between."""
    joints, states = _corrupt(body, rng)
    frames = np.arange(len(body))
    pieces = [frames]
    if rng.random() < LOST_ODDS and len(frames) > 2 * SHORTEST_TRACK + 6:
        cut = int(rng.integers(SHORTEST_TRACK, len(frames) - SHORTEST_TRACK - 5))
        pieces = [frames[:cut], frames[cut + int(rng.integers(0, 6)) :]]
    elif rng.random() < LATE_ODDS and len(frames) > 2 * SHORTEST_TRACK:
        pieces = [frames[int(rng.integers(2, 10)) :]]
    return [_Track(piece, joints[piece], states[piece], role) for piece in pieces]


def _corrupt(body: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Joints (F, 25, 3) with jitter, slow drift and glitches, and states (F, 25) that tell of them."""
    hidden = _hidden(body)
    depth = (body[:, :, 2:] / 3.0) ** 2
    jitter = JITTER[:, None] * depth * np.where(hidden, OCCLUDED_JITTER, 1.0)[:, :, None]
    seen = body + rng.standard_normal(body.shape) * jitter
    seen += _drift(len(body), rng) * (DRIFT * JITTER[:, None] * depth + OCCLUDED_DRIFT * hidden[:, :, None])
    states = np.where(hidden & (rng.random(hidden.shape) < 0.8), 1, 2).astype(np.uint8)
    for _ in range(rng.poisson(GLITCHES)):
        limb = list(LIMBS[rng.integers(len(LIMBS))])
        start = int(rng.integers(len(body)))
        window = slice(start, start + int(rng.integers(2, 9)))
        seen[window, limb] += rng.normal(0, GLITCH_SIZE, (1, 1, 3))
        states[window, limb] = rng.choice((0, 1), p=(0.25, 0.75))
    return seen, states


def _hidden(body: np.ndarray) -> np.ndarray:
    """(F, 25) whether a limb's joint lies behind the trunk or behind its counterpart of the other side."""
    hidden = np.zeros(body.shape[:2], dtype=bool)
    for front in (body[:, OTHER_SIDE], body[:, 1:2]):
        gap = body - front
        hidden |= (gap[:, :, 2] > BEHIND) & (np.abs(gap[:, :, 0]) < BESIDE)
    hidden[:, [0, 1, 2, 3, 20]] = False
    return hidden


def _drift(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(F, 25, 3) of about unit variance, changing over `DRIFT_FRAMES` frames."""
    knots = rng.standard_normal((frames // DRIFT_FRAMES + 2, 25, 3))
    at, part = np.divmod(np.arange(frames) / DRIFT_FRAMES, 1)
    index, part = at.astype(int), part[:, None, None]
    drift: np.ndarray = knots[index] * (1 - part) + knots[index + 1] * part
    return drift


def _ghost(frames: int, rng: np.random.Generator) -> _Track:
    """A body out of nothing for at most 11 frames, anywhere in the picture."""
    length = int(rng.integers(GHOST_FRAMES[0], GHOST_FRAMES[1] + 1))
    start = int(rng.integers(0, max(frames - length, 1)))
    shape = rng.normal((0.0, 0.0, 0.0), (0.2, 0.35, 0.15), (25, 3)) + rng.normal((0, 0, 3.2), (0.8, 0.3, 0.6))
    moving = shape + np.cumsum(rng.normal(0, 0.03, (length, 25, 3)), axis=0)
    moving[:, :, 2] = np.maximum(moving[:, :, 2], 0.8)
    at = np.arange(start, min(start + length, frames))
    return _Track(at, moving[: len(at)], rng.integers(0, 3, (len(at), 25)).astype(np.uint8), GHOST)


def _furniture(frames: int, rng: np.random.Generator) -> _Track:
    """Something flat and wide that hardly moves, for most of the clip."""
    width, height = rng.uniform(0.7, 1.3), rng.uniform(0.25, 0.6)
    shape = rng.uniform(-0.5, 0.5, (25, 3)) * (width, height, 0.4) + rng.normal((0.3, -0.5, 3.2), (0.8, 0.2, 0.5))
    shape[:, 2] = np.maximum(shape[:, 2], 0.8)
    at = np.arange(int(rng.integers(0, frames // 4 + 1)), frames - int(rng.integers(0, frames // 4 + 1)))
    still = shape + rng.normal(0, 0.004, (len(at), 25, 3))
    return _Track(at, still, rng.integers(1, 3, (len(at), 25)).astype(np.uint8), GHOST)


def _seen(frames: int, rng: np.random.Generator) -> np.ndarray:
    """(F,) whether the sensor reports anything; sometimes it misses frames at an end or in the middle."""
    seen = np.ones(frames, dtype=bool)
    if rng.random() < EMPTY_ODDS:
        length = int(rng.integers(*EMPTY_FRAMES))
        start = (0, frames - length, int(rng.integers(0, frames - length)))[rng.integers(3)]
        seen[start : start + length] = False
    return seen


def _assemble(
    name: str, frames: int, tracks: list[_Track], seen: np.ndarray, rng: np.random.Generator
) -> SyntheticClip:
    """Tracks to bodies frame by frame; ids count up from a number that differs from clip to clip."""
    tracks = [tracks[i] for i in rng.permutation(len(tracks))]
    ids = BODY_ID + int(rng.integers(500, 99_000)) + np.cumsum(rng.integers(1, 6, len(tracks)))
    frame = np.concatenate([track.frames for track in tracks])
    track = np.repeat(np.arange(len(tracks)), [len(track.frames) for track in tracks])
    order = np.lexsort((track, frame))
    order = order[seen[frame[order]]]
    return SyntheticClip(
        name=name,
        counts=np.bincount(frame[order], minlength=frames),
        ids=ids[track[order]],
        joints=np.concatenate([track.joints for track in tracks])[order].astype(np.float32),
        states=np.concatenate([track.states for track in tracks])[order],
        roles=np.array([track.role for track in tracks], dtype=np.uint8)[track[order]],
    )
