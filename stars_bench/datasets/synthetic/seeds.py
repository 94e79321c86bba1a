"""Random numbers that depend on their purpose only, not on what was drawn before."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.random import PCG64, Generator, SeedSequence


def generator(seed: int, purpose: str, *numbers: int) -> Generator:
    """Return a generator that is a pure function of its arguments (all numbers >= 0)."""
    words = [seed, zlib.crc32(purpose.encode()), *numbers]
    # The same entropy, but an array of words is taken much faster than a list.
    return Generator(PCG64(SeedSequence(np.array(words, np.uint32) if max(words) < 2**32 else words)))
