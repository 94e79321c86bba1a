"""What one person does alone: 72 choreographies beside the first ones.

As in NTU RGB+D, many are told apart by where a hand goes, how often and how fast it moves there, and what head and
trunk do meanwhile; putting something on and taking it off is the same in two directions.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from stars_bench.datasets.synthetic.actions.choreography import Choreography, Wave, alone, hold, move, path, stay, walk

# Where a hand goes: out, up and forward from its own shoulder, in arm lengths.
MOUTH, EYES, EAR, CROWN, NAPE = (
    (-0.25, 0.3, 0.28), (-0.12, 0.46, 0.24), (0.04, 0.46, 0.1), (-0.2, 0.72, 0.08), (-0.12, 0.3, -0.2)
)  # fmt: skip
CHEST, BELLY, BACK, POCKET = (-0.4, -0.2, 0.28), (-0.32, -0.62, 0.3), (0.05, -0.5, -0.35), (0.1, -0.88, -0.02)
READ, WORK, TABLE = (-0.22, -0.22, 0.5), (-0.28, -0.35, 0.42), (-0.15, -0.48, 0.6)
AHEAD, ASIDE, SHOE = (0.0, 0.02, 0.97), (0.45, 0.05, 0.3), (-0.12, -0.5, 0.75)

# How far head and trunk bend forward.
NOD, LOOK_DOWN, LOOK_UP = (0.15, 0.0, 0.0), (0.45, 0.0, 0.0), (-0.35, 0.0, 0.0)
LEAN, BEND, LEAN_BACK = (0.25, 0.0, 0.0), (0.95, 0.0, 0.1), (-0.2, 0.0, 0.0)

_JACKET = move(
    7.0,
    main_hand=path((0.15, (0.1, -0.45, -0.35)), (0.3, (0.55, 0.15, 0.0)), (0.5, (0.2, 0.3, 0.1)), (0.85, CHEST)),
    other_hand=path((0.4, (0.1, -0.45, -0.35)), (0.55, (0.55, 0.15, 0.0)), (0.7, (0.2, 0.3, 0.1)), (0.85, CHEST)),
    trunk=path((0.25, (0.1, 0.15, -0.35)), (0.5, (0.1, -0.15, 0.35)), (0.7, (0.05, 0.0, 0.0))),
)
_SHOE = move(
    6.2,
    Wave("main_hand", (0.0, 0.08, 0.06), 3.0, 0.3, 0.8),
    pelvis=hold((0.0, -0.42, -0.2), 0.22, 0.85),
    trunk=hold(BEND, 0.25, 0.82),
    hands=path((0.3, SHOE), (0.6, (-0.12, -0.4, 0.8)), (0.82, (-0.15, -0.3, 0.6))),
    main_foot=hold((-0.05, 0.15, 0.15), 0.3, 0.75),
)
_GLASSES = move(
    2.9, hands=path((0.25, READ), (0.55, EYES), (0.78, (-0.02, 0.42, 0.16))), head=hold((0.22, 0.0, 0.0), 0.45, 0.62)
)
_HAT = move(2.8, main_hand=path((0.22, (-0.05, -0.3, 0.5)), (0.52, CROWN), (0.75, CROWN)), head=hold(NOD, 0.5, 0.72))
_HEADPHONES = move(3.0, hands=path((0.25, (0.0, -0.15, 0.5)), (0.5, (0.25, 0.6, 0.12)), (0.75, EAR)))
_BACKPACK = move(
    4.4,
    main_hand=path((0.2, (0.05, -0.6, 0.35)), (0.4, (0.4, 0.15, -0.2)), (0.6, (0.1, 0.05, 0.05)), (0.8, CHEST)),
    other_hand=path((0.55, (0.3, -0.3, -0.35)), (0.8, (0.0, -0.1, 0.2))),
    trunk=path((0.35, (0.15, 0.25, -0.4)), (0.6, (0.1, -0.2, 0.3))),
)
_INTO_BAG = move(
    3.6,
    main_hand=path((0.2, (0.4, -0.15, 0.55)), (0.45, WORK), (0.58, (-0.4, -0.62, 0.36)), (0.78, (-0.4, -0.62, 0.36))),
    other_hand=hold((-0.15, -0.5, 0.4), 0.2, 0.85),
    head=hold((0.4, 0.0, 0.15), 0.35, 0.75),
)

DAILY_ACTIONS: Mapping[int, Choreography] = MappingProxyType(
    {
        1: alone("drink water", 3.2, main_hand=hold(MOUTH, 0.35, 0.68), head=hold(LOOK_UP, 0.42, 0.64)),
        2: alone(
            "eat meal",
            4.0,
            main_hand=path((0.18, WORK), (0.34, MOUTH), (0.5, WORK), (0.66, MOUTH), (0.82, WORK)),
            other_hand=hold((-0.2, -0.4, 0.5), 0.18, 0.85),
        ),
        3: alone("brushing teeth", 4.4, Wave("main_hand", (0.12, 0.0, 0.03), 9.0), main_hand=hold(MOUTH, 0.18, 0.86)),
        4: alone("brushing hair", 3.6, Wave("main_hand", (0.08, -0.22, -0.1), 4.0), main_hand=hold(CROWN, 0.2, 0.84)),
        11: alone("reading", 4.0, hands=hold(READ, 0.2, 0.88), head=hold(LOOK_DOWN, 0.25, 0.88)),
        12: alone(
            "writing",
            4.4,
            Wave("main_hand", (0.1, 0.0, 0.03), 7.0),
            main_hand=path((0.22, (-0.45, -0.35, 0.45)), (0.8, (-0.1, -0.35, 0.45))),
            other_hand=hold((-0.2, -0.45, 0.42), 0.2, 0.86),
            head=hold(LOOK_DOWN, 0.22, 0.84),
            trunk=hold(LEAN, 0.22, 0.84),
        ),
        13: alone(
            "tear up paper",
            3.4,
            Wave("main_hand", (0.25, 0.12, 0.12), 3.5, shape="half"),
            Wave("other_hand", (0.25, -0.1, -0.05), 3.5, shape="half"),
            hands=hold((-0.28, -0.2, 0.45), 0.2, 0.84),
        ),
        14: Choreography("wear jacket", _JACKET),
        15: Choreography("take off jacket", _JACKET.reversed()),
        16: Choreography("wear a shoe", _SHOE),
        17: Choreography("take off a shoe", _SHOE.reversed()),
        18: Choreography("wear on glasses", _GLASSES),
        19: Choreography("take off glasses", _GLASSES.reversed()),
        20: Choreography("put on a hat", _HAT),
        21: Choreography("take off a hat", _HAT.reversed()),
        25: alone(
            "reach into pocket",
            2.8,
            Wave("main_hand", (0.0, 0.1, 0.06), 2.0, 0.3, 0.75),
            main_hand=hold(POCKET, 0.3, 0.74),
            trunk=hold((0.05, -0.16, 0.0), 0.3, 0.74),
            head=hold((0.3, 0.0, -0.3), 0.3, 0.7),
        ),
        29: alone(
            "playing with phone",
            4.0,
            Wave("main_hand", (0.03, -0.1, 0.04), 8.0, 0.25, 0.88, "half"),
            main_hand=hold((-0.3, -0.3, 0.4), 0.2, 0.9),
            other_hand=hold((-0.2, -0.42, 0.42), 0.18, 0.9),
            head=hold((0.6, 0.0, 0.0), 0.25, 0.9),
        ),
        30: alone(
            "typing on a keyboard",
            4.2,
            Wave("main_hand", (0.05, 0.09, 0.0), 9.0),
            Wave("other_hand", (0.05, 0.09, 0.0), 9.0, phase=0.5),
            hands=hold(TABLE, 0.18, 0.86),
            trunk=hold((0.15, 0.0, 0.0), 0.2, 0.85),
        ),
        31: alone("pointing with finger", 2.2, main_hand=hold(AHEAD, 0.35, 0.72)),
        32: alone(
            "taking a selfie",
            3.0,
            main_hand=hold((0.1, 0.4, 0.85), 0.32, 0.78),
            head=hold((-0.12, 0.25, 0.15), 0.4, 0.75),
            trunk=hold((-0.08, 0.1, -0.2), 0.4, 0.75),
        ),
        34: alone(
            "rub two hands together",
            3.2,
            Wave("main_hand", (0.02, 0.05, 0.13), 6.0),
            Wave("other_hand", (0.02, 0.05, 0.13), 6.0, phase=0.5),
            hands=hold((-0.28, -0.25, 0.48), 0.2, 0.84),
        ),
        36: alone("shake head", 2.4, Wave("head", (0.0, 0.05, 0.6), 3.0)),
        37: alone(
            "wipe face",
            3.0,
            Wave("main_hand", (0.15, 0.12, 0.0), 3.0),
            Wave("main_hand", (0.0, 0.1, 0.04), 3.0, phase=0.25),
            main_hand=hold((-0.25, 0.4, 0.22), 0.25, 0.8),
        ),
        39: alone("put the palms together", 2.5, hands=hold((-0.29, -0.05, 0.4), 0.3, 0.76), head=hold(NOD, 0.4, 0.7)),
        41: alone(
            "sneeze",
            2.6,
            Wave("trunk", (0.28, 0.0, 0.0), 1.0, 0.4, 0.8, "bounce"),
            Wave("head", (0.3, 0.0, 0.0), 1.0, 0.4, 0.8, "bounce"),
            main_hand=hold((-0.28, 0.26, 0.24), 0.36, 0.78),
        ),
        42: alone(
            "staggering",
            3.4,
            *walk(1.5, 0.1, 0.9),
            Wave("place", (0.22, 0.08, 0.15), 1.5, 0.08, 0.95),
            Wave("trunk", (0.12, 0.3, 0.15), 1.5, 0.08, 0.95, phase=0.2),
            hands=hold((0.3, -0.7, 0.3), 0.2, 0.85),
        ),
        43: alone(
            "falling",
            2.8,
            pelvis=stay((0.5, (0.0, -0.5, 0.1)), (0.62, (0.0, -0.56, 0.15))),
            trunk=stay((0.45, (0.35, 0.2, 0.1)), (0.68, (0.85, 0.15, 0.1))),
            hands=stay((0.5, (0.15, -0.1, 0.85)), (0.7, (0.2, 0.2, 0.8))),
        ),
        44: alone(
            "touch head",
            3.0,
            Wave("main_hand", (0.06, 0.03, 0.04), 2.0, 0.35, 0.8),
            main_hand=hold((-0.06, 0.58, 0.15), 0.3, 0.78),
            head=hold((0.3, 0.22, 0.0), 0.32, 0.78),
        ),
        45: alone("touch chest", 3.0, main_hand=hold(CHEST, 0.3, 0.8), trunk=hold((0.32, 0.05, 0.0), 0.35, 0.8)),
        46: alone("touch back", 3.0, main_hand=hold(BACK, 0.3, 0.8), trunk=hold((-0.18, -0.1, -0.15), 0.35, 0.78)),
        47: alone(
            "touch neck",
            3.0,
            Wave("head", (0.1, 0.2, 0.0), 1.5, 0.35, 0.8),
            main_hand=hold(NAPE, 0.3, 0.8),
            head=hold((0.1, -0.25, 0.0), 0.35, 0.78),
        ),
        48: alone(
            "nausea",
            3.4,
            Wave("trunk", (0.22, 0.0, 0.0), 2.0, 0.35, 0.85, "bounce"),
            main_hand=hold(BELLY, 0.25, 0.85),
            other_hand=hold(MOUTH, 0.35, 0.75),
            trunk=hold((0.6, 0.0, 0.0), 0.35, 0.8),
        ),
        49: alone(
            "use a fan", 3.4, Wave("main_hand", (0.2, 0.08, 0.0), 7.0), main_hand=hold((-0.05, 0.15, 0.4), 0.2, 0.84)
        ),
        61: Choreography("put on headphone", _HEADPHONES),
        62: Choreography("take off headphone", _HEADPHONES.reversed()),
        63: alone(
            "shoot at the basket",
            2.4,
            hands=path((0.28, (-0.18, -0.3, 0.42)), (0.46, (-0.15, 0.4, 0.3)), (0.6, (-0.1, 0.85, 0.42))),
            pelvis=path((0.38, (0.0, -0.22, 0.0)), (0.6, (0.0, 0.08, 0.0))),
            head=hold((-0.25, 0.0, 0.0), 0.4, 0.65),
        ),
        64: alone(
            "bounce ball",
            3.0,
            Wave("main_hand", (0.0, -0.32, 0.08), 4.5, 0.15, 0.9),
            main_hand=hold((0.1, -0.35, 0.5), 0.18, 0.86),
            trunk=hold((0.35, 0.0, 0.0), 0.2, 0.85),
            pelvis=hold((0.0, -0.12, 0.0), 0.2, 0.85),
        ),
        65: alone(
            "tennis bat swing",
            2.2,
            main_hand=path((0.35, (0.75, 0.05, -0.4)), (0.54, (0.2, 0.1, 0.95)), (0.68, (-0.6, 0.4, 0.35))),
            trunk=path((0.35, (0.0, 0.0, -0.6)), (0.65, (0.15, 0.0, 0.6))),
            other_foot=path((0.5, (0.0, 0.0, 0.25)), (0.72, (0.0, 0.0, 0.25))),
        ),
        66: alone(
            "juggling table tennis balls",
            3.4,
            Wave("main_hand", (0.03, 0.18, 0.0), 3.0, shape="bounce"),
            main_hand=hold((-0.05, -0.35, 0.62), 0.2, 0.84),
            head=hold((0.25, 0.0, 0.0), 0.25, 0.84),
        ),
        67: alone(
            "hush", 2.3, main_hand=hold((-0.27, 0.36, 0.32), 0.35, 0.72), trunk=hold((0.2, 0.0, 0.15), 0.38, 0.68)
        ),
        68: alone(
            "flick hair",
            2.3,
            main_hand=path((0.32, (-0.15, 0.55, 0.25)), (0.52, (0.3, 0.6, -0.15)), (0.68, (0.45, 0.2, 0.0))),
            head=path((0.4, (0.1, 0.1, 0.3)), (0.55, (-0.2, -0.2, -0.35))),
        ),
        69: alone(
            "thumb up",
            2.3,
            Wave("main_hand", (0.0, 0.1, 0.0), 1.5, 0.35, 0.8),
            main_hand=hold((0.0, -0.1, 0.72), 0.35, 0.74),
        ),
        70: alone(
            "thumb down",
            2.3,
            main_hand=path((0.3, (0.3, 0.15, 0.6)), (0.5, (0.3, -0.35, 0.7)), (0.72, (0.3, -0.35, 0.7))),
        ),
        71: alone("make ok sign", 2.3, main_hand=hold((0.35, 0.12, 0.48), 0.35, 0.74)),
        72: alone(
            "make victory sign",
            2.4,
            main_hand=hold((0.3, 0.5, 0.35), 0.35, 0.74),
            head=hold((0.0, 0.25, 0.0), 0.35, 0.74),
        ),
        73: alone(
            "staple book",
            3.0,
            Wave("main_hand", (0.0, -0.22, 0.0), 2.5, 0.3, 0.85, "half"),
            Wave("trunk", (0.15, 0.0, 0.0), 2.5, 0.3, 0.85, "half"),
            main_hand=hold((-0.25, -0.25, 0.6), 0.25, 0.82),
            other_hand=hold(TABLE, 0.2, 0.84),
        ),
        74: alone(
            "counting money",
            3.6,
            Wave("main_hand", (0.14, 0.06, 0.1), 7.0, shape="half"),
            hands=hold((-0.25, -0.3, 0.45), 0.2, 0.85),
            head=hold((0.4, 0.0, 0.0), 0.25, 0.85),
        ),
        75: alone(
            "cutting nails",
            4.0,
            Wave("main_hand", (0.0, 0.05, 0.03), 5.0),
            main_hand=hold((-0.38, -0.12, 0.3), 0.2, 0.86),
            other_hand=hold((-0.2, -0.15, 0.32), 0.18, 0.88),
            head=hold((0.55, 0.0, 0.1), 0.25, 0.86),
        ),
        76: alone(
            "cutting paper",
            3.8,
            Wave("main_hand", (0.0, 0.08, 0.0), 6.0),
            main_hand=path((0.2, (-0.05, -0.3, 0.3)), (0.78, (-0.25, -0.2, 0.85))),
            other_hand=hold((-0.25, -0.15, 0.6), 0.18, 0.86),
        ),
        77: alone(
            "snapping fingers",
            2.3,
            Wave("main_hand", (0.12, 0.14, 0.0), 3.0, 0.25, 0.85, "half"),
            main_hand=hold((0.25, 0.1, 0.5), 0.28, 0.8),
        ),
        78: alone(
            "open bottle",
            3.0,
            Wave("main_hand", (0.14, 0.0, 0.1), 2.5, 0.3, 0.75),
            main_hand=path((0.28, (-0.3, -0.1, 0.42)), (0.65, (-0.3, -0.1, 0.42)), (0.8, (0.05, 0.0, 0.45))),
            other_hand=hold((-0.3, -0.4, 0.4), 0.2, 0.86),
        ),
        79: alone(
            "sniff",
            2.6,
            Wave("head", (-0.22, 0.0, 0.0), 2.0, 0.35, 0.8, "bounce"),
            main_hand=hold((-0.25, 0.2, 0.36), 0.3, 0.76),
            head=hold((0.3, 0.0, 0.0), 0.3, 0.76),
        ),
        81: alone(
            "toss a coin",
            2.4,
            main_hand=path((0.25, (-0.05, -0.45, 0.5)), (0.38, (-0.05, 0.15, 0.5)), (0.58, (-0.1, -0.3, 0.5))),
            head=path((0.28, (0.3, 0.0, 0.0)), (0.45, (-0.3, 0.0, 0.0)), (0.65, (0.35, 0.0, 0.0))),
        ),
        82: alone(
            "fold paper",
            4.0,
            main_hand=path(
                (0.18, (0.2, -0.45, 0.55)), (0.38, (-0.55, -0.35, 0.5)), (0.55, (0.15, -0.5, 0.5)), (0.78, TABLE)
            ),
            other_hand=hold((-0.1, -0.5, 0.5), 0.18, 0.86),
            trunk=hold((0.35, 0.0, 0.0), 0.2, 0.84),
        ),
        83: alone(
            "ball up paper",
            3.0,
            *(
                Wave(f"{hand}_hand", (0.1, 0.0, 0.02), 3.5, phase=phase)
                for hand, phase in (("main", 0.0), ("other", 0.5))
            ),
            *(
                Wave(f"{hand}_hand", (0.0, 0.12, 0.0), 3.5, phase=phase)
                for hand, phase in (("main", 0.25), ("other", 0.75))
            ),
            hands=hold((-0.26, -0.15, 0.45), 0.2, 0.84),
        ),
        84: alone(
            "play magic cube",
            4.4,
            Wave("main_hand", (0.0, 0.16, 0.05), 4.0),
            Wave("other_hand", (0.0, 0.04, 0.14), 5.0, phase=0.25),
            hands=hold(WORK, 0.18, 0.88),
            head=hold((0.5, 0.0, 0.0), 0.2, 0.88),
        ),
        85: alone(
            "apply cream on face",
            3.6,
            *(Wave(f"{hand}_hand", (0.1, 0.0, 0.0), 3.5) for hand in ("main", "other")),
            *(Wave(f"{hand}_hand", (0.0, 0.13, 0.0), 3.5, phase=0.25) for hand in ("main", "other")),
            hands=hold((-0.1, 0.38, 0.2), 0.2, 0.84),
        ),
        86: alone(
            "apply cream on hand back",
            3.4,
            Wave("main_hand", (0.2, 0.0, 0.12), 4.0),
            main_hand=hold((-0.45, -0.18, 0.48), 0.22, 0.84),
            other_hand=hold((-0.15, -0.3, 0.55), 0.2, 0.86),
            head=hold((0.3, 0.0, 0.15), 0.25, 0.84),
        ),
        87: Choreography("put on bag", _BACKPACK),
        88: Choreography("take off bag", _BACKPACK.reversed()),
        89: Choreography("put something into a bag", _INTO_BAG),
        90: Choreography("take something out of a bag", _INTO_BAG.reversed()),
        91: alone(
            "open a box",
            3.2,
            hands=path((0.25, (-0.25, -0.5, 0.55)), (0.48, (-0.2, -0.15, 0.5)), (0.7, (0.4, -0.3, 0.5))),
            trunk=hold((0.4, 0.0, 0.0), 0.3, 0.75),
            head=hold((0.25, 0.0, 0.0), 0.3, 0.75),
        ),
        92: alone(
            "move heavy objects",
            4.2,
            *walk(1.5, 0.5, 0.95),
            pelvis=path((0.25, (0.0, -0.4, -0.1)), (0.45, (0.0, 0.0, 0.0))),
            trunk=path((0.25, (0.95, 0.0, 0.0)), (0.48, (-0.05, 0.0, 0.0)), (0.8, (-0.05, 0.0, 0.0))),
            hands=path((0.25, (-0.1, -0.4, 0.85)), (0.48, (-0.08, -0.45, 0.5)), (0.85, (-0.08, -0.45, 0.5))),
            place=((0.48, (0.0, 0.0, 0.0)), (0.95, (0.0, 0.6, 0.0)), (1.0, (0.0, 0.6, 0.0))),
        ),
        93: alone(
            "shake fist", 2.5, Wave("main_hand", (0.0, 0.12, 0.16), 4.5), main_hand=hold((0.2, 0.3, 0.42), 0.25, 0.82)
        ),
        94: alone(
            "throw up cap",
            2.3,
            main_hand=path((0.3, (-0.1, -0.35, 0.4)), (0.48, (0.05, 0.85, 0.35)), (0.6, (0.1, 0.9, 0.2))),
            head=hold((-0.45, 0.0, 0.0), 0.48, 0.75),
            pelvis=path((0.32, (0.0, -0.12, 0.0)), (0.5, (0.0, 0.04, 0.0))),
        ),
        98: alone(
            "arm swings",
            3.0,
            Wave("main_hand", (0.5, 0.15, 0.1), 3.0, 0.1, 0.92),
            Wave("other_hand", (0.5, 0.15, 0.1), 3.0, 0.1, 0.92, phase=0.5),
            Wave("trunk", (0.0, 0.0, 0.3), 3.0, 0.1, 0.92),
            hands=hold((0.15, -0.5, 0.4), 0.15, 0.9),
        ),
        100: alone(
            "butt kicks",
            2.6,
            Wave("main_foot", (0.0, 0.32, -0.42), 4.0, 0.1, 0.95, "half"),
            Wave("other_foot", (0.0, 0.32, -0.42), 4.0, 0.1, 0.95, "half", 0.5),
            hands=hold((0.1, -0.6, -0.2), 0.15, 0.9),
        ),
        101: alone(
            "cross toe touch",
            3.4,
            trunk=path((0.28, (1.15, 0.0, 0.45)), (0.46, (0.2, 0.0, 0.0)), (0.64, (1.15, 0.0, -0.45))),
            main_hand=path((0.28, (-0.4, -0.35, 0.85)), (0.46, (0.8, 0.0, 0.1)), (0.64, (0.7, 0.1, -0.4))),
            other_hand=path((0.28, (0.7, 0.1, -0.4)), (0.46, (0.8, 0.0, 0.1)), (0.64, (-0.4, -0.35, 0.85))),
        ),
        103: alone(
            "yawn",
            3.4,
            main_hand=hold((-0.26, 0.34, 0.3), 0.4, 0.7),
            other_hand=hold((0.5, 0.45, 0.0), 0.42, 0.68),
            head=hold(LOOK_UP, 0.4, 0.7),
        ),
        104: alone("stretch oneself", 3.6, hands=hold((0.1, 0.95, -0.1), 0.4, 0.72), trunk=hold(LEAN_BACK, 0.42, 0.7)),
        105: alone(
            "blow nose",
            3.2,
            Wave("head", (0.2, 0.0, 0.0), 2.0, 0.35, 0.8, "bounce"),
            hands=hold((-0.27, 0.3, 0.26), 0.3, 0.78),
            trunk=hold((0.3, 0.0, 0.0), 0.35, 0.75),
        ),
    }
)
