"""What two persons do with each other: 18 choreographies beside the first ones.

Both face each other; who looks away has turned round, and goes backwards when he walks on.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stars_bench.datasets.synthetic.actions.choreography import (
    Choreography,
    Key,
    Move,
    Wave,
    hold,
    move,
    path,
    stay,
    walk,
)

# Where hands go: out, up and forward from the shoulder, in arm lengths.
ACROSS, OFFERED, HELD = (-0.1, 0.05, 0.9), (-0.12, -0.25, 0.9), (-0.18, -0.35, 0.45)
MOUTH, BELLY, GUARD = (-0.25, 0.3, 0.28), (-0.32, -0.6, 0.3), (-0.2, 0.3, 0.45)

Track = tuple[Key, ...]


def _turned(radians: float) -> Track:
    """Stand with the front turned away."""
    return (0.0, (0.0, 0.0, radians)), (1.0, (0.0, 0.0, radians))


def _goes(left: float, forward: float, start: float, stop: float, turn: float = 0.0) -> Track:
    """Walk to another place, in metres, and stay there."""
    there = (left, forward, turn)
    return (start, (0.0, 0.0, turn)), (stop, there), (1.0, there)


_DRINK = move(
    3.0,
    main_hand=path((0.25, ACROSS), (0.36, ACROSS), (0.58, MOUTH), (0.74, MOUTH)),
    head=hold((-0.3, 0.0, 0.0), 0.6, 0.72),
)
_SWAP = move(
    2.6,
    main_hand=path((0.25, HELD), (0.45, OFFERED), (0.6, HELD)),
    other_hand=path((0.45, HELD), (0.62, OFFERED), (0.78, HELD)),
)
_GAME = move(
    2.6,
    Wave("main_hand", (0.0, 0.24, 0.0), 2.5, 0.15, 0.65, "bounce"),
    main_hand=path((0.2, HELD), (0.6, HELD), (0.72, (-0.1, -0.2, 0.8)), (0.82, (-0.1, -0.2, 0.8))),
)
_FALL = move(
    2.4,
    pelvis=stay((0.5, (0.0, 0.0, -0.05)), (0.75, (0.0, -0.55, -0.3))),
    trunk=stay((0.55, (-0.35, 0.1, 0.0)), (0.78, (-0.4, 0.0, 0.0))),
    hands=stay((0.58, (0.4, -0.2, 0.6)), (0.78, (0.3, -0.75, -0.1))),
    place=_goes(0.0, -0.25, 0.45, 0.7),
)


def _carry(left: float) -> Move:
    """Hold one end of a thing and walk sideways with it."""
    return move(
        3.6,
        *walk(1.5, 0.42, 0.92),
        hands=path((0.25, (-0.05, -0.4, 0.75)), (0.42, (-0.05, -0.5, 0.6)), (0.85, (-0.05, -0.5, 0.6))),
        trunk=path((0.25, (0.7, 0.0, 0.0)), (0.42, (0.1, 0.0, 0.0))),
        pelvis=path((0.25, (0.0, -0.25, -0.1)), (0.42, (0.0, 0.0, 0.0))),
        place=_goes(left, 0.0, 0.42, 0.92),
    )


MUTUAL_ACTIONS: Mapping[int, Choreography] = MappingProxyType(
    {
        53: Choreography(
            "pat on back",
            move(2.2, Wave("main_hand", (0.0, 0.16, 0.06), 2.5), main_hand=hold((-0.1, 0.05, 0.85), 0.25, 0.8)),
            move(2.2, place=_turned(3.0), head=hold((0.0, 0.1, 0.6), 0.5, 0.8)),
            gap=0.75,
        ),
        54: Choreography(
            "point finger",
            move(2.2, main_hand=hold((0.0, 0.08, 0.97), 0.35, 0.72), trunk=hold((0.15, 0.0, 0.2), 0.35, 0.7)),
            move(2.2, trunk=hold((-0.12, 0.0, 0.0), 0.45, 0.75)),
            gap=1.3,
        ),
        56: Choreography(
            "giving something",
            move(2.2, main_hand=path((0.25, HELD), (0.48, OFFERED), (0.6, OFFERED))),
            move(2.2, main_hand=path((0.48, OFFERED), (0.6, OFFERED), (0.78, HELD))),
            gap=1.05,
        ),
        57: Choreography(
            "touch pocket",
            move(2.2, main_hand=hold((-0.15, -0.6, 0.7), 0.35, 0.7), trunk=hold((0.3, 0.0, 0.2), 0.35, 0.7)),
            move(2.2, place=_turned(1.5)),
            gap=0.65,
        ),
        106: Choreography(
            "hit with something",
            move(
                2.2,
                main_hand=path((0.32, (0.2, 0.8, -0.1)), (0.48, (-0.1, 0.15, 0.92)), (0.6, (-0.2, -0.4, 0.6))),
                trunk=path((0.32, (-0.15, 0.0, -0.3)), (0.5, (0.3, 0.0, 0.3))),
            ),
            move(2.2, hands=hold(GUARD, 0.48, 0.75), trunk=hold((0.35, 0.0, 0.2), 0.5, 0.75)),
            gap=1.0,
        ),
        107: Choreography(
            "wield knife",
            move(
                2.4,
                main_hand=path(
                    *((0.24, (0.25, -0.35, 0.0)), (0.36, ACROSS), (0.5, (0.25, -0.35, 0.0)), (0.62, ACROSS)),
                    (0.75, (0.2, -0.4, 0.2)),
                ),
                place=hold((0.0, 0.2, 0.0), 0.4, 0.65),
            ),
            move(2.4, *walk(1.0, 0.4, 0.8), hands=hold((0.0, 0.05, 0.6), 0.4, 0.8), place=_goes(0.0, -0.45, 0.4, 0.8)),
            gap=1.2,
        ),
        108: Choreography(
            "knock over",
            move(
                2.4,
                *walk(1.0, 0.08, 0.5),
                place=_goes(0.1, 0.75, 0.1, 0.48),
                trunk=hold((0.25, 0.1, 0.45), 0.42, 0.58),
            ),
            _FALL,
            gap=1.3,
        ),
        109: Choreography(
            "grab stuff",
            move(
                2.2,
                main_hand=path((0.38, (-0.05, -0.3, 0.97)), (0.48, (-0.05, -0.3, 0.97)), (0.62, (0.1, -0.45, 0.05))),
                trunk=path((0.38, (0.35, 0.0, 0.2)), (0.65, (-0.1, 0.0, -0.35))),
            ),
            move(2.2, main_hand=path((0.2, HELD), (0.45, HELD), (0.58, (0.0, -0.2, 0.95)), (0.7, ACROSS))),
            gap=0.95,
        ),
        110: Choreography(
            "shoot with a gun",
            move(
                2.6,
                Wave("main_hand", (0.0, 0.14, -0.06), 2.0, 0.38, 0.75, "half"),
                hands=hold((-0.27, 0.12, 0.88), 0.3, 0.78),
            ),
            move(
                2.6,
                hands=stay((0.62, BELLY)),
                trunk=stay((0.65, (0.6, 0.1, 0.0))),
                pelvis=stay((0.68, (0.0, -0.25, -0.1))),
            ),
            gap=1.8,
        ),
        111: Choreography(
            "step on foot",
            move(
                2.2,
                main_foot=path((0.35, (-0.05, 0.32, 0.35)), (0.48, (-0.05, 0.04, 0.55)), (0.6, (-0.05, 0.04, 0.55))),
                head=hold((0.45, 0.0, 0.0), 0.3, 0.6),
            ),
            move(
                2.2,
                other_foot=path((0.52, (0.0, 0.28, -0.15)), (0.75, (0.0, 0.28, -0.15))),
                trunk=hold((0.5, 0.0, 0.0), 0.55, 0.78),
            ),
            gap=0.75,
        ),
        113: Choreography("cheers and drink", _DRINK, _DRINK, gap=1.1),
        114: Choreography("carry something", _carry(0.7), _carry(-0.7), gap=1.2),
        115: Choreography(
            "take a photo",
            move(3.0, hands=hold((-0.2, 0.38, 0.5), 0.3, 0.78), head=hold((-0.05, 0.15, 0.0), 0.35, 0.75)),
            move(3.0, main_hand=hold((0.3, 0.5, 0.35), 0.35, 0.78), head=hold((0.0, 0.22, 0.0), 0.35, 0.78)),
            gap=1.7,
        ),
        116: Choreography(
            "follow",
            move(2.8, *walk(2.5, 0.06, 0.96), place=_goes(0.0, 1.1, 0.06, 0.95)),
            move(2.8, *walk(2.5, 0.04, 0.94), place=_goes(0.0, -1.1, 0.03, 0.92, 3.1)),
            gap=0.9,
        ),
        117: Choreography(
            "whisper in ear",
            move(
                2.8,
                main_hand=hold((-0.15, 0.42, 0.4), 0.35, 0.75),
                trunk=hold((0.25, 0.15, 0.0), 0.32, 0.75),
                place=hold((0.12, 0.2, 0.0), 0.32, 0.75),
            ),
            move(2.8, place=_turned(1.4), head=hold((0.1, -0.25, 0.0), 0.35, 0.78)),
            gap=0.8,
        ),
        118: Choreography("exchange things", _SWAP, _SWAP, gap=1.05),
        119: Choreography(
            "support somebody",
            move(
                3.4,
                *walk(1.25, 0.3, 0.95),
                hands=stay((0.25, (-0.05, -0.15, 0.75)), (0.8, (-0.05, -0.15, 0.75))),
                place=_goes(0.7, 0.0, 0.3, 0.95, 0.5),
            ),
            move(
                3.4,
                *walk(1.25, 0.3, 0.95),
                main_hand=stay((0.25, BELLY), (0.8, BELLY)),
                pelvis=stay((0.2, (0.0, -0.16, 0.0)), (0.8, (0.0, -0.16, 0.0))),
                trunk=stay((0.2, (0.5, 0.15, 0.0)), (0.8, (0.5, 0.15, 0.0))),
                place=_goes(-0.7, 0.0, 0.3, 0.95, -1.0),
            ),
            gap=0.7,
        ),
        120: Choreography("finger-guessing game", _GAME, _GAME, gap=1.15),
    }
)
