"""Numbers in text, read exactly: what counts as a number, its value, and the error when it is none.

This is the exact reading that the fast scanner (`scan_numba`) must agree with and hands over to, and the only place
where a number is refused. In: the bytes of a token or a line. Out: what Python's float() and int() give, or a
ValueError, which the readers of files turn into a ParseError with its line.
"""

from __future__ import annotations

import re

LARGEST_INTEGER = 2**63 - 1
UTF_16 = (b"\xff\xfe", b"\xfe\xff")

TOKEN = re.compile(rb"[^ \t\r]+")  # blanks lie between tokens; line feeds end lines
# Possessive (++): a megabyte of digits is refused in one pass.
NUMBER = rb"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)?"
ALLOWED = re.compile(NUMBER + rb"|[+-]?(?:nan|inf|infinity)", re.IGNORECASE)
MICROSOFT = re.compile(rb"([+-]?)\d\.#(IND|QNAN|SNAN|INF)\d*", re.IGNORECASE)
ONLY_PYTHON = re.compile(rb"[_\v\f]")  # what float() lets pass and no raw file may have: 1_000, blanks of other kinds
INTEGER = re.compile(rb"[+-]?\d{1,19}")


class ParseError(ValueError):
    """A raw file that does not have its format.

    Args:
        line: 1-based number of the wrong line.
        reason: What is wrong there.
    """

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


class UnknownNumber(ValueError):
    """A number in a clip's name or label that its dataset does not have: no other may stand for it."""


def check_range(what: str, number: int, first: int, last: int) -> None:
    """Check that a dataset has a number.

    Raises:
        UnknownNumber: It is not in first..last.
    """
    if not first <= number <= last:
        raise UnknownNumber(f"{what} {number} is not in {first}..{last}")


def tokens_of(line: bytes) -> list[bytes]:
    """Split a line at its blanks."""
    return TOKEN.findall(line)


def read_number(token: bytes) -> float:
    """Return Python's float(), and Microsoft's spellings (-1.#IND, 1.#QNAN, 1.#INF) as nan and infinity.

    Raises:
        ValueError: The token is not a number.
    """
    if microsoft := MICROSOFT.fullmatch(token):
        return float(microsoft[1] + (b"inf" if microsoft[2].upper() == b"INF" else b"nan"))
    if not ALLOWED.fullmatch(token):
        raise ValueError(f"{excerpt(token)} is not a number")
    return float(token)


def read_numbers(line: bytes) -> list[float]:
    """Return all numbers of a line.

    Raises:
        ValueError: A token is not a number; the message names the first.
    """
    if not ONLY_PYTHON.search(line):
        try:
            return list(map(float, line.split()))
        except ValueError:
            pass
    return [read_number(token) for token in tokens_of(line)]


def read_integer(token: bytes) -> int:
    """Return an integer that an int64 holds, in at most 19 digits.

    Raises:
        ValueError: The token is not such an integer.
    """
    value = int(token) if INTEGER.fullmatch(token) else None
    if value is None or abs(value) > LARGEST_INTEGER:
        raise ValueError(f"{excerpt(token)} is not an integer")
    return value


def excerpt(token: bytes) -> str:
    """Return a token in a form that fits a message: printable and short."""
    return repr(token[:24] + (b"..." if len(token) > 24 else b"")).removeprefix("b")


def check_text(data: bytes) -> None:
    """Check that a raw file may hold numbers as text.

    Raises:
        ParseError: The file is empty, has only NUL bytes, or is UTF-16.
    """
    if not data or data.isspace():
        raise ParseError(1, "the file is empty")
    if not data.strip(b"\0"):
        raise ParseError(1, f"the file is {len(data):,} NUL bytes: a copy that was broken off; fetch it again")
    if data.startswith(UTF_16):
        raise ParseError(1, "the file is UTF-16 text: save it as ASCII or UTF-8")
