"""The choice of the fast scanner of raw text: NumPy's at first, the compiled one as soon as its start-up time pays.

Both give the same (`scan_types`). The compiled one takes about a second to load, and a few more where numba has to
compile it first; so a process loads it when it has read much, or when it says that it is about to.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType

import numpy as np

from stars_bench.datasets.parsing import scan_numpy

WORTH_COMPILING = 512 << 20  # bytes: what NumPy's scanner reads slower by about the start-up time of the other


class _State:
    read = 0  # bytes, by NumPy's scanner
    numba: bool | None = None  # whether compiled code is used; None: not yet decided


def expect(num_bytes: int, text: bool = True) -> None:
    """State how much this process, and each process that will be forked from it, is about to read.

    If it is much, everything is compiled or loaded now.

    Args:
        num_bytes: Bytes of raw files.
        text: False if clips come from elsewhere and compiled code is for cleaning only. Default: True.
    """
    if num_bytes <= WORTH_COMPILING:
        return
    scan = scanner(num_bytes)
    if text:
        scan.scan_ntu(b"1\n0\n")
        scan.scan_video(b"0\n")
    if (motion := compiled("bodies_numba")) is not None:
        body = np.zeros((1, 25, 3), np.float32)
        motion.rows_by_body(np.zeros(1, np.int64), np.zeros(1, np.int64))
        motion.motion_of(body[0])
        motion.finished(body.reshape(1, -1), 1, 300, False)
        motion.noisy_frames(body, 1.0)


def scanner(num_bytes: int) -> ModuleType:
    """Return the module whose `scan_ntu` and `scan_video` read the next text, of `num_bytes` bytes."""
    if _State.numba is None:
        _State.read += num_bytes
        if _State.read > WORTH_COMPILING:
            _State.numba = _can_compile()
    return compiled("scan_numba") or scan_numpy


def compiled(name: str) -> ModuleType | None:
    """Return a module of this folder that imports numba; None as long as code is not compiled."""
    return _loaded(name) if _State.numba else None


@cache
def _loaded(name: str) -> ModuleType:
    return importlib.import_module(f"stars_bench.datasets.parsing.{name}")


def _can_compile() -> bool:
    """Return whether the scanner fits this machine, and numba compiles (NUMBA_DISABLE_JIT is not set)."""
    numba = importlib.import_module("numba")
    return sys.byteorder == "little" and not numba.config.DISABLE_JIT
