"""Memory of the CPU, kept from step to step instead of given back to the system and asked for anew.

glibc gives a block of more than 32 MB back as soon as it is freed, and the end of the heap with it; the system hands
both out again page by page, filled with zeros. At the paper's size that is a tenth of a step of stage 1.
"""

from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h; what they do: mallopt(3)
THE_USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


def keep() -> bool:
    """Makes this process keep what it frees, until it ends; False where the user or the C library has it otherwise."""
    if any(name in os.environ for name in THE_USERS) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt  # glibc's, or the same of what stands in for it
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows takes no None
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, -1) and mallopt(M_MMAP_MAX, 0))
