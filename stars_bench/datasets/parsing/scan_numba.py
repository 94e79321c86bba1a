"""The fast scanner of raw text, compiled by numba: what the exact reading gives, at the speed of a C program.

First pass: bytes are classified 64 at a time, one bit a byte (simdjson: Langdale, Lemire 2019), by vector instructions;
this finds line ends, blanks and odd lines. Second pass: the numbers, eight digits as one 64-bit word.

Compiling is what a first conversion waits for, so each function is compiled for one set of types: np.int64(0), not 0,
is passed to those that also get computed numbers, since numba compiles them once more for a literal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba.extending import intrinsic
from numpy.typing import NDArray

from stars_bench.datasets.parsing.scan_types import MOST_DECIMALS, NtuScan, VideoScan
from stars_bench.io.numba_cache import inlined, kept

LF, CR, SPACE, MINUS, PLUS, POINT, ZERO, SMALL_E, LARGE_E = b"\n\r -+.0eE"
BLOCK = 64
FILLED = np.full(BLOCK, ZERO, np.uint8)
SHORTEST_LINE = 8  # bytes, on average: a text of shorter lines is not usual
JOINTS, COLUMNS = 25, 150
BODY_BLANKS, JOINT_BLANKS = 9, 11  # between the tokens of a body's first line, and of a joint's
MOST_DIGITS = 18  # of an id

U64 = np.uint64
ZEROS = U64(0x3030303030303030)
POWERS = 10.0 ** np.arange(MOST_DECIMALS + 1)
WHOLE_POWERS = 10 ** np.arange(MOST_DECIMALS + 1, dtype=np.int64)
EXACT_POWERS = np.array([float(f"1e{power}") for power in range(23)])  # float64 holds no higher power of ten exactly
EXACT_DIGITS = 15  # of a number that float64 always holds exactly

# What the first pass hands from one call to the next: marks of the byte before (point, sign, blank, return), of a
# fraction and of an odd line; how many lines, spaces and odd lines there were.
BLANK, LINES, ODD_LINES = 2, 6, 8


def scan_ntu(data: bytes) -> NtuScan | None:
    """Return the bodies of an NTU file; None if its layout is not the usual one."""
    text, tail = padded(data)
    usual, joints, ids, frames, kept, empty, left = ntu_arrays(text, *marked(text, tail))
    return NtuScan(joints, ids, frames, kept, empty, left) if usual else None


def scan_video(data: bytes) -> VideoScan | None:
    """Return the rows of a PKU-MMD video; None if its layout is not the usual one."""
    text, tail = padded(data)
    usual, rows, left = video_arrays(text, *marked(text, tail))
    return VideoScan(rows, left) if usual else None


def padded(data: bytes) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the text, and the rest behind its last whole block once more, ended by a line feed and filled up."""
    text = np.frombuffer(data, np.uint8)
    tail = FILLED.copy()
    rest = len(data) % BLOCK
    tail[:rest] = text[len(data) - rest :]
    if not data.endswith(b"\n"):
        tail[rest] = LF
    tail.flags.writeable = False  # as the text's: both are of one type
    return text, tail


