"""A made-up human: proportions and habits of a performer, and 25 Kinect v2 joints from a pose over time.

In: a `Physique` (segment lengths, metres) and a pose (channels (F, 3): where pelvis, hands and feet are, how the trunk
bends). Out: joints (F, 25, 3) in metres. Limbs are two-bone chains solved in closed form (as in computer animation), so
hands and feet arrive where a choreography wants them and every segment keeps its length.

World and body axes are right-handed, as the sensor's: x to the left of who looks along z, y up, z forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stars_bench.datasets.synthetic.seeds import generator

# Segment lengths as fractions of body height, in the proportions a Kinect v2 reports.
TORSO_LOW, TORSO_HIGH, NECK, HEAD = 0.165, 0.125, 0.042, 0.082
CLAVICLE, UPPER_ARM, FOREARM, HAND, HAND_TIP, THUMB = 0.090, 0.150, 0.142, 0.042, 0.045, 0.032
HIP, THIGH, SHIN, FOOT, ANKLE_HEIGHT = 0.046, 0.205, 0.205, 0.068, 0.055

HEIGHT_RANGE = (1.50, 1.92)  # metres
SEGMENT_SPREAD = 0.05  # standard deviation of each segment around its share of the height

# How far performers differ in the way they move: these make cross-subject recognition hard.
TEMPO_SPREAD = 0.22  # of log tempo
AMPLITUDE_SPREAD = 0.22  # of log amplitude
LEFT_HANDED = 0.3
POSTURE_SPREAD = 0.07  # radians of habitual trunk lean and tilt
HEADING_HABIT = 0.35  # radians by which a performer does not quite face where he should
ELBOW_SPREAD = 0.22  # of the direction in which elbows point

# Where the idle hand hangs (out, up, forward; units of arm length from the shoulder), and how usual that is.
IDLE_HANDS = ((0.10, -0.93, 0.08), (0.22, -0.80, 0.20), (-0.22, -0.60, 0.36), (0.16, -0.58, 0.02), (-0.35, -0.42, 0.40))
IDLE_ODDS = (0.40, 0.22, 0.14, 0.12, 0.12)


@dataclass(frozen=True)
class Physique:
    """Segment lengths in metres. Pairs are (left, right): nobody is symmetric, least of all to a Kinect."""

    height: float
    torso_low: float
    torso_high: float
    neck: float
    head: float
    clavicle: np.ndarray
    upper_arm: np.ndarray
    forearm: np.ndarray
    hand: np.ndarray
    hand_tip: np.ndarray
    thumb: np.ndarray
    hip: np.ndarray
    thigh: np.ndarray
    shin: np.ndarray
    foot: np.ndarray
    ankle_height: float


@dataclass(frozen=True)
class Performer:
    """Body and habits of one performer, the same in every clip of a seed."""

    physique: Physique
    tempo: float  # 1: as choreographed; larger is faster
    amplitude: float
    left_handed: bool
    lean: np.ndarray  # habitual trunk (pitch, roll, twist), radians
    heading: float  # radians
    idle: np.ndarray  # (2, 3) resting places of main and other hand
    elbow: np.ndarray  # (3,) habitual elbow direction (out, up, forward)
    stance: float  # half the distance of the feet, units of leg length


def performer(seed: int, number: int) -> Performer:
    """The performer of that number: a pure function of (seed, number)."""
    rng = generator(seed, "performer", number)
    return Performer(
        physique=_physique(rng),
        tempo=float(np.exp(rng.normal(0, TEMPO_SPREAD))),
        amplitude=float(np.exp(rng.normal(0, AMPLITUDE_SPREAD))),
        left_handed=bool(rng.random() < LEFT_HANDED),
        lean=rng.normal(0, POSTURE_SPREAD, 3),
        heading=float(rng.normal(0, HEADING_HABIT)),
        idle=idle_hands(rng),
        elbow=np.array([0.6, -0.5, -0.55]) + rng.normal(0, ELBOW_SPREAD, 3) * (1.0, 0.5, 0.5),
        stance=float(rng.uniform(0.09, 0.19)),
    )


def idle_hands(rng: np.random.Generator) -> np.ndarray:
    """(2, 3) places where main and other hand rest: mostly both the same way, sometimes one is kept busy."""
    main = rng.choice(len(IDLE_HANDS), p=IDLE_ODDS)
    other = main if rng.random() < 0.6 else rng.choice(len(IDLE_HANDS), p=IDLE_ODDS)
    return np.array([IDLE_HANDS[main], IDLE_HANDS[other]]) + rng.normal(0, 0.05, (2, 3))


def _physique(rng: np.random.Generator) -> Physique:
    """Segments drawn around their share of a drawn height; left and right differ by a little."""
    height = float(rng.uniform(*HEIGHT_RANGE))

    def one(share: float) -> float:
        return height * share * float(np.exp(rng.normal(0, SEGMENT_SPREAD)))

    def pair(share: float) -> np.ndarray:
        return one(share) * np.exp(rng.normal(0, SEGMENT_SPREAD / 3, 2))

    return Physique(
        height=height,
        torso_low=one(TORSO_LOW),
        torso_high=one(TORSO_HIGH),
        neck=one(NECK),
        head=one(HEAD),
        clavicle=pair(CLAVICLE),
        upper_arm=pair(UPPER_ARM),
        forearm=pair(FOREARM),
        hand=pair(HAND),
        hand_tip=pair(HAND_TIP),
        thumb=pair(THUMB),
        hip=pair(HIP),
        thigh=pair(THIGH),
        shin=pair(SHIN),
        foot=pair(FOOT),
        ankle_height=one(ANKLE_HEIGHT),
    )


def joints(pose: Mapping[str, np.ndarray], body: Physique, elbow: np.ndarray, stance: float) -> np.ndarray:
    """Joints (F, 25, 3) in metres on a floor at y = 0.

    Args:
        pose: channels of shape (F, 3): `place` (x, z in metres, heading in radians), `pelvis` (left, up, forward from
            standing, units of leg length), `trunk` and `head` (pitch forward, roll, twist; radians), `left_hand` and
            `right_hand` (out, up, forward from the shoulder in the frame of the chest, units of arm length),
            `left_foot` and `right_foot` (out, up, forward from standing, units of leg length).
        body: lengths.
        elbow: (3,) where elbows point (out, up, forward).
        stance: half the distance between the feet, units of leg length.
    """
    place, trunk, head_turn = pose["place"], pose["trunk"], pose["head"]
    yaw = place[:, 2]
    leg = float(np.mean(body.thigh + body.shin))
    ground = _frame(0 * yaw, 0 * yaw, yaw)
    low = _frame(0.45 * trunk[:, 0], 0.5 * trunk[:, 1], yaw + 0.3 * trunk[:, 2])
    high = _frame(trunk[:, 0], trunk[:, 1], yaw + trunk[:, 2])
    skull = _frame(
        0.8 * trunk[:, 0] + head_turn[:, 0], trunk[:, 1] + head_turn[:, 1], yaw + trunk[:, 2] + head_turn[:, 2]
    )

    floor = np.stack([place[:, 0], 0 * yaw, place[:, 1]], axis=1)
    # The hips go back when the trunk bends forward, or one would fall over.
    balance = np.stack([0 * yaw, 0 * yaw, -0.14 * np.sin(trunk[:, 0])], axis=1)
    pelvis = floor + _turn(ground, (pose["pelvis"] + balance) * leg)
    pelvis[:, 1] += body.ankle_height + 0.98 * leg + 0.2 * body.hip.mean()

    out = np.empty((len(yaw), 25, 3))
    out[:, 0] = pelvis
    out[:, 1] = pelvis + low[:, :, 1] * body.torso_low
    out[:, 20] = out[:, 1] + high[:, :, 1] * body.torso_high
    out[:, 2] = out[:, 20] + high[:, :, 1] * body.neck
    out[:, 3] = out[:, 2] + skull @ _unit(np.array([0.0, 1.0, 0.18])) * body.head
    for side, first_arm, first_leg, tip in ((0, 4, 12, 21), (1, 8, 16, 23)):
        name, sign = ("left", 1.0) if side == 0 else ("right", -1.0)
        mirror = np.array([sign, 1.0, 1.0])
        _arm(out, high, pose[f"{name}_hand"] * mirror, elbow * mirror, body, side, first_arm, tip)
        target = (pose[f"{name}_foot"] + (stance, 0.0, 0.0)) * mirror
        _leg(out, ground, low, floor, target, mirror, body, side, first_leg)
    return out


def _arm(
    out: np.ndarray,
    chest: np.ndarray,
    hand: np.ndarray,
    elbow: np.ndarray,
    body: Physique,
    side: int,
    first: int,
    tip: int,
) -> None:
    """Fills shoulder, elbow, wrist, hand (from `first`), hand tip and thumb (from `tip`) of one side."""
    sign = 1.0 - 2.0 * side
    shoulder = out[:, 20] + chest @ _unit(np.array([0.95 * sign, -0.28, 0.0])) * body.clavicle[side]
    reach = body.upper_arm[side] + body.forearm[side]
    target = shoulder + _turn(chest, hand) * reach
    bend, wrist = _two_bones(shoulder, target, body.upper_arm[side], body.forearm[side], chest @ elbow)
    along = _unit(wrist - bend)
    # Thumbs point inward and forward, at right angles to the forearm.
    across = chest @ np.array([-0.7 * sign, 0.1, 0.7])
    across = _unit(across - along * np.sum(across * along, axis=1, keepdims=True))
    palm = wrist + along * body.hand[side]
    out[:, first], out[:, first + 1], out[:, first + 2], out[:, first + 3] = shoulder, bend, wrist, palm
    out[:, tip] = palm + along * body.hand_tip[side]
    out[:, tip + 1] = palm + _unit(across + 0.5 * along) * body.thumb[side]


def _leg(
    out: np.ndarray,
    ground: np.ndarray,
    pelvis: np.ndarray,
    floor: np.ndarray,
    foot: np.ndarray,
    mirror: np.ndarray,
    body: Physique,
    side: int,
    first: int,
) -> None:
    """Fills hip, knee, ankle, foot (from `first`) of one side."""
    thigh, shin = body.thigh[side], body.shin[side]
    hip = out[:, 0] + pelvis @ (_unit(np.array([0.97, -0.2, 0.0])) * mirror) * body.hip[side]
    target = floor + _turn(ground, foot * (thigh + shin)) + (0.0, body.ankle_height, 0.0)
    knee, ankle = _two_bones(hip, target, thigh, shin, ground @ (np.array([0.15, 0.1, 1.0]) * mirror))
    toe = ground @ (_unit(np.array([0.25, -0.4, 0.9])) * mirror)
    out[:, first], out[:, first + 1], out[:, first + 2] = hip, knee, ankle
    out[:, first + 3] = ankle + toe * body.foot[side]


def _two_bones(
    root: np.ndarray, target: np.ndarray, first: float, second: float, pole: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Middle and end (F, 3) of two segments from `root` towards `target`, bent in the direction of `pole` (F, 3).

    A target out of reach is approached in its direction: lengths never change.
    """
    way = target - root
    distance = np.linalg.norm(way, axis=1, keepdims=True)
    along = way / np.maximum(distance, 1e-6)
    distance = np.clip(distance, 0.35 * (first + second), 0.998 * (first + second))
    side = _unit(pole - along * np.sum(pole * along, axis=1, keepdims=True))
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    sine = np.sqrt(np.maximum(1 - cosine**2, 0.0))
    return root + first * (cosine * along + sine * side), root + distance * along


def _frame(pitch: np.ndarray, roll: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """Rotations (F, 3, 3) that take (left, up, forward) to the world: roll first, then pitch, then yaw."""
    cp, sp, cr, sr, cy, sy = np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll), np.cos(yaw), np.sin(yaw)
    rows = (
        (cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp),
        (cp * sr, cp * cr, -sp),
        (cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, cy * cp),
    )
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


def _turn(frames: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Each vector (F, 3) turned by the rotation (F, 3, 3) of its frame."""
    turned: np.ndarray = np.matmul(frames, vectors[:, :, None])[:, :, 0]
    return turned


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) at length 1."""
    lengthened: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return lengthened
