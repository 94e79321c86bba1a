"""The choice between compiled code and plain Python for raw text.

Both give the same results (`scan_types`). Loading numba and its compiled code takes half a second, and compiling it two
to four, once an installation; plain Python takes less than a second for WORTH_LOADING. A process therefore loads
compiled code after it has read that much, or if it is about to read more (`load_ntu`, `load_pku`).
"""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np

WORTH_LOADING = 32 << 20  # bytes of raw text


class _State:
    read = 0  # bytes, in plain Python
    loaded: bool | None = None  # whether compiled code is used; None: not yet decided


def load_ntu() -> None:
    """Load the compiled code that reads and cleans NTU files; compile it if it is not there yet.

    Processes that are forked afterwards inherit it.
    """
    if (scan := scanner(WORTH_LOADING + 1)) is None or (bodies := body_kernels()) is None:
        return
    scan.scan_ntu(b"1\n0\n")
    body = np.zeros((1, 25, 3), np.float32)
    bodies.rows_by_body(np.zeros(1, np.int64), np.zeros(1, np.int64))
    bodies.motion_of(body[0])
    bodies.finished(body.reshape(1, -1), 1, 300, False)
    bodies.noisy_frames(body, 1.0)


def load_pku() -> None:
    """Load the compiled code that reads PKU-MMD videos; compile it if it is not there yet."""
    if (scan := scanner(WORTH_LOADING + 1)) is not None:
        scan.scan_video(b"0\n")


def scanner(num_bytes: int) -> ModuleType | None:
    """Return the module whose `scan_ntu` and `scan_video` read the next text; None if plain Python reads it.

    Args:
        num_bytes: Length of the next text.
    """
    if _State.loaded is None:
        _State.read += num_bytes
        if _State.read <= WORTH_LOADING:
            return None
        _State.loaded = can_compile()
    if not _State.loaded:
        return None
    from stars_bench.datasets.parsing import scan_numba

    return scan_numba


def body_kernels() -> ModuleType | None:
    """Return the compiled twins of functions of `parsing.ntu` and `cleaning`; None until compiled code is used."""
    if not _State.loaded:
        return None
    from stars_bench.datasets.parsing import bodies_numba

    return bodies_numba


def can_compile() -> bool:
    """Return whether the scanner fits this machine, and numba compiles (NUMBA_DISABLE_JIT is not set)."""
    from numba import config

    return sys.byteorder == "little" and not config.DISABLE_JIT  # type: ignore[attr-defined]  # set as numba starts