# ------------------------------------------------------------------------------------------ machine instructions


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function into a machine instruction: it gets types, and returns a signature and a code builder."""
    return cast(Callable[..., Any], intrinsic(function))


def bytes_within(first: int, count: int) -> Any:
    """Make a function of text and position that marks which of 64 bytes are in [first, first + count)."""
    kind = ir.VectorType(ir.IntType(8), BLOCK)

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = builder.gep(context.make_array(signature.args[0])(context, builder, arguments[0]).data, [arguments[1]])
        vector = builder.load(builder.bitcast(place, kind.as_pointer()))
        vector.align = 1
        number = builder.sub(vector, ir.Constant(kind, [first] * BLOCK))
        return builder.bitcast(builder.icmp_unsigned("<", number, ir.Constant(kind, [count] * BLOCK)), ir.IntType(64))

    return instruction(lambda _context, text, _at: (numba.types.uint64(text, numba.types.intp), build))


digits_at, points_at, signs_at = bytes_within(ZERO, 10), bytes_within(POINT, 1), bytes_within(MINUS, 1)
spaces_at, feeds_at, returns_at = bytes_within(SPACE, 1), bytes_within(LF, 1), bytes_within(CR, 1)


@instruction
def word_at(_context: Any, text: Any, _at: Any) -> Any:
    """Return eight bytes from a position on as a word, the first as the lowest byte."""

    def build(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place = builder.gep(context.make_array(text)(context, builder, arguments[0]).data, [arguments[1]])
        word = builder.load(builder.bitcast(place, ir.IntType(64).as_pointer()))
        word.align = 1
        return word

    return numba.types.uint64(text, numba.types.intp), build


@instruction
def first_mark(_context: Any, _marks: Any) -> Any:
    """Return the index of the lowest bit; 64 if there is none."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return numba.types.int64(numba.types.uint64), build


