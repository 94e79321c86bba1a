"""What is known of a clip when it is prepared, and would else be computed whenever a run starts: a column each.

In: the bodies of a clip (M, F, V, 3). Out: whole numbers. Shards of schema 3 have none of these columns.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

VALID, FIRST_BODY, SECOND = "valid_frames", "first_body_frames", "second_body"
FACTS = (VALID, FIRST_BODY, SECOND)
ABSENT, DISTINCT, COPY, EMPTY = range(4)
"""Values of the column `second_body`: there is none, it is another one, the first one again, nothing but zeros."""


def facts_of(clips: Iterable[NDArray[np.float32]]) -> dict[str, NDArray[np.int64]]:
    """Return the columns FACTS of clips (M, F, V, 3), one entry a clip."""
    rows = [(valid_frames(bodies), first_body_frames(bodies), second_body(bodies)) for bodies in clips]
    columns = np.array(rows, "<i8").reshape(-1, len(FACTS)).T
    return {name: np.ascontiguousarray(column) for name, column in zip(FACTS, columns, strict=True)}


def valid_frames(bodies: NDArray[np.float32]) -> int:
    """Count the frames F whose coordinates, both bodies together, do not sum to 0; at least 1 (MAMP).

    The order of the sum (x y z, then bodies, then joints) is that of the published program, because the order decides
    whether a sum cancels to exactly 0.
    """
    x, y, z = (bodies[..., axis] for axis in range(3))
    sums = (x + y) + z  # as NumPy's sum over three, and five times as fast
    return max(int(np.count_nonzero((sums[0] if len(sums) == 1 else sums[0] + sums[1]).sum(-1))), 1)


def first_body_frames(bodies: NDArray[np.float32]) -> int:
    """Count the frames in which the first joint of the first body is not zero; at least 1 (CrosSCLR)."""
    return max(int(np.count_nonzero(bodies[0, :, 0].any(-1))), 1)


def second_body(bodies: NDArray[np.float32]) -> int:
    """Return what the second body is: ABSENT, DISTINCT, COPY or EMPTY."""
    if len(bodies) == 1:
        return ABSENT
    first, second = bodies
    if not second.any():
        return EMPTY
    return COPY if np.array_equal(first, second) else DISTINCT
