"""The fast scanner in NumPy: no start-up time, a sixth of the compiled one's speed (`scan_numba`).

In: the bytes of a raw file. Out: its numbers, or None when its layout is not the usual one (`scan_types` says what is
usual). Bytes are classified 64 at a time: one bit a byte, as in simdjson (Langdale, Lemire 2019); eight digits are read
as one 64-bit word.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing.scan_types import MOST_DECIMALS, NtuScan, VideoScan

Longs = NDArray[np.int64]
Words = NDArray[np.uint64]
Flags = NDArray[np.bool_]

LF, CR, SPACE, MINUS, POINT, ZERO = b"\n\r -.0"
BLOCK = 64
CHUNK = 192 << 10  # bytes of a video at a time: what is in work stays in the cache
JOINTS, COLUMNS = 25, 150
BODY_LINES = JOINTS + 2
BODY_BLANKS, JOINT_BLANKS = 9, 11  # between the tokens of a body's first line, and of a joint's
ID_DIGITS = 18

ALL = np.uint64(2**64 - 1)
POWERS = 10.0 ** np.arange(MOST_DECIMALS + 1)
WHOLE_POWERS = 10 ** np.arange(MOST_DECIMALS + 1)
PAIRINGS = np.array(  # neighbours become one number: digits to pairs, to fours, to eight
    [
        (0x0F0F0F0F0F0F0F0F, (10 << 8) + 1, 8),
        (0x00FF00FF00FF00FF, (100 << 16) + 1, 16),
        (0x0000FFFF0000FFFF, (10_000 << 32) + 1, 32),
    ],
    np.uint64,
)
SHIFTS = 8 * np.maximum(8 - np.arange(MOST_DECIMALS + 1), 0).astype(np.uint64)  # so many digits to the end of a word


class Marked(NamedTuple):
    """A text, and where its lines and blanks are."""

    text: NDArray[np.uint8]  # with nothing odd behind it
    words: Words  # the same: element i holds bytes i to i + 7, the first as the lowest
    spaces: Words  # a bit a byte
    starts: Longs  # of each line, its first byte
    ends: Longs  # its line feed
    blanks: Longs  # its spaces
    odd: Longs  # lines with a token that is not -?digits[.digits], or not laid out as usual


def scan_ntu(data: bytes) -> NtuScan | None:
    """Return the bodies of an NTU file; None if its layout is not the usual one."""
    marked = mark(data)
    if marked is None:
        return None
    heads = np.flatnonzero(marked.blanks == BODY_BLANKS)
    counts = frame_counts(marked, heads)
    if counts is None:
        return None
    seen = counts[counts > 0]
    lines = heads[:, None] + np.arange(2, BODY_LINES)
    values, fine = coordinates(marked, lines.reshape(-1))
    ids = body_ids(data, marked.starts[heads])
    left = np.concatenate([marked.odd, lines.reshape(-1)[~fine], heads[ids < 0]])
    return NtuScan(
        joints=values.reshape(-1, JOINTS, 3),
        ids=ids,
        frames=np.repeat(np.arange(len(seen)), seen),
        kept=len(seen),
        empty=len(counts) - len(seen),
        left=places(marked, np.unique(left), heads) if left.size else np.empty((0, 4), np.int64),
    )


def scan_video(data: bytes) -> VideoScan | None:
    """Return the rows of a PKU-MMD video; None if its layout is not the usual one."""
    view, at, count = memoryview(data), 0, 0
    rows, left = [np.empty((0, COLUMNS), np.float32)], [np.empty((0, 3), np.int64)]
    while at < len(data):
        stop = data.rfind(b"\n", at, at + CHUNK) + 1 or len(data)
        part = scan_rows(view[at:stop]) if stop - at <= CHUNK else None
        if part is None:
            return None
        rows.append(part.rows)
        left.append(part.left + np.array([at, at, count]))
        at, count = stop, count + len(part.rows)
    return VideoScan(np.concatenate(rows), np.concatenate(left))


def scan_rows(data: memoryview) -> VideoScan | None:
    """Scan a part of a video that ends with a line, as `scan_video` does."""
    marked = mark(data)
    if marked is None or (marked.blanks != COLUMNS - 1).any():
        return None
    ends = np.flatnonzero((marked.text == SPACE) | (marked.text == LF))[: COLUMNS * marked.ends.size]
    starts = np.concatenate([[0], ends[:-1] + 1])
    last = ends[COLUMNS - 1 :: COLUMNS]
    last -= marked.text[last - 1] == CR
    values, fine = decimals(marked, starts, ends)
    left = np.union1d(marked.odd, np.flatnonzero(~fine) // COLUMNS)
    places = np.stack([marked.starts[left], marked.ends[left], left], axis=1)
    return VideoScan(values.reshape(-1, COLUMNS), places)


def mark(data: bytes | memoryview) -> Marked | None:
    """Find lines, blanks and odd lines; None if 64 digits follow each other, which the addition cannot carry over."""
    size = len(data)
    text = np.empty((size // BLOCK + 2) * BLOCK, np.uint8)
    text[:size] = np.frombuffer(data, np.uint8)
    text[size] = LF
    size += size == 0 or text[size - 1] != LF
    text[size::2], text[size + 1 :: 2] = ZERO, SPACE  # behind the end nothing odd, and no line
    flags = np.empty(text.size, np.bool_)  # one array for all: fresh memory costs more than filling it
    digits = bits(np.less(np.subtract(text, ZERO, out=flags.view(np.uint8)), 10, out=flags))
    points, signs, spaces, returns, feeds = (
        bits(np.equal(text, byte, out=flags)) for byte in (POINT, MINUS, SPACE, CR, LF)
    )
    if (digits == ALL).any():
        return None
    # Adding the first digit of each fraction to the digits carries a bit to just behind its last digit.
    carried = digits + (behind(points) & digits)
    carried[1:] += carried[:-1] < digits[:-1]
    blank = behind(spaces | feeds)
    blank[0] |= np.uint64(1)
    bad = ~(digits | points | signs | spaces | feeds | returns)  # a byte that is none of these,
    bad |= behind(points | signs) & ~digits  # a point or sign without a digit behind it,
    bad |= blank & ~(digits | signs)  # a token that starts otherwise, or no token,
    bad |= signs & ~blank  # a sign within a token,
    bad |= behind(returns) & ~feeds  # a return that ends no line,
    bad |= carried & ~digits & points  # a second point
    ends = np.flatnonzero(flags)
    starts = np.concatenate([[0], ends[:-1] + 1])
    odd = np.unique(np.searchsorted(ends, positions(bad))) if bad.any() else ends[:0]
    return Marked(text, overlapping(text), spaces, starts, ends, blanks_within(spaces, ends), odd)


def bits(flags: Flags) -> Words:
    """Pack flags into words, a bit for each byte, the first as the lowest."""
    return np.packbits(flags, bitorder="little").view("<u8")


def behind(marks: Words) -> Words:
    """Move each mark one byte on."""
    moved = marks << np.uint64(1)
    moved[1:] |= marks[:-1] >> np.uint64(63)
    return moved


def overlapping(text: NDArray[np.uint8]) -> Words:
    """Return the text as words at every byte."""
    return np.ndarray((text.size - 7,), np.dtype("<u8"), text.data, strides=(1,))


def positions(marks: Words) -> Longs:
    """Return where the marks are, in order."""
    words = np.flatnonzero(marks)
    left = marks[words]
    found = [words[:0]]
    while words.size:
        found.append(words * BLOCK + first_mark(left))
        left &= left - np.uint64(1)
        more = np.flatnonzero(left)
        words, left = words[more], left[more]
    return np.sort(np.concatenate(found))


def first_mark(marks: Words) -> NDArray[np.uint8]:
    """Return the index of each word's lowest bit; 64 if there is none."""
    return np.bitwise_count((marks & (~marks + np.uint64(1))) - np.uint64(1))


