"""Which bodies are seen in which frame of a `.skeleton` file: empty frames, order, tracking states.

`parsing.ntu` gathers a file's coordinates by body and forgets all this, which most cleaning does not need. In: the
bytes of a file that `parsing.ntu.parse` has read without error. Format: github shahroudy/NTURGB-D.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing.ntu import JOINTS

FIELDS = 12  # of a joint's line
TRACKING_STATES = ("not tracked", "inferred", "tracked")  # of Kinect v2: 0, 1, 2


class Seen(NamedTuple):
    """One body in one frame.

    Args:
        id: Kinect's body id.
        state: Kinect's tracking state of it: 0, 1 or 2; -1 if it is something else.
    """

    id: int
    state: int


def frames_of(data: bytes) -> list[list[Seen]]:
    """Return all frames of a file in their order, each with its bodies in their order.

    An empty frame is an empty list.
    """
    lines = [line for line in data.split(b"\n") if not line.isspace() and line]
    frames: list[list[Seen]] = []
    at = 1
    for _ in range(int(lines[0])):
        bodies = int(lines[at])
        heads = range(at + 1, at + 1 + bodies * (JOINTS + 2), JOINTS + 2)
        frames.append([_seen(lines[head]) for head in heads])
        at = heads.stop
    return frames


def joint_states(data: bytes) -> NDArray[np.int64]:
    """Return how often each joint is not tracked, inferred and tracked, over all bodies and frames: (25, 3)."""
    rows = (fields for line in data.split(b"\n") if len(fields := line.split()) == FIELDS)
    counts = np.zeros((JOINTS, len(TRACKING_STATES)), np.int64)
    for number, fields in enumerate(rows):
        if fields[-1] in (b"0", b"1", b"2"):
            counts[number % JOINTS, int(fields[-1])] += 1
    return counts


def _seen(line: bytes) -> Seen:
    fields = line.split()
    state = int(fields[-1]) if fields[-1] in (b"0", b"1", b"2") else -1
    return Seen(int(fields[0]), state)
