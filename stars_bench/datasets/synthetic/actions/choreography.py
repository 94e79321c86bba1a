"""Choreographies: key poses and waves on the channels of `body.joints`, and how they are written.

A choreography describes an average person: main and other hand, key times from 0 to 1, average amplitudes. `perform`
gives it a body, habits, timing and variation.

Units are those of `body.joints`: hands (out, up, forward) from the shoulder in arm lengths, feet and pelvis (out or
left, up, forward) in leg lengths, trunk and head (pitch, roll, twist) in radians, place (left, forward in metres, turn
in radians) where forward is towards the partner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Vector = tuple[float, float, float]
Key = tuple[float, Vector | None]
"""(time from 0 to 1, value); None is the resting value of whoever performs."""

CHANNELS = ("place", "pelvis", "trunk", "head", "main_hand", "other_hand", "main_foot", "other_foot")


@dataclass(frozen=True)
class Wave:
    """An oscillation between two times.

    Args:
        channel: Channel of `body.joints`.
        amplitude: Amplitude of each component, in the channel's units.
        cycles: Number of cycles.
        start: Start, from 0 to 1 of the action. Default: 0.2.
        stop: End, from 0 to 1 of the action. Default: 0.85.
        shape: "sine", "bounce" (|sine|: two arcs a cycle) or "half" (one). Default: sine.
        phase: Phase, in cycles. Default: 0.
    """

    channel: str
    amplitude: Vector
    cycles: float
    start: float = 0.2
    stop: float = 0.85
    shape: str = "sine"
    phase: float = 0.0  # in cycles


@dataclass(frozen=True)
class Move:
    """The movement of one person.

    Args:
        seconds: Duration, in seconds.
        keys: Key poses by channel, held before the first and after the last. Default: none.
        waves: Waves on top. Default: none.
    """

    seconds: float
    keys: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    waves: tuple[Wave, ...] = ()

    def reversed(self) -> Move:
        """Return the same, backwards in time."""
        keys = {name: tuple((1 - time, value) for time, value in track[::-1]) for name, track in self.keys.items()}
        waves = tuple(replace(wave, start=1 - wave.stop, stop=1 - wave.start) for wave in self.waves)
        return Move(self.seconds, keys, waves)


@dataclass(frozen=True)
class Choreography:
    """An action.

    Args:
        name: Name of the action.
        actor: Movement of the actor.
        partner: Movement of the partner. Default: None, one person.
        gap: Distance of the two persons, in metres. Default: 0.
    """

    name: str
    actor: Move
    partner: Move | None = None
    gap: float = 0.0  # metres between the two at the start


def hold(value: Vector, start: float, stop: float) -> tuple[Key, ...]:
    """Make keys from rest to a value, kept from `start` to `stop`, and back to rest."""
    return ((max(start - 0.25, 0.0), None), (start, value), (stop, value), (min(stop + 0.25, 1.0), None))


def both(track: tuple[Key, ...]) -> dict[str, tuple[Key, ...]]:
    """Return the same for both hands."""
    return {"main_hand": track, "other_hand": track}


def walk(cycles: float, start: float, stop: float) -> tuple[Wave, ...]:
    """Make legs step and arms swing against them, for walking on the spot or along `place`."""
    stride, lift, swing = (0.0, 0.0, 0.24), (0.0, 0.11, 0.0), (0.0, 0.0, 0.18)
    return (
        Wave("main_foot", stride, cycles, start, stop),
        Wave("other_foot", stride, cycles, start, stop, phase=0.5),
        Wave("main_foot", lift, cycles, start, stop, "half", 0.25),
        Wave("other_foot", lift, cycles, start, stop, "half", 0.75),
        Wave("main_hand", swing, cycles, start, stop, phase=0.5),
        Wave("other_hand", swing, cycles, start, stop),
        Wave("pelvis", (0.0, -0.03, 0.0), cycles, start, stop, "bounce", phase=0.25),
    )


def path(*points: tuple[float, Vector]) -> tuple[Key, ...]:
    """Make keys from rest through values at their times, and back to rest."""
    return ((max(points[0][0] - 0.25, 0.0), None), *points, (min(points[-1][0] + 0.25, 1.0), None))


def stay(*points: tuple[float, Vector]) -> tuple[Key, ...]:
    """Make keys from rest through values at their times; the last value is kept."""
    return ((max(points[0][0] - 0.25, 0.0), None), *points, (1.0, points[-1][1]))


def move(seconds: float, *waves: Wave, **tracks: tuple[Key, ...]) -> Move:
    """Return a move with a track a channel; `hands` stands for both hands."""
    hands = both(tracks.pop("hands")) if "hands" in tracks else {}
    return Move(seconds, hands | tracks, waves)


def alone(name: str, seconds: float, *waves: Wave, **tracks: tuple[Key, ...]) -> Choreography:
    """Return the choreography of one person."""
    return Choreography(name, move(seconds, *waves, **tracks))
