"""NTU RGB+D's text form with any number of joints, as UAV-Human, CWBG and recordings of your own Kinect have it.

The form is that of `parsing.ntu`: the number of frames; per frame the number of bodies; per body a line that starts
with an id, the number of joints, and a line a joint that starts with its coordinates. Here a body may have any joints,
its line any further fields, and a joint's line any further numbers. A coordinate may be nan: the joint is missing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing.ntu_exact import Lines
from stars_bench.datasets.parsing.numbers import check_text

MOST_NUMBERS = 1 << 24  # of a clip: 128 MB, 300 times what 300 frames of two bodies have


class NtuText(NamedTuple):
    """One file.

    Args:
        bodies: (M, F, V, C) float64 as stored, in order of appearance; NaN in frames without the body.
        ids: The M ids. Where an id is twice in a frame, ids tell no bodies apart, and these are places in the frame.
    """

    bodies: NDArray[np.float64]
    ids: tuple[int, ...]


def parse_ntu(data: bytes, joints: int | None = None, numbers: int = 3) -> NtuText:
    """Read a file in NTU RGB+D's text form, with any number of joints.

    Args:
        data: The bytes of the file.
        joints: V, the number of joints that every body must have. Default: None, that of the first body.
        numbers: C, how many numbers of each joint's line are kept, from the first on. Default: 3, x y z.

    Returns:
        The bodies and their ids.

    Raises:
        ParseError: The file is wrong, with the line and the fault.
    """
    check_text(data)
    lines = Lines(data)
    ids: list[list[int]] = []
    rows: list[list[list[float]]] = []
    count = lines.count("the number of frames", "it must be positive", range(1, 2**63))
    for frame in range(1, count + 1):
        ids.append([])
        for _ in range(lines.count(f"the number of bodies of frame {frame}", "it must not be negative", range(2**63))):
            body = f"a body of frame {frame}"
            ids[-1].append(lines.head(body, fields=None))
            allowed = range(1, 2**63) if joints is None else range(joints, joints + 1)
            rule = "it must be positive" if joints is None else f"it must be {joints}"
            joints = lines.count(f"the number of joints of {body}", rule, allowed)
            rows.append([_joint(lines, f"joint {joint} of {body}", numbers) for joint in range(1, joints + 1)])
    lines.end()
    if any(len(set(here)) < len(here) for here in ids):
        ids = [list(range(len(here))) for here in ids]
    order = {name: number for number, name in enumerate(dict.fromkeys(name for here in ids for name in here))}
    if len(order) * count * (joints or 0) * numbers > MOST_NUMBERS:
        lines.fault(f"{len(order):,} bodies in {count:,} frames, more than any clip has")
    bodies = np.full((len(order), count, joints or 0, numbers), np.nan)
    places = [(order[name], frame) for frame, here in enumerate(ids) for name in here]
    for (body_number, frame), row in zip(places, rows, strict=True):
        bodies[body_number, frame] = row
    return NtuText(bodies, tuple(order))


def _joint(lines: Lines, reading: str, numbers: int) -> list[float]:
    found = lines.numbers(lines.take(reading))
    if len(found) < numbers:
        lines.compare(len(found), numbers, reading)
    return found[:numbers]
