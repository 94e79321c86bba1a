"""Numbers in text, at the speed of memory: compiled scanners over bytes that end every file format here.

In: a uint8 array whose last byte is a line feed (`as_text`), and a position. Out: float32 values bit-identical to
np.float32(float(text)), exact int64 counts and ids. What the fast path cannot decide is noted and left to Python's own
float(). The fast path: a decimal mantissa m <= 2^53 and a power of ten <= 10^22 are exact in float64, so one division
is correctly rounded (Clinger 1990); beyond that the quotient is off by less than 2^-50, and it counts only when both
ends of that interval round to the same float32.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])

# Verdicts of the scanners.
OK, ASK_PYTHON, FEW_FIELDS, MANY_FIELDS, NOT_AN_INTEGER, TRUNCATED, OUT_OF_NOTES, WRONG_COUNT = range(8)

LF, CR, SPACE, TAB, PLUS, MINUS, POINT, ZERO, LOWER_E = 10, 13, 32, 9, 43, 45, 46, 48, 101
EXACT_MANTISSA = np.uint64(2**53)
EXACT_POWER = 22
LARGEST_POWER = 290  # keeps the approximate quotient away from float64's subnormal numbers
MAX_DIGITS = 19  # of a mantissa in uint64, and of an int64
POWERS_OF_TEN = np.array([float(f"1e{power}") for power in range(LARGEST_POWER + 1)])
HIGH_BITS, LOW_BITS = np.uint64(0x8080808080808080), np.uint64(0x0101010101010101)
LOW_SEVEN = np.uint64(0x7F7F7F7F7F7F7F7F)
WHOLE_POWERS = np.array([10**power for power in range(MAX_DIGITS)], dtype=np.uint64)
INTERVAL = 2.0**-50

ALLOWED = re.compile(rb"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
MICROSOFT = re.compile(rb"([+-]?)\d\.#(IND|QNAN|SNAN|INF)\d*", re.IGNORECASE)


class ParseError(ValueError):
    """A raw file that is not what its format says: 1-based line number and reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class Notes(NamedTuple):
    """Tokens left to Python: where each starts in the text, and where its value goes (-1: only to be checked)."""

    start: NDArray[np.int64]
    target: NDArray[np.int64]


def compiled(function: Function) -> Function:
    """numba.njit without the GIL, cached on disk where a folder for it can be found."""
    try:
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # installed read-only and no home folder: compile in every process
        return cast(Function, numba.njit(nogil=True)(function))


def as_text(data: bytes) -> NDArray[np.uint8]:
    """The bytes as an array that ends with a line feed, so that no scanner can run past the end."""
    return np.frombuffer(data if data.endswith(b"\n") else data + b"\n", dtype=np.uint8)