def blanks_within(spaces: Words, ends: Longs) -> Longs:
    """Return how many spaces each line has."""
    before = np.zeros(spaces.size, np.int64)
    np.cumsum(np.bitwise_count(spaces[:-1]), out=before[1:])
    word, bit = ends >> 6, (ends & 63).view(np.uint64)
    blanks: Longs = before[word] + np.bitwise_count(spaces[word] & ((np.uint64(1) << bit) - np.uint64(1)))
    blanks[1:] -= blanks[:-1].copy()
    return blanks


def frame_counts(marked: Marked, heads: Longs) -> Longs | None:
    """Return the number of bodies in each frame; None if the lines do not follow one another as they should."""
    lone = np.flatnonzero(marked.blanks == 0)
    lines = marked.ends.size
    if lone.size + (BODY_LINES - 1) * heads.size != lines or (heads.size and heads[-1] + BODY_LINES > lines):
        return None
    if (marked.blanks[heads[:, None] + np.arange(2, BODY_LINES)] != JOINT_BLANKS).any():
        return None
    numbers = np.full(lines, -1)
    numbers[lone] = small_integers(marked, lone)
    if (numbers[heads + 1] != JOINTS).any():
        return None
    numbers[heads + 1] = -1
    where = lone[1:][numbers[lone[1:]] >= 0]
    counts = numbers[where]
    expected = np.cumsum(np.concatenate([[1], BODY_LINES * counts + 1]))
    if (where != expected[:-1]).any() or expected[-1] != lines:
        return None
    first = marked.text[: marked.ends[0]].tobytes().removesuffix(b"\r")
    return counts if first == b"%d" % counts.size and counts.size else None