@instruction
def number_of_marks(_context: Any, _marks: Any) -> Any:
    """Return how many bits are set."""

    def build(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.int64(numba.types.uint64), build


@inlined
def byte_at(text: Any, at: Any) -> Any:
    """Return the byte at a position."""
    return np.int64(text[U64(at)])  # unsigned: an index that may be negative would be tested


# ------------------------------------------------------------------------------- first pass: lines, blanks, oddities


@kept
def marked(text: Any, tail: Any) -> Any:
    """Find each line's end, the spaces up to there, odd lines and spaces.

    A line is odd if a token is not -?digits[.digits], or if its layout is not single spaces between tokens and LF or
    CRLF.

    Returns:
        Ends of lines, counts of spaces, odd lines, a bit for each space, and the number of lines (0 if they are not
        usual).
    """
    blocks = text.size // BLOCK
    room = text.size // SHORTEST_LINE + 3 * BLOCK
    ends, counts = np.empty(room, np.int64), np.empty(room, np.int64)
    odd, spaces = np.empty(room, np.int64), np.empty(blocks + 2, U64)
    state = np.zeros(9, U64)
    state[BLANK] = 1  # a line starts
    for part in range(2):  # one call in a loop: `mark` is compiled once
        piece, number, offset = (text, blocks, 0) if part == 0 else (tail, 1, blocks * BLOCK)
        if not mark(piece, number, offset, state, ends, counts, odd, spaces):
            break
    odd[np.int64(state[ODD_LINES])] = -1
    spaces[blocks + 1] = 0
    return ends, counts, odd, spaces, np.int64(state[LINES])


@inlined
def mark(text: Any, blocks: int, offset: int, state: Any, ends: Any, counts: Any, odd: Any, spaces: Any) -> bool:
    """Do the work of `marked` for whole blocks, the first at the text's byte `offset`; return False if out of room."""
    point, sign, blank, returned, fraction = state[0], state[1], state[2], state[3], state[4]
    oddity, lines, seen, odds = state[5], np.int64(state[6]), np.int64(state[7]), np.int64(state[8])
    one, last = U64(1), U64(63)
    for block in range(blocks):
        at = block * BLOCK
        digits, points, signs = digits_at(text, at), points_at(text, at), signs_at(text, at)
        space, feeds, returns = spaces_at(text, at), feeds_at(text, at), returns_at(text, at)
        at += offset
        spaces[U64(at >> 6)] = space
        blanks = space | feeds
        after_point, after_sign = (points << one) | point, (signs << one) | sign
        after_blank, after_return = (blanks << one) | blank, (returns << one) | returned
        point, sign, blank, returned = points >> last, signs >> last, blanks >> last, returns >> last
        # Adding the first digit of each fraction to the digits carries a bit to just behind its last digit.
        total = digits + (after_point & digits)
        carried = total + fraction
        fraction = U64(total < digits) | U64(carried < total)
        bad = ~(digits | points | signs | blanks | returns)  # a byte that is none of these,
        bad |= (after_point | after_sign) & ~digits  # a point or sign without a digit behind it,
        bad |= after_blank & ~(digits | signs)  # a token that starts otherwise, or no token,
        bad |= signs & ~after_blank  # a sign within a token,
        bad |= after_return & ~feeds  # a return that ends no line,
        bad |= carried & ~digits & points  # a second point
        first = lines
        rest = feeds
        for _ in range(2):  # written whether there are so many or not: what is too much is overwritten
            ends[U64(lines)] = at + first_mark(rest)
            counts[U64(lines)] = seen + number_of_marks(space & (rest ^ (rest - one)))
            lines += rest != 0
            rest &= rest - one
        while rest != 0:
            ends[U64(lines)] = at + first_mark(rest)
            counts[U64(lines)] = seen + number_of_marks(space & (rest ^ (rest - one)))
            lines += 1
            rest &= rest - one
        seen += number_of_marks(space)
        if (bad | oddity) != 0:
            for line in range(first, lines):
                feed = one << U64(ends[line] - at)
                upto = feed | (feed - one)
                if ((bad & upto) | oddity) != 0:
                    odd[odds] = line
                    odds += 1
                bad &= ~upto
                oddity = U64(0)
            oddity |= bad
        if lines + 2 * BLOCK > ends.size:
            state[LINES] = 0
            return False
    state[0], state[1], state[2], state[3], state[4] = point, sign, blank, returned, fraction
    state[5], state[6], state[7], state[8] = oddity, U64(lines), U64(seen), U64(odds)
    return True


# ----------------------------------------------------------------------------------------- second pass: the numbers


@kept
def ntu_arrays(text: Any, ends: Any, counts: Any, odd: Any, spaces: Any, lines: int) -> Any:
    """Return whether the layout is usual, and the fields of an NtuScan."""
    room = lines // (JOINTS + 2) + 1
    joints, ids = np.empty((room, JOINTS, 3), np.float32), np.empty(room, np.int64)
    frames, left = np.empty(room, np.int64), np.empty((lines, 4), np.int64)
    rows, kept, empty, undecided = ntu_bodies(text, ends, counts, odd, spaces, lines, joints, ids, frames, left)
    return rows >= 0, joints[:rows], ids[:rows], frames[:rows], kept, empty, left[:undecided]


@inlined
def ntu_bodies(
    text: Any, ends: Any, counts: Any, odd: Any, spaces: Any, lines: int, joints: Any, ids: Any, frames: Any, left: Any
) -> tuple[int, int, int, int]:
    """Fill in the fields; return the numbers of rows, kept frames, empty frames and lines left.

    -1 rows means that the layout is not the usual one.
    """
    row, kept, empty, undecided, oddities = 0, 0, 0, 0, 0
    flat = joints.reshape(-1)  # not a view of each joint: making one takes longer than reading it
    number = whole_number(text, np.int64(0), ends[0]) if lines > 0 else 0
    if number <= 0 or counts[0] != 0:
        return -1, 0, 0, 0
    line = 1
    for _ in range(number):
        if line >= lines or counts[line] != counts[line - 1]:
            return -1, 0, 0, 0
        bodies = whole_number(text, ends[line - 1] + 1, ends[line])
        line += 1
        if bodies < 0 or bodies > lines or line + bodies * (JOINTS + 2) > lines:
            return -1, 0, 0, 0
        for _ in range(bodies):
            if counts[line] - counts[line - 1] != BODY_BLANKS or counts[line + 1] != counts[line]:
                return -1, 0, 0, 0
            if whole_number(text, ends[line] + 1, ends[line + 1]) != JOINTS:
                return -1, 0, 0, 0
            start = ends[line - 1] + 1
            ids[row] = whole_number(text, start, start + first_mark(next_spaces(spaces, start)))
            fine = ids[row] >= 0
            for joint in range(-1, JOINTS):
                if joint >= 0:
                    if counts[line] - counts[line - 1] != JOINT_BLANKS:
                        return -1, 0, 0, 0
                    fine = coordinates(text, spaces, ends[line - 1] + 1, flat, 3 * (JOINTS * row + joint))
                if odd[oddities] == line or not fine:
                    oddities += odd[oddities] == line
                    start, end = ends[line - 1] + 1, ends[line]
                    columns, wanted = (JOINT_BLANKS + 1, 3) if joint >= 0 else (BODY_BLANKS + 1, 0)
                    # One call for both kinds of lines, so that it is compiled and inlined once.
                    read = odd_numbers(text, start, end, columns, wanted, flat, 3 * (JOINTS * row + joint))
                    fine = read and (fine or joint >= 0)
                    if not fine:
                        left[undecided, 0], left[undecided, 1] = start, end
                        left[undecided, 2], left[undecided, 3] = row, joint
                        undecided += 1
                line += 2 if joint < 0 else 1
            frames[row] = kept
            row += 1
        kept += bodies > 0
        empty += bodies == 0
    return (row if line == lines else -1), kept, empty, undecided


@kept
def video_arrays(text: Any, ends: Any, counts: Any, odd: Any, spaces: Any, lines: int) -> Any:
    """Return whether the layout is usual, and the fields of a VideoScan."""
    rows, left = np.empty((lines, COLUMNS), np.float32), np.empty((lines, 3), np.int64)
    flat, undecided, oddities, columns = rows.reshape(-1), 0, 0, np.int64(COLUMNS)
    for row in range(lines):
        if counts[row] - (counts[row - 1] if row else 0) != COLUMNS - 1:
            return False, rows[:0], left[:0]
        start = ends[row - 1] + 1 if row else 0
        is_odd = odd[oddities] == row
        oddities += is_odd
        fine = not is_odd and numbers(text, spaces, start, ends[row], flat, row * COLUMNS)
        if not fine and not odd_numbers(text, start, ends[row], columns, columns, flat, row * COLUMNS):
            left[undecided, 0], left[undecided, 1], left[undecided, 2] = start, ends[row], row
            undecided += 1
    return lines > 0, rows, left[:undecided]


@inlined
def numbers(text: Any, spaces: Any, start: Any, end: Any, values: Any, at: Any) -> bool:
    """Read the numbers of a line up to `end` into `values` from `at` on; False if one is not of the usual form."""
    end -= byte_at(text, end - 1) == CR
    for column in range(COLUMNS):
        behind = end if column == COLUMNS - 1 else start + first_mark(next_spaces(spaces, start))
        values[U64(at + column)], fine = decimal(text, start, behind)
        if not fine:
            return False
        start = behind + 1
    return True


@inlined
def coordinates(text: Any, spaces: Any, start: Any, values: Any, at: Any) -> bool:
    """Read the first three numbers of a line into `values` from `at` on; False if one is not of the usual form."""
    marks = next_spaces(spaces, start)
    line, all_fine = start, True
    for axis in range(3):
        end = line + first_mark(marks)
        values[U64(at + axis)], fine = decimal(text, start, end)
        all_fine &= fine
        marks &= marks - U64(1)
        start = end + 1
    return all_fine


@inlined
def odd_numbers(text: Any, start: Any, end: Any, columns: Any, wanted: Any, values: Any, at: Any) -> bool:
    """Read a line of `columns` tokens -?digits[.digits][e[+-]digits], the first `wanted` of them into `values`.

    This works byte by byte and is exact, as `scan_types` says. It returns False if a token is of another form, or is
    wanted and has too many digits for that.
    """
    end -= byte_at(text, end - 1) == CR
    for column in range(columns):
        negative = start < end and byte_at(text, start) == MINUS
        number, first = np.int64(0), start + negative
        start, number = digits_from(text, first, end, number)
        digits, power = start - first, 0
        if digits == 0:
            return False
        if start < end and byte_at(text, start) == POINT:
            first = start + 1
            start, number = digits_from(text, first, end, number)
            power = first - start
            digits -= power
            if power == 0:
                return False
        if start < end and (byte_at(text, start) == SMALL_E or byte_at(text, start) == LARGE_E):
            start += 1
            down = start < end and byte_at(text, start) == MINUS
            first = start + (start < end and (down or byte_at(text, start) == PLUS))
            start, exponent = digits_from(text, first, end, np.int64(0))
            if start == first or start > first + 3:
                return False
            power += -exponent if down else exponent
        if column < columns - 1:
            if start >= end or byte_at(text, start) != SPACE:
                return False
            start += 1
        if column < wanted:
            if digits > EXACT_DIGITS or abs(power) >= EXACT_POWERS.size:
                return False
            scale = EXACT_POWERS[U64(abs(power))]
            value = np.float32(np.float64(number) / scale if power < 0 else np.float64(number) * scale)
            values[U64(at + column)] = -value if negative else value
    return bool(start == end)


@inlined
def digits_from(text: Any, start: Any, end: Any, number: Any) -> tuple[Any, Any]:
    """Return where the digits end that begin at `start`, and the number with them behind it."""
    while start < end:
        digit = byte_at(text, start) - ZERO
        if digit < 0 or digit > 9:
            break
        number = number * 10 + digit
        start += 1
    return start, number


@inlined
def next_spaces(spaces: Any, at: Any) -> Any:
    """Return the marks of the 64 bytes from `at` on."""
    word, bit = U64(at) >> U64(6), U64(at) & U64(63)
    return (spaces[word] >> bit) | (spaces[word + U64(1)] << U64(1) << (U64(63) - bit))


@inlined
def decimal(text: Any, start: Any, end: Any) -> tuple[Any, bool]:
    """Return the value of a token d.d to d.dddddddddddddd, a minus before it or not, and whether it is of that form."""
    negative = byte_at(text, start) == MINUS
    first = start + negative
    count = end - first - 2  # decimals
    # The last 16 bytes up to `end` are read, with any content: near the start of a text there are fewer.
    if count < 1 or count > MOST_DECIMALS or end < 16 or byte_at(text, first + 1) != POINT:
        return np.float32(0), False
    number = last_digits(word_at(text, end - 8), min(count, 8))
    if count > 8:
        number += last_digits(word_at(text, end - 16), count - 8) * 100_000_000
    number += (byte_at(text, first) - ZERO) * WHOLE_POWERS[U64(count)]
    value = np.float32(np.float64(number) / POWERS[U64(count)])
    return (-value if negative else value), True


@inlined
def last_digits(word: Any, count: Any) -> Any:
    """Return the number that the last 1 to 8 bytes of a word spell."""
    others = U64(64 - 8 * count)
    word = ((word ^ ZEROS) >> others) << others
    word = ((word * U64(10)) + (word >> U64(8))) & U64(0x00FF00FF00FF00FF)
    word = ((word * U64(100)) + (word >> U64(16))) & U64(0x0000FFFF0000FFFF)
    return np.int64(((word * U64(10_000)) + (word >> U64(32))) & U64(0x00000000FFFFFFFF))


@inlined
def whole_number(text: Any, start: Any, end: Any) -> int:
    """Return a token or line of 1 to 18 digits as an integer; -1 if it is not one."""
    if end > start and byte_at(text, end - 1) == CR:
        end -= 1
    if end <= start or end - start > MOST_DIGITS:
        return -1
    number = 0
    for at in range(start, end):
        digit = byte_at(text, at) - ZERO
        if digit < 0 or digit > 9:
            return -1
        number = number * 10 + digit
    return number
