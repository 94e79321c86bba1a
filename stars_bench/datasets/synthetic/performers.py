"""The performers: proportions and habits of a synthetic person, drawn once a seed and number."""

from __future__ import annotations

from bisect import bisect
from dataclasses import dataclass
from functools import cache

import numpy as np

from stars_bench.datasets.synthetic.body import Pair, Physique, Vector
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
_IDLE_STEPS = np.cumsum(IDLE_ODDS).tolist()


@dataclass(frozen=True)
class Performer:
    """Body and habits of one performer, the same in every clip of a seed.

    Args:
        physique: Segment lengths.
        tempo: Speed relative to the choreography; larger is faster.
        amplitude: Factor on the movements.
        left_handed: Whether the left hand is the main one.
        lean: Habitual trunk (pitch, roll, twist), radians.
        heading: Habitual heading, radians.
        idle: (2, 3) resting places of main and other hand.
        elbow: Habitual elbow direction (out, up, forward).
        stance: Half the distance between the feet, in leg lengths.
    """

    physique: Physique
    tempo: float  # 1: as choreographed; larger is faster
    amplitude: float
    left_handed: bool
    lean: np.ndarray  # habitual trunk (pitch, roll, twist), radians
    heading: float  # radians
    idle: np.ndarray  # (2, 3) resting places of main and other hand
    elbow: Vector  # habitual elbow direction (out, up, forward)
    stance: float  # half the distance of the feet, units of leg length


@cache
def performer(seed: int, number: int) -> Performer:
    """Return the performer with a number: a pure function of (seed, number)."""
    rng = generator(seed, "performer", number)
    return Performer(
        physique=_physique(rng),
        tempo=float(np.exp(rng.normal(0, TEMPO_SPREAD))),
        amplitude=float(np.exp(rng.normal(0, AMPLITUDE_SPREAD))),
        left_handed=bool(rng.random() < LEFT_HANDED),
        lean=rng.normal(0, POSTURE_SPREAD, 3),
        heading=float(rng.normal(0, HEADING_HABIT)),
        idle=idle_hands(rng),
        elbow=_elbow(rng),
        stance=float(rng.uniform(0.09, 0.19)),
    )


def idle_hands(rng: np.random.Generator) -> np.ndarray:
    """Return where main and other hand rest, (2, 3): mostly both the same way, sometimes one is kept busy."""
    main = bisect(_IDLE_STEPS, rng.random())
    other = main if rng.random() < 0.6 else bisect(_IDLE_STEPS, rng.random())
    hands: np.ndarray = np.array([IDLE_HANDS[main], IDLE_HANDS[other]]) + 0.05 * rng.standard_normal((2, 3))
    return hands


def _elbow(rng: np.random.Generator) -> Vector:
    out, up, forward = np.array([0.6, -0.5, -0.55]) + rng.normal(0, ELBOW_SPREAD, 3) * (1.0, 0.5, 0.5)
    return float(out), float(up), float(forward)


def _physique(rng: np.random.Generator) -> Physique:
    """Draw segment lengths around their share of a drawn height; left and right differ slightly."""
    height = float(rng.uniform(*HEIGHT_RANGE))

    def one(share: float) -> float:
        return height * share * float(np.exp(rng.normal(0, SEGMENT_SPREAD)))

    def pair(share: float) -> Pair:
        left, right = one(share) * np.exp(rng.normal(0, SEGMENT_SPREAD / 3, 2))
        return float(left), float(right)

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
