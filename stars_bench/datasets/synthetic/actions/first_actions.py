"""The first thirty choreographies. Frozen: the quick start's clips, and with them its numbers, rest on every digit.

Actions differ in how they move: several share their poses and differ in order, speed or repetition alone (sit/stand,
salute/phone call, punch/push, kick/kick).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stars_bench.datasets.synthetic.actions.choreography import Choreography, Key, Move, Wave, both, hold, walk

_SIT = Move(
    seconds=1.8,
    keys={
        "pelvis": ((0.1, None), (0.75, (0.0, -0.46, -0.42)), (1.0, (0.0, -0.46, -0.42))),
        "trunk": ((0.05, None), (0.45, (0.65, 0.0, 0.0)), (0.9, (0.08, 0.0, 0.0)), (1.0, (0.08, 0.0, 0.0))),
        "main_hand": ((0.2, None), (0.75, (-0.05, -0.62, 0.5)), (1.0, (-0.05, -0.62, 0.5))),
        "other_hand": ((0.2, None), (0.7, (-0.05, -0.62, 0.5)), (1.0, (-0.05, -0.62, 0.5))),
    },
)
_APPROACH = Move(
    seconds=2.3,
    keys={"place": ((0.08, (0.0, 0.0, 0.0)), (0.92, (0.0, 0.65, 0.0)), (1.0, (0.0, 0.65, 0.0)))},
    waves=walk(1.25, 0.06, 0.94),
)
_LEAVE = Move(
    seconds=2.5,
    keys={
        "place": (
            (0.03, (0.0, 0.0, 0.0)),
            (0.3, (0.08, -0.15, 3.0)),
            (0.95, (0.1, -0.85, 3.14)),
            (1.0, (0.1, -0.85, 3.14)),
        )
    },
    waves=walk(2.0, 0.08, 0.96),
)
_HUG = Move(
    seconds=2.3,
    keys={
        "place": hold((0.0, 0.3, 0.0), 0.35, 0.7),
        "trunk": hold((0.18, 0.08, 0.0), 0.4, 0.7),
        "main_hand": (
            (0.1, None),
            (0.3, (0.35, 0.1, 0.75)),
            (0.45, (-0.3, 0.05, 0.8)),
            *hold((-0.3, 0.0, 0.8), 0.7, 0.7)[2:],
        ),
        "other_hand": (
            (0.1, None),
            (0.3, (0.35, -0.2, 0.75)),
            (0.45, (-0.3, -0.2, 0.8)),
            *hold((-0.3, -0.2, 0.8), 0.7, 0.7)[2:],
        ),
    },
    waves=walk(0.5, 0.1, 0.35),
)
_SHAKE = Move(
    seconds=2.0,
    keys={"main_hand": hold((-0.15, -0.35, 0.82), 0.3, 0.72), "trunk": hold((0.12, 0.0, 0.12), 0.3, 0.7)},
    waves=(Wave("main_hand", (0.0, 0.1, 0.0), 3.0, 0.32, 0.72),),
)
_HIGH_FIVE = Move(1.6, {"main_hand": ((0.1, None), (0.35, (0.2, 0.5, 0.1)), (0.5, (0.0, 0.4, 0.85)), (0.9, None))})


def _one(name: str, seconds: float, keys: Mapping[str, tuple[Key, ...]], *waves: Wave) -> Choreography:
    return Choreography(name, Move(seconds, keys, waves))


FIRST_ACTIONS: Mapping[int, Choreography] = MappingProxyType(
    {
        5: _one(
            "drop",
            1.5,
            {
                "main_hand": (
                    (0.0, (-0.1, -0.32, 0.6)),
                    (0.35, (-0.1, -0.28, 0.62)),
                    (0.45, (0.1, -0.2, 0.66)),
                    (0.85, None),
                ),
                "head": hold((0.5, 0.0, 0.0), 0.5, 0.8),
            },
        ),
        6: _one(
            "pickup",
            2.3,
            {
                "trunk": ((0.05, None), (0.45, (1.05, 0.0, 0.1)), (0.55, (1.05, 0.0, 0.1)), (0.9, None)),
                "pelvis": ((0.05, None), (0.45, (0.0, -0.28, -0.05)), (0.55, (0.0, -0.28, -0.05)), (0.9, None)),
                "main_hand": (
                    (0.05, None),
                    (0.45, (0.0, -0.35, 0.9)),
                    (0.55, (0.0, -0.35, 0.9)),
                    (0.85, (0.0, -0.4, 0.5)),
                ),
                "head": hold((0.3, 0.0, 0.0), 0.3, 0.6),
            },
        ),
        7: _one(
            "throw",
            2.0,
            {
                "main_hand": (
                    (0.1, None),
                    (0.4, (0.4, 0.45, -0.35)),
                    (0.55, (0.0, 0.4, 0.9)),
                    (0.68, (-0.3, -0.5, 0.5)),
                    (0.95, None),
                ),
                "trunk": ((0.1, None), (0.4, (-0.12, 0.0, -0.5)), (0.6, (0.3, 0.0, 0.45)), (0.95, None)),
                "other_foot": ((0.3, None), (0.55, (0.0, 0.0, 0.25)), (0.8, (0.0, 0.0, 0.25)), (1.0, None)),
            },
        ),
        8: Choreography("sitting down", _SIT),
        9: Choreography("standing up", _SIT.reversed()),
        10: _one(
            "clapping",
            2.2,
            both(hold((-0.2, -0.18, 0.58), 0.2, 0.82)),
            Wave("main_hand", (0.19, 0.0, 0.0), 4.5, 0.15, 0.88),
            Wave("other_hand", (0.19, 0.0, 0.0), 4.5, 0.15, 0.88),
        ),
        22: _one(
            "cheer up",
            2.2,
            both(hold((0.32, 0.75, 0.2), 0.25, 0.8)),
            Wave("main_hand", (0.05, 0.2, 0.0), 3.0, 0.25, 0.85),
            Wave("other_hand", (0.05, 0.2, 0.0), 3.0, 0.25, 0.85),
            Wave("pelvis", (0.0, 0.03, 0.0), 3.0, 0.25, 0.85, "bounce"),
        ),
        23: _one(
            "hand waving",
            2.3,
            {"main_hand": hold((0.3, 0.55, 0.3), 0.22, 0.82)},
            Wave("main_hand", (0.27, 0.0, 0.0), 3.0, 0.2, 0.85),
            Wave("trunk", (0.0, 0.05, 0.0), 3.0, 0.2, 0.85),
        ),
        24: _one(
            "kicking something",
            2.1,
            {
                "main_foot": ((0.15, None), (0.4, (0.0, 0.15, -0.35)), (0.6, (0.0, 0.35, 0.65)), (0.92, None)),
                "trunk": ((0.15, None), (0.4, (0.15, 0.0, 0.1)), (0.6, (-0.2, 0.0, -0.15)), (0.92, None)),
                "other_hand": ((0.2, None), (0.6, (0.4, -0.6, 0.4)), (0.95, None)),
            },
        ),
        26: _one(
            "hopping",
            2.3,
            {"main_foot": hold((0.0, 0.3, -0.22), 0.2, 0.85)},
            Wave("pelvis", (0.0, 0.14, 0.0), 2.0, 0.22, 0.88, "bounce"),
            Wave("other_foot", (0.0, 0.14, 0.0), 2.0, 0.22, 0.88, "bounce"),
            Wave("main_foot", (0.0, 0.14, 0.0), 2.0, 0.22, 0.88, "bounce"),
            Wave("main_hand", (0.15, 0.12, 0.0), 2.0, 0.22, 0.88, "bounce"),
            Wave("other_hand", (0.15, 0.12, 0.0), 2.0, 0.22, 0.88, "bounce"),
        ),
        27: _one(
            "jump up",
            2.0,
            {
                "pelvis": (
                    (0.1, None),
                    (0.35, (0.0, -0.24, -0.05)),
                    (0.55, (0.0, 0.33, 0.0)),
                    (0.75, (0.0, -0.12, 0.0)),
                    (0.95, None),
                ),
                "main_foot": ((0.38, None), (0.55, (0.0, 0.3, 0.0)), (0.7, None)),
                "other_foot": ((0.38, None), (0.55, (0.0, 0.3, 0.0)), (0.7, None)),
                "trunk": (
                    (0.1, None),
                    (0.35, (0.4, 0.0, 0.0)),
                    (0.55, (-0.05, 0.0, 0.0)),
                    (0.75, (0.2, 0.0, 0.0)),
                    (0.95, None),
                ),
                **both(((0.1, None), (0.35, (0.1, -0.7, -0.5)), (0.55, (0.2, -0.1, 0.6)), (0.9, None))),
            },
        ),
        28: _one(
            "phone call",
            2.4,
            {
                "main_hand": ((0.0, None), (0.15, (-0.05, -0.6, 0.35)), *hold((-0.1, 0.4, 0.16), 0.4, 1.0)[1:3]),
                "head": ((0.2, None), (0.4, (0.05, 0.15, 0.0)), (1.0, (0.05, 0.15, 0.0))),
            },
            Wave("head", (0.08, 0.0, 0.1), 1.5, 0.45, 1.0),
        ),
        33: _one(
            "check time",
            1.9,
            {
                "other_hand": hold((-0.35, -0.1, 0.5), 0.32, 0.75),
                "head": hold((0.45, 0.0, 0.15), 0.35, 0.72),
            },
        ),
        35: _one(
            "bow",
            2.0,
            {"trunk": hold((0.75, 0.0, 0.0), 0.4, 0.55), "head": hold((0.4, 0.0, 0.0), 0.38, 0.58)},
        ),
        38: _one("salute", 2.0, {"main_hand": hold((0.0, 0.5, 0.2), 0.35, 0.7)}),
        40: _one(
            "cross hands in front",
            1.9,
            both(
                (
                    (0.1, None),
                    (0.32, (0.1, 0.1, 0.7)),
                    (0.45, (-0.5, 0.05, 0.62)),
                    (0.72, (-0.5, 0.05, 0.62)),
                    (0.95, None),
                )
            ),
        ),
        50: Choreography(
            "punching",
            Move(
                2.0,
                {
                    "main_hand": (
                        (0.1, None),
                        (0.38, (0.15, -0.15, 0.1)),
                        (0.5, (-0.15, 0.15, 0.97)),
                        (0.62, (0.1, -0.15, 0.3)),
                        (0.9, None),
                    ),
                    "other_hand": hold((-0.1, -0.1, 0.4), 0.35, 0.65),
                    "trunk": ((0.1, None), (0.38, (0.0, 0.0, -0.35)), (0.5, (0.2, 0.0, 0.4)), (0.9, None)),
                    "place": hold((0.0, 0.12, 0.0), 0.5, 0.65),
                },
            ),
            Move(
                2.0,
                {
                    "trunk": ((0.46, None), (0.58, (-0.3, 0.1, 0.3)), (0.95, None)),
                    "head": ((0.46, None), (0.56, (-0.25, 0.0, 0.4)), (0.95, None)),
                    "place": ((0.48, None), (0.65, (0.0, -0.12, 0.0)), (1.0, (0.0, -0.12, 0.0))),
                    "main_hand": ((0.5, None), (0.65, (0.0, 0.1, 0.5)), (0.95, None)),
                },
            ),
            gap=0.95,
        ),
        51: Choreography(
            "kicking other person",
            Move(
                2.1,
                {
                    "main_foot": ((0.15, None), (0.38, (0.0, 0.15, -0.35)), (0.52, (-0.1, 0.55, 0.7)), (0.85, None)),
                    "trunk": ((0.15, None), (0.38, (0.15, 0.0, 0.1)), (0.52, (-0.3, 0.0, -0.15)), (0.85, None)),
                },
            ),
            Move(
                2.1,
                {
                    "trunk": ((0.46, None), (0.6, (0.4, 0.0, 0.0)), (0.95, None)),
                    "place": ((0.48, None), (0.65, (0.0, -0.2, 0.0)), (1.0, (0.0, -0.2, 0.0))),
                    **both(((0.48, None), (0.62, (-0.15, -0.5, 0.5)), (0.95, None))),
                },
            ),
            gap=1.1,
        ),
        52: Choreography(
            "pushing",
            Move(
                2.0,
                {
                    **both(
                        (
                            (0.1, None),
                            (0.36, (0.0, -0.15, 0.3)),
                            (0.52, (-0.1, 0.05, 0.95)),
                            (0.62, (-0.1, 0.0, 0.9)),
                            (0.92, None),
                        )
                    ),
                    "trunk": ((0.15, None), (0.36, (-0.08, 0.0, 0.0)), (0.52, (0.3, 0.0, 0.0)), (0.9, None)),
                    "place": hold((0.0, 0.15, 0.0), 0.5, 0.65),
                },
            ),
            Move(
                2.0,
                {
                    "trunk": ((0.44, None), (0.56, (-0.28, 0.0, 0.0)), (0.8, (0.15, 0.0, 0.0)), (1.0, None)),
                    "place": ((0.45, None), (0.7, (0.0, -0.42, 0.0)), (1.0, (0.0, -0.42, 0.0))),
                    **both(((0.46, None), (0.6, (0.35, -0.5, 0.45)), (0.95, None))),
                },
                walk(1.0, 0.48, 0.8),
            ),
            gap=0.9,
        ),
        55: Choreography("hugging", _HUG, _HUG, gap=1.0),
        58: Choreography("handshaking", _SHAKE, _SHAKE, gap=1.0),
        59: Choreography("walking towards each other", _APPROACH, _APPROACH, gap=2.1),
        60: Choreography("walking apart from each other", _LEAVE, _LEAVE, gap=0.9),
        # NTU RGB+D 120 only: setups 18 to 32.
        80: _one(
            "squat down",
            2.0,
            {
                "pelvis": hold((0.0, -0.55, -0.2), 0.42, 0.6),
                "trunk": hold((0.5, 0.0, 0.0), 0.42, 0.6),
                **both(hold((-0.05, -0.3, 0.75), 0.42, 0.6)),
            },
        ),
        95: _one("hands up", 2.2, both(hold((0.25, 0.8, 0.1), 0.35, 0.75))),
        96: _one("cross arms", 1.9, both(hold((-0.55, -0.3, 0.42), 0.35, 0.75))),
        97: _one(
            "arm circles",
            2.4,
            both(hold((0.7, 0.0, 0.1), 0.2, 0.85)),
            *(Wave(f"{hand}_hand", (0.0, 0.5, 0.0), 2.0, 0.2, 0.85) for hand in ("main", "other")),
            *(Wave(f"{hand}_hand", (0.0, 0.0, 0.5), 2.0, 0.2, 0.85, phase=0.25) for hand in ("main", "other")),
        ),
        99: _one(
            "running on the spot",
            2.0,
            both(hold((0.05, -0.5, 0.35), 0.15, 0.9)),
            Wave("main_foot", (0.0, 0.3, -0.12), 4.0, 0.1, 0.95, "half"),
            Wave("other_foot", (0.0, 0.3, -0.12), 4.0, 0.1, 0.95, "half", phase=0.5),
            Wave("main_hand", (0.0, 0.15, 0.3), 4.0, 0.1, 0.95, phase=0.5),
            Wave("other_hand", (0.0, 0.15, 0.3), 4.0, 0.1, 0.95),
        ),
        102: _one(
            "side kick",
            1.9,
            {
                "main_foot": ((0.15, None), (0.35, (0.0, 0.3, 0.1)), (0.55, (0.6, 0.5, 0.0)), (0.9, None)),
                "trunk": ((0.2, None), (0.55, (0.0, 0.35, 0.0)), (0.9, None)),
            },
        ),
        112: Choreography(
            "high-five",
            _HIGH_FIVE,
            _HIGH_FIVE,
            gap=0.95,
        ),
    }
)
