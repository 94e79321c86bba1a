"""What a choreography consists of: key poses and waves on the channels of `body.joints`.

Units as in `body.joints`: hands (out, up, forward) from the shoulder in arm lengths, feet and pelvis (out or left, up,
forward) in leg lengths, trunk and head (pitch, roll, twist) in radians, place (left, forward in metres, turn in
radians) where forward is towards the partner.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

Vector = tuple[float, float, float]
Key = tuple[float, Vector | None]
"""(time from 0 to 1, value); None is the resting value of whoever performs."""


@dataclass(frozen=True)
class Wave:
    """An oscillation between two times; `shape` "sine", or "bounce" (|sine|: two arcs a cycle) or "half" (one)."""

    channel: str
    amplitude: Vector
    cycles: float
    start: float
    stop: float
    shape: str = "sine"
    phase: float = 0.0  # in cycles


@dataclass(frozen=True)
class Move:
    """What one person does: key poses by channel, held before the first and after the last, and waves on top."""

    seconds: float
    keys: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    waves: tuple[Wave, ...] = ()

    def reversed(self) -> Move:
        """The same, backwards in time."""
        keys = {name: tuple((1 - time, value) for time, value in track[::-1]) for name, track in self.keys.items()}
        waves = tuple(replace(wave, start=1 - wave.stop, stop=1 - wave.start) for wave in self.waves)
        return Move(self.seconds, keys, waves)


@dataclass(frozen=True)
class Choreography:
    """An action: its name, what the actor does and, with two persons, what the partner does and how far away."""

    name: str
    actor: Move
    partner: Move | None = None
    gap: float = 0.0  # metres between the two at the start
