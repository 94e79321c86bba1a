"""The result of the fast scanner of raw text (`scan_numba`): arrays, and the lines that it leaves to the exact reading.

It reads text whose lines have the usual layout: one space between tokens, LF or CRLF, the right number of tokens. A
line with a token that is not of the form -?digits[.digits][e[+-]digits], or with a coordinate that is not exact, goes
to the exact reading; so does the whole text (None instead of a result) if its layout is another. The usual case is
therefore fast, and everything else, above all errors, is handled in one place.

A coordinate is exact whose up to 15 digits make an integer below 2^53 and whose power of ten is below 10^23: both are
exact in float64, so that one product or quotient is correctly rounded (Clinger 1990), as Python's float() is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MOST_DECIMALS = 14


class NtuScan(NamedTuple):
    """The bodies of an NTU file, one row a body and frame, in the file's order.

    Args:
        joints: (n, 25, 3) float32, metres.
        ids: (n,) int64 body ids.
        frames: (n,) int64 frame of each row among the kept ones, which hold a body.
        kept: Number of frames that hold a body.
        empty: Number of frames that hold none.
        left: (m, 4) int64 lines left to the exact reading: first byte, byte behind, row, joint (-1: head).
    """

    joints: NDArray[np.float32]  # (n, 25, 3)
    ids: NDArray[np.int64]  # (n,)
    frames: NDArray[np.int64]  # (n,) among the kept ones, those with a body
    kept: int
    empty: int
    left: NDArray[np.int64]  # (m, 4) lines left to the exact reading: first byte, byte behind, row, joint (-1: head)


class VideoScan(NamedTuple):
    """The rows of a PKU-MMD video, and the lines left over.

    Args:
        rows: (F, 150) float32, metres.
        left: (m, 3) int64 lines left to the exact reading: first byte, byte behind, row.
    """

    rows: NDArray[np.float32]  # (F, 150)
    left: NDArray[np.int64]  # (m, 3) lines left to the exact reading: first byte, byte behind, row
