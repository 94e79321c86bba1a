"""Numbers as the sensor's own program printed them: .NET's `float.ToString()`, 7 significant digits.

In: float32 below 10,000. Out: bytes, or what a reader of those bytes gets. 24 bits times 5**12 fit into a float64, so
the products below are exact and rounding agrees with "%.7G" in every case. Exponents are rare and left to Python.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stars_bench.io.numba_cache import compiled, kept

SMALLEST_FIXED = 1e-4  # below it an exponent is printed
LONGEST = 13  # bytes of a number: -1.234567E-05
FEWEST_DECIMALS, MOST_DECIMALS = 3, 12  # that 7 digits need
SMALLEST_EXACT = 10.0 ** (6 - MOST_DECIMALS)
LIMITS = 10.0 ** np.arange(7 - MOST_DECIMALS, 4)
POWERS = 10.0 ** np.arange(MOST_DECIMALS + 1)
WHOLE_POWERS = np.array([10**power for power in range(MOST_DECIMALS + 1)], np.uint64)
TEN = np.uint64(10)
MINUS, POINT, ZERO, SPACE = np.frombuffer(b"-.0 ", np.uint8)
LINE_END, HEAD_END = np.frombuffer(b"\r\n", np.uint8), np.frombuffer(b" 2\r\n25\r\n", np.uint8)
LONGEST_COUNT, LONGEST_BODY = 8, 80 + (LONGEST + 1) * (2 + 25 * 12)  # bytes, generous


def as_printed(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return numbers as they are read after they are stored as float32 and printed."""
    read = np.empty(values.shape, np.float32)
    if not _round(read.reshape(-1), values.reshape(-1)):
        for i in np.flatnonzero(np.abs(read, dtype=np.float64) < SMALLEST_EXACT):
            read.flat[i] = float(f"{np.float32(values.flat[i]):.7G}")
    return read


def print_clip(
    counts: NDArray[np.int64], ids: NDArray[np.int64], numbers: NDArray[np.float32], states: NDArray[np.uint8]
) -> bytes:
    """Print a `.skeleton` file.

    Args:
        counts: (F,) bodies in each frame.
        ids: (B,) body ids, for the bodies of all frames.
        numbers: (B, 2 + 25 * 11): lean, and per joint everything before its state.
        states: (B, 25) tracking states.

    Returns:
        The text of the file.
    """
    # The few numbers that need an exponent, in order, are printed by Python.
    with_exponent = np.flatnonzero((np.abs(numbers, dtype=np.float64) < SMALLEST_FIXED) & (numbers != 0))
    texts = b"".join(f"{numbers.flat[i]:.7G}".encode().ljust(LONGEST, b"\0") for i in with_exponent)
    small = np.frombuffer(texts, np.uint8).reshape(-1, LONGEST)
    text = np.empty(LONGEST_COUNT * (1 + len(counts)) + LONGEST_BODY * len(ids), np.uint8)
    return text[: _print(text, counts, ids, numbers, states, small)].tobytes()


@kept
def _print(text: Any, counts: Any, ids: Any, numbers: Any, states: Any, small: Any) -> int:
    """Fill `text` with a file and return its size; `small` holds the texts of the numbers that need an exponent."""
    at = _put_text(text, _put_integer(text, 0, np.uint64(len(counts))), LINE_END)
    body = exponents = 0
    for count in counts:
        at = _put_text(text, _put_integer(text, at, np.uint64(count)), LINE_END)
        for _ in range(count):
            # Id, clipped edges, confidence and state of the left hand, of the right one, restricted, lean, state.
            at = _put_integer(text, at, np.uint64(ids[body]))
            left, right = int(states[body, 7] == 2), int(states[body, 11] == 2)
            for flag in (0, left, left, right, right, 0):
                text[at], text[at + 1] = SPACE, ZERO + flag
                at += 2
            for i in range(numbers.shape[1]):
                if i % 11 != 2:
                    text[at] = SPACE
                    at += 1
                if numbers[body, i] != 0 and abs(np.float64(numbers[body, i])) < SMALLEST_FIXED:
                    at = _put_text(text, at, small[exponents])
                    exponents += 1
                else:
                    at = _put_number(text, at, np.float64(numbers[body, i]))
                if i == 1:
                    at = _put_text(text, at, HEAD_END)
                elif i > 1 and i % 11 == 1:
                    text[at], text[at + 1] = SPACE, ZERO + states[body, i // 11 - 1]
                    at = _put_text(text, at + 2, LINE_END)
            body += 1
    return at


@compiled
def _put_text(text: Any, at: int, word: Any) -> int:
    """Copy the bytes of a word that are not 0."""
    for byte in word:
        if byte:
            text[at] = byte
            at += 1
    return at


@compiled
def _decimals_of(size: float) -> int:
    """Return how many decimals 7 significant digits have."""
    decimals = MOST_DECIMALS
    while decimals > FEWEST_DECIMALS and size >= LIMITS[MOST_DECIMALS - decimals]:
        decimals -= 1
    return decimals


@kept
def _round(read: Any, values: Any) -> bool:
    """Round numbers in place, (N,) float32; return whether that was possible for all but zeros."""
    done = True
    for i in range(len(values)):
        value = np.float32(values[i])
        size = np.float64(abs(value))
        if size < SMALLEST_EXACT:
            read[i] = value
            done &= size == 0
        else:
            power = POWERS[_decimals_of(size)]
            read[i] = math.copysign(np.rint(size * power) / power, value)
    return done


@compiled
def _put_number(text: Any, at: int, value: float) -> int:
    """Print a number that needs no exponent; return the position behind it."""
    size = abs(value)
    decimals = _decimals_of(size)
    digits = np.uint64(np.rint(size * POWERS[decimals]))
    if value < 0 and digits > 0:
        text[at] = MINUS
        at += 1
    whole = digits // WHOLE_POWERS[decimals]
    at = _put_integer(text, at, whole)
    rest = digits - whole * WHOLE_POWERS[decimals]
    if rest == 0:
        return at
    text[at] = POINT
    end = at + decimals
    for i in range(end, at, -1):
        shorter = rest // TEN
        text[i] = ZERO + (rest - shorter * TEN)
        rest = shorter
    while text[end] == ZERO:
        end -= 1
    return end + 1


@compiled
def _put_integer(text: Any, at: int, number: Any) -> int:
    """Print an integer of at least 0; return the position behind it."""
    rest, length = number, 1
    bound = TEN
    while rest >= bound:
        length += 1
        bound *= TEN
    for i in range(at + length - 1, at - 1, -1):
        shorter = rest // TEN
        text[i] = ZERO + (rest - shorter * TEN)
        rest = shorter
    return at + length