def small_integers(marked: Marked, lines: Longs) -> Longs:
    """Return the numbers on lines of one or two digits; -1 for other lines."""
    start, end = marked.starts[lines], marked.ends[lines]
    end = end - (marked.text[end - 1] == CR)
    one, two = end - start == 1, end - start == 2
    units, tens = (marked.text[end - place] - np.uint8(ZERO) for place in (1, 2))
    tens[one] = 0
    return np.where((one | two) & (units <= 9) & (tens <= 9), 10 * tens.astype(np.int64) + units, -1)


def body_ids(data: bytes, starts: Longs) -> Longs:
    """Return the first tokens of lines as integers, -1 where one is not of one to eighteen digits."""
    pieces = [data[start : start + ID_DIGITS + 1] for start in starts.tolist()]
    ids = {}
    for piece in set(pieces):  # few: the fields that follow an id hardly change
        token = piece.partition(b" ")[0]
        ids[piece] = int(token) if token.isdigit() and len(token) <= ID_DIGITS else -1
    return np.array([ids[piece] for piece in pieces], np.int64)


def coordinates(marked: Marked, lines: Longs) -> tuple[NDArray[np.float32], Flags]:
    """Return the first three numbers of lines, (n, 3), and whether all three of a line are of the usual form."""
    start = marked.starts[lines]
    blanks = window(marked.spaces, start)
    starts, ends = np.empty((2, 3, lines.size), np.int64)
    for axis in range(3):
        starts[axis] = ends[axis - 1] + 1 if axis else start
        ends[axis] = start + first_mark(blanks)
        blanks &= blanks - np.uint64(1)
    values, each_fine = decimals(marked, starts.reshape(-1), ends.reshape(-1))
    fine = each_fine.reshape(3, -1)
    return np.ascontiguousarray(values.reshape(3, -1).T), fine[0] & fine[1] & fine[2]


def window(marks: Words, at: Longs) -> Words:
    """Return the marks of the 64 bytes from each position on."""
    word, bit = at >> 6, (at & 63).view(np.uint64)
    first: Words = marks[word] >> bit
    first |= marks[word + 1] << np.uint64(1) << (np.uint64(63) - bit)
    return first


def decimals(marked: Marked, starts: Longs, ends: Longs) -> tuple[NDArray[np.float32], Flags]:
    """Return the values of tokens d.d to d.dddddddddddddd, a minus before them or not, and which are of that form."""
    text, words = marked.text, marked.words
    negative = text[starts] == MINUS
    first = starts + negative
    whole = text[first] & np.uint8(0xF)
    first += 1
    fine = text[first] == POINT
    first += 1  # of the decimals
    count = ends - first
    fine &= (count - 1).view(np.uint64) < MOST_DECIMALS
    if not fine.all():
        count[~fine] = 1
    number = eight_digits(words[first] << SHIFTS[count]).view(np.int64)
    long = np.flatnonzero(count > 8)
    if long.size:
        more = count[long] - 8
        number[long] *= WHOLE_POWERS[more]
        number[long] += eight_digits(words[first[long] + 8] << SHIFTS[more]).view(np.int64)
    number += whole * WHOLE_POWERS[count]
    values = (number / POWERS[count]).astype(np.float32)
    np.negative(values, out=values, where=negative)
    return values, fine


def eight_digits(word: Words) -> Words:
    """Return the number that eight digits (or zero bytes) spell, the first as the lowest byte.

    `word` changes in place.
    """
    for mask, power, shift in PAIRINGS:
        word &= mask
        word *= power
        word >>= shift
    return word


def places(marked: Marked, lines: Longs, heads: Longs) -> Longs:
    """Return bytes of lines, and which row and joint each is."""
    row = np.searchsorted(heads, lines, side="right") - 1
    joint = np.maximum(lines - heads[row] - 2, -1)
    return np.stack([marked.starts[lines], marked.ends[lines], row, joint], axis=1)