def as_words(text: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The same bytes as overlapping little-endian words: element i holds bytes i to i + 7."""
    return np.ndarray((max(text.size - 7, 0),), np.dtype("<u8"), text.data, strides=(1,))


def line_number(data: bytes, position: int) -> int:
    """1-based number of the line that holds byte `position`."""
    return data.count(b"\n", 0, position) + 1


def read_number(token: bytes) -> float:
    """What Python's float() gives, and Microsoft's spellings (-1.#IND, 1.#QNAN, 1.#INF) as nan and infinity.

    Raises:
        ValueError: not a number.
    """
    if microsoft := MICROSOFT.fullmatch(token):
        return float(microsoft[1] + (b"inf" if microsoft[2].upper() == b"INF" else b"nan"))
    if not ALLOWED.fullmatch(token):
        raise ValueError(f"{excerpt(token)} is not a number")
    return float(token)


def excerpt(token: bytes) -> str:
    """A token as it can be shown in a message: printable and short."""
    return repr(token[:24].decode("ascii", "backslashreplace") + ("..." if len(token) > 24 else ""))


def token_at(data: bytes, start: int) -> bytes:
    """The token that starts at a position: up to the next blank."""
    found = re.compile(rb"[^ \t\r\n]*").match(data, start)
    return found[0] if found else b""


def settle(data: bytes, notes: Notes, count: int, values: NDArray[np.float32]) -> None:
    """Reads the noted tokens with Python and puts their values where they belong in `values` (flat).

    Raises:
        ParseError: a token is not a number.
    """
    for start, target in zip(notes.start[:count].tolist(), notes.target[:count].tolist(), strict=True):
        try:
            value = read_number(token_at(data, start))
        except ValueError as error:
            raise ParseError(line_number(data, start), str(error)) from None
        if target >= 0:
            with np.errstate(over="ignore"):
                values[target] = np.float32(value)


def new_notes(size: int) -> Notes:
    """Room for `size` tokens."""
    return Notes(np.empty(size, np.int64), np.empty(size, np.int64))


@compiled
def is_blank(byte: int) -> bool:
    return byte in (SPACE, LF, CR, TAB)


@compiled
def skip_blanks(text: Any, at: int) -> int:
    """To the next token or line feed."""
    while text[np.uint64(at)] == SPACE or text[np.uint64(at)] == TAB or text[np.uint64(at)] == CR:
        at += 1
    return at


@compiled
def skip_token(text: Any, at: int) -> int:
    """To the next blank."""
    while not is_blank(text[np.uint64(at)]):
        at += 1
    return at


@compiled
def scan_float(text: Any, words: Any, at: int) -> tuple[Any, int, bool]:
    """One number at `at`: its value, the position behind it, and whether Python has to decide.

    The usual form, a digit, a point and one to eight digits, is read as one word without a loop.
    """
    negative = text[np.uint64(at)] == MINUS
    first = at + (1 if negative else 0)
    if first + 2 < words.size and text[np.uint64(first + 1)] == POINT:
        whole = np.uint64(text[np.uint64(first)]) - np.uint64(ZERO)
        digits, value = leading_digits(words[np.uint64(first + 2)])
        behind = first + 2 + digits
        if whole <= np.uint64(9) and digits > 0 and is_blank(text[np.uint64(behind)]):
            mantissa = np.float64(whole * WHOLE_POWERS[np.uint64(digits)] + value)
            quotient = np.float32(mantissa / POWERS_OF_TEN[np.uint64(digits)])
            return (-quotient if negative else quotient), behind, False
    return scan_any_float(text, at)


@compiled
def equal_bytes(word: Any, pattern: Any) -> Any:
    """The high bit of each byte that equals the pattern's, exactly."""
    other = word ^ pattern
    return ~(((other & LOW_SEVEN) + LOW_SEVEN) | other | LOW_SEVEN)


@compiled
def position_of(marks: Any) -> Any:
    """Index of the first byte whose high bit is set."""
    lowest = marks & (~marks + np.uint64(1))
    return np.int64((((lowest - np.uint64(1)) & LOW_BITS) * LOW_BITS) >> np.uint64(56)) - 1


@compiled
def leading_digits(word: Any) -> tuple[Any, Any]:
    """How many of a word's bytes, from the first on, are digits, and the number that they spell."""
    value = word ^ np.uint64(0x3030303030303030)
    other = ((value + np.uint64(0x7676767676767676)) | value) & np.uint64(0x8080808080808080)
    digits = np.uint64(8) if other == np.uint64(0) else np.uint64(position_of(other))
    if digits == np.uint64(0):
        return 0, np.uint64(0)
    value = value << (np.uint64(64) - digits * np.uint64(8))  # digits to the end, zeros before them
    value = ((value * np.uint64(10)) + (value >> np.uint64(8))) & np.uint64(0x00FF00FF00FF00FF)
    value = ((value * np.uint64(100)) + (value >> np.uint64(16))) & np.uint64(0x0000FFFF0000FFFF)
    value = ((value * np.uint64(10_000)) + (value >> np.uint64(32))) & np.uint64(0x00000000FFFFFFFF)
    return np.int64(digits), value


@compiled
def scan_any_float(text: Any, at: int) -> tuple[Any, int, bool]:
    """scan_float, for a number of any form."""
    negative = text[np.uint64(at)] == MINUS
    if negative or text[np.uint64(at)] == PLUS:
        at += 1
    first = at
    mantissa = np.uint64(0)
    digit = np.uint64(text[np.uint64(at)]) - np.uint64(ZERO)
    while digit <= np.uint64(9):
        mantissa = mantissa * np.uint64(10) + digit
        at += 1
        digit = np.uint64(text[np.uint64(at)]) - np.uint64(ZERO)
    digits = at - first
    power = 0
    if text[np.uint64(at)] == POINT:
        at += 1
        first = at
        digit = np.uint64(text[np.uint64(at)]) - np.uint64(ZERO)
        while digit <= np.uint64(9):
            mantissa = mantissa * np.uint64(10) + digit
            at += 1
            digit = np.uint64(text[np.uint64(at)]) - np.uint64(ZERO)
        power = first - at
        digits -= power
    if text[np.uint64(at)] | 32 == LOWER_E:
        exponent, at = scan_exponent(text, at + 1)
        power += exponent
    if digits == 0 or digits > MAX_DIGITS or not is_blank(text[np.uint64(at)]):
        return np.float32(0), at, True
    value, sure = scale(mantissa, power)
    return (-value if negative else value), at, not sure


@compiled
def scan_exponent(text: Any, at: int) -> tuple[int, int]:
    """The exponent at `at`; where there is none, the position of a byte that is no blank."""
    negative = text[np.uint64(at)] == MINUS
    if negative or text[np.uint64(at)] == PLUS:
        at += 1
    first = at
    exponent = 0
    while ZERO <= text[np.uint64(at)] <= ZERO + 9:
        if exponent < 100_000:
            exponent = exponent * 10 + (text[np.uint64(at)] - ZERO)
        at += 1
    if at == first:
        return 0, at - 1
    return (-exponent if negative else exponent), at


@compiled
def scale(mantissa: Any, power: int) -> tuple[Any, bool]:
    """mantissa * 10^power as float32, and whether that is surely what float() and np.float32() give (finite)."""
    if mantissa <= EXACT_MANTISSA and -EXACT_POWER <= power <= EXACT_POWER:
        if power < 0:
            return np.float32(np.float64(mantissa) / POWERS_OF_TEN[-power]), True
        return np.float32(np.float64(mantissa) * POWERS_OF_TEN[power]), True
    if mantissa == np.uint64(0):
        return np.float32(0), True
    if power < -LARGEST_POWER or power > LARGEST_POWER:
        return np.float32(0), False
    about = np.float64(mantissa)
    about = about / POWERS_OF_TEN[-power] if power < 0 else about * POWERS_OF_TEN[power]
    low, high = np.float32(about * (1.0 - INTERVAL)), np.float32(about * (1.0 + INTERVAL))
    return low, low == high and np.isfinite(low)


@compiled
def scan_integer(text: Any, at: int) -> tuple[Any, int, Any]:
    """One int64 at `at`: its value, the position behind it, and whether it is one."""
    negative = text[np.uint64(at)] == MINUS
    if negative or text[np.uint64(at)] == PLUS:
        at += 1
    first = at
    value = np.uint64(0)
    while ZERO <= text[np.uint64(at)] <= ZERO + 9 and at - first < MAX_DIGITS:
        value = value * np.uint64(10) + np.uint64(text[np.uint64(at)] - ZERO)
        at += 1
    fine = at > first and is_blank(text[np.uint64(at)]) and value <= np.uint64(2**63 - 1)
    number = np.int64(value) if fine else np.int64(0)
    return (-number if negative else number), at, fine


@compiled
def scan_lone_integer(text: Any, at: int) -> tuple[Any, int, Any]:
    """A line that holds one integer and nothing else: value, start of the next line, and whether it was so."""
    value, at, fine = scan_integer(text, skip_blanks(text, at))
    at = skip_blanks(text, at)
    return value, at + 1, fine and text[np.uint64(at)] == LF


@compiled
def check_fields(text: Any, at: int, expected: int, start: Any, target: Any, noted: int) -> tuple[int, int, int]:
    """The rest of a line whose values are not kept: exactly `expected` numbers. Verdict, start of next line, notes."""
    fields = 0
    while True:
        at = skip_blanks(text, at)
        if text[np.uint64(at)] == LF:
            break
        fields += 1
        _, behind, ask = scan_any_float(text, at)
        if ask:
            if noted == start.size:
                return OUT_OF_NOTES, at, noted
            start[noted], target[noted] = at, -1
            noted += 1
            behind = skip_token(text, behind)
        at = behind
    if fields != expected:
        return (FEW_FIELDS if fields < expected else MANY_FIELDS), at, noted
    return OK, at + 1, noted
