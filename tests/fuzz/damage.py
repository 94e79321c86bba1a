"""Damaged files as hypothesis draws them: sound ones, cut, changed in places, or no file at all."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from hypothesis import strategies as st

NUMBERS = (0, 1, -1, 2**15, 2**31 - 1, -(2**31), 2**32 - 1, 2**62)
PIECES = [
    *(bytes([byte]) for byte in b"\0\t\n\r \"',-.:=[{}()\x7f\x80\xff"),
    *(str(number).encode() for number in NUMBERS),
    *(struct.pack(form, number % 2 ** (8 * size)) for number in NUMBERS for form, size in (("<I", 4), ("<Q", 8))),
    *(b"", b"nan", b"-1.#IND", b"inf", b"1e39", b"1e400", b"0x10", b"1_000", b"9" * 5_000, b"[" * 5_000, b"null"),
    *(b"\xff\xfe", b"\xef\xbb\xbf", b"\r\n", b"\n\n", b"\x1b[31m", "ä".encode(), "\u2028".encode(), b"\xed\xa0\x80"),
]


def damaged(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Bytes that a parser may meet: a seed with up to six changes, a part of one, two in one, or anything."""
    seed = st.sampled_from(list(seeds))
    change = st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 1, 1, 2, 4, 8, 200]), st.sampled_from(PIECES))
    changed = st.builds(_changed, seed, st.lists(change, max_size=6))
    part = st.builds(lambda data, place: data[: int(place * len(data))], changed, st.floats(0, 1))
    joined = st.builds(lambda one, other, place: one[: int(place * len(one))] + other, seed, changed, st.floats(0, 1))
    return st.one_of(changed, changed, part, joined, st.binary(max_size=300))


def _changed(data: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, piece in changes:
        at = int(place * len(data))
        data = data[:at] + piece + data[at + length :]
    return data
