"""A synthetic human body: 25 Kinect v2 joints from a pose over time.

In: a `Physique` (segment lengths, metres) and a pose (8 channels (3, F): where pelvis, hands and feet are, how the
trunk bends). Out: joints (F, 25, 3) in metres. Limbs are two-bone chains solved in closed form (as in computer
animation), so hands and feet arrive where a choreography wants them and every segment keeps its length.

World and body axes are right-handed, as the sensor's: x to the left of who looks along z, y up, z forward.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.io.numba_cache import compiled, kept

Vector = tuple[float, float, float]
Pair = tuple[float, float]
Frame = tuple[Vector, Vector, Vector]
"""A rotation by rows; it takes (left, up, forward) to the world."""

PLACE, PELVIS, TRUNK, HEAD, HAND, FOOT = 0, 1, 2, 3, 4, 6
"""Channels of a pose; the left hand and foot come before the right ones."""


class Physique(NamedTuple):
    """Segment lengths in metres; pairs are (left, right), since no person is symmetric."""

    height: float
    torso_low: float
    torso_high: float
    neck: float
    head: float
    clavicle: Pair
    upper_arm: Pair
    forearm: Pair
    hand: Pair
    hand_tip: Pair
    thumb: Pair
    hip: Pair
    thigh: Pair
    shin: Pair
    foot: Pair
    ankle_height: float


@kept
def joints(pose: Any, body: Physique, elbow: Vector, stance: float) -> NDArray[np.float64]:
    """Return joints (F, 25, 3) in metres on a floor at y = 0.

    Args:
        pose: (8, 3, F), the channels PLACE (x, z in metres, heading in radians), PELVIS (left, up, forward from
            standing, units of leg length), TRUNK and HEAD (pitch forward, roll, twist; radians), HAND of both sides
            (out, up, forward from the shoulder in the frame of the chest, units of arm length) and FOOT of both sides
            (out, up, forward from standing, units of leg length).
        body: Segment lengths, metres.
        elbow: Where elbows point (out, up, forward).
        stance: Half the distance between the feet, units of leg length.

    Returns:
        (F, 25, 3) float64, metres.
    """
    leg = (body.thigh[0] + body.shin[0] + (body.thigh[1] + body.shin[1])) / 2
    standing = body.ankle_height + 0.98 * leg + 0.2 * ((body.hip[0] + body.hip[1]) / 2)
    face = _unit((0.0, 1.0, 0.18))
    out = np.empty((pose.shape[2], 25, 3))
    for frame in range(pose.shape[2]):
        x, z, yaw = _at(pose, PLACE, frame)
        pitch, roll, twist = _at(pose, TRUNK, frame)
        nod, tilt, turn = _at(pose, HEAD, frame)
        ground = _frame(0.0, 0.0, yaw)
        low = _frame(0.45 * pitch, 0.5 * roll, yaw + 0.3 * twist)
        high = _frame(pitch, roll, yaw + twist)
        skull = _frame(0.8 * pitch + nod, roll + tilt, yaw + twist + turn)

        left, up, forward = _at(pose, PELVIS, frame)
        # The hips go back when the trunk bends forward, or one would fall over.
        x_hips, y_hips, z_hips = _turn(ground, (left * leg, up * leg, (forward - 0.14 * math.sin(pitch)) * leg))
        floor, pelvis = (x, 0.0, z), (x + x_hips, y_hips + standing, z + z_hips)
        middle = _along(pelvis, _up(low), body.torso_low)
        chest = _along(middle, _up(high), body.torso_high)
        neck = _along(chest, _up(high), body.neck)
        for joint, place in ((0, pelvis), (1, middle), (20, chest), (2, neck)):
            _put(out, frame, joint, place)
        _put(out, frame, 3, _along(neck, _turn(skull, face), body.head))
        for side in range(2):
            _arm(out, frame, high, chest, _at(pose, HAND + side, frame), elbow, body, side)
            out_by, lifted, ahead = _at(pose, FOOT + side, frame)
            _leg(out, frame, ground, low, pelvis, floor, (out_by + stance, lifted, ahead), body, side)
    return out


@compiled
def _arm(
    out: Any, frame: int, trunk: Frame, chest: Vector, hand: Vector, elbow: Vector, body: Physique, side: int
) -> None:
    """Fill shoulder, elbow, wrist, hand, hand tip and thumb of one side."""
    sign = 1.0 - 2.0 * side
    shoulder = _along(chest, _turn(trunk, _unit((0.95 * sign, -0.28, 0.0))), body.clavicle[side])
    upper, lower = body.upper_arm[side], body.forearm[side]
    target = _along(shoulder, _turn(trunk, (hand[0] * sign, hand[1], hand[2])), upper + lower)
    pole = _turn(trunk, (elbow[0] * sign, elbow[1], elbow[2]))
    bend, wrist = _two_bones(shoulder, target, upper, lower, pole)
    along = _unit(_minus(wrist, bend))
    # Thumbs point inward and forward, at right angles to the forearm.
    across = _unit(_across(_turn(trunk, (-0.7 * sign, 0.1, 0.7)), along))
    palm = _along(wrist, along, body.hand[side])
    thumb = _unit((across[0] + 0.5 * along[0], across[1] + 0.5 * along[1], across[2] + 0.5 * along[2]))
    first, tip = 4 + 4 * side, 21 + 2 * side
    for joint, place in ((first, shoulder), (first + 1, bend), (first + 2, wrist), (first + 3, palm)):
        _put(out, frame, joint, place)
    _put(out, frame, tip, _along(palm, along, body.hand_tip[side]))
    _put(out, frame, tip + 1, _along(palm, thumb, body.thumb[side]))


@compiled
def _leg(
    out: Any,
    frame: int,
    ground: Frame,
    trunk: Frame,
    pelvis: Vector,
    floor: Vector,
    foot: Vector,
    body: Physique,
    side: int,
) -> None:
    """Fill hip, knee, ankle and foot of one side."""
    sign = 1.0 - 2.0 * side
    thigh, shin = body.thigh[side], body.shin[side]
    x, y, z = _unit((0.97, -0.2, 0.0))
    hip = _along(pelvis, _turn(trunk, (x * sign, y, z)), body.hip[side])
    long = thigh + shin
    x, y, z = _turn(ground, (foot[0] * sign * long, foot[1] * long, foot[2] * long))
    target = (floor[0] + x, y + body.ankle_height, floor[2] + z)
    knee, ankle = _two_bones(hip, target, thigh, shin, _turn(ground, (0.15 * sign, 0.1, 1.0)))
    x, y, z = _unit((0.25, -0.4, 0.9))
    toe = _along(ankle, _turn(ground, (x * sign, y, z)), body.foot[side])
    first = 12 + 4 * side
    for joint, place in ((first, hip), (first + 1, knee), (first + 2, ankle), (first + 3, toe)):
        _put(out, frame, joint, place)


@compiled
def _two_bones(root: Vector, target: Vector, first: float, second: float, pole: Vector) -> tuple[Vector, Vector]:
    """Return the middle and end of two segments from `root` towards `target`, bent in the direction of `pole`.

    A target out of reach is approached in its direction: lengths never change.
    """
    way = _minus(target, root)
    distance = math.sqrt(way[0] * way[0] + way[1] * way[1] + way[2] * way[2])
    far = max(distance, 1e-6)
    along = (way[0] / far, way[1] / far, way[2] / far)
    distance = min(max(distance, 0.35 * (first + second)), 0.998 * (first + second))
    x, y, z = _unit(_across(pole, along))
    cosine = (first**2 + distance**2 - second**2) / (2 * first * distance)
    sine = math.sqrt(max(1 - cosine**2, 0.0))
    bent = (cosine * along[0] + sine * x, cosine * along[1] + sine * y, cosine * along[2] + sine * z)
    return _along(root, bent, first), _along(root, along, distance)


@compiled
def _frame(pitch: float, roll: float, yaw: float) -> Frame:
    """Return the rotation that takes (left, up, forward) to the world: roll first, then pitch, then yaw."""
    cp, sp, cr, sr = math.cos(pitch), math.sin(pitch), math.cos(roll), math.sin(roll)
    cy, sy = math.cos(yaw), math.sin(yaw)
    return (
        (cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, sy * cp),
        (cp * sr, cp * cr, -sp),
        (cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, cy * cp),
    )


@compiled
def _turn(frame: Frame, vector: Vector) -> Vector:
    a, b, c = frame
    x, y, z = vector
    return a[0] * x + a[1] * y + a[2] * z, b[0] * x + b[1] * y + b[2] * z, c[0] * x + c[1] * y + c[2] * z


@compiled
def _up(frame: Frame) -> Vector:
    return frame[0][1], frame[1][1], frame[2][1]


@compiled
def _along(start: Vector, way: Vector, length: float) -> Vector:
    return start[0] + way[0] * length, start[1] + way[1] * length, start[2] + way[2] * length


@compiled
def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@compiled
def _across(vector: Vector, along: Vector) -> Vector:
    """Return the part of a vector at right angles to a direction."""
    size = vector[0] * along[0] + vector[1] * along[1] + vector[2] * along[2]
    return vector[0] - along[0] * size, vector[1] - along[1] * size, vector[2] - along[2] * size


@compiled
def _unit(vector: Vector) -> Vector:
    """Scale a vector to length 1."""
    x, y, z = vector
    length = max(math.sqrt(x * x + y * y + z * z), 1e-9)
    return x / length, y / length, z / length


@compiled
def _at(pose: Any, channel: int, frame: int) -> Vector:
    return pose[channel, 0, frame], pose[channel, 1, frame], pose[channel, 2, frame]


@compiled
def _put(out: Any, frame: int, joint: int, place: Vector) -> None:
    out[frame, joint, 0], out[frame, joint, 1], out[frame, joint, 2] = place
