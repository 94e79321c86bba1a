"""Raw NTU RGB+D files: the bytes of one `.skeleton` file in, its bodies by id out, in metres in the camera's frame.

Format (github shahroudy/NTURGB-D): the number of frames; per frame the number of bodies; per body a line of 10 fields
that starts with the body id, the number of joints (25), and 25 lines of 12 numbers of which x y z are kept. Numbers in
the columns that are not kept (depth, colour, orientation) may be nan or infinite; a coordinate that is not finite makes
the whole file a fault, since no published step could give it a meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets import text_numbers
from stars_bench.datasets.text_numbers import (
    CR,
    FEW_FIELDS,
    HIGH_BITS,
    LF,
    LOW_BITS,
    MANY_FIELDS,
    MINUS,
    NOT_AN_INTEGER,
    OK,
    OUT_OF_NOTES,
    SPACE,
    TRUNCATED,
    WRONG_COUNT,
    ParseError,
    check_fields,
    compiled,
    equal_bytes,
    position_of,
    scan_float,
    scan_integer,
    scan_lone_integer,
    skip_blanks,
    skip_token,
)

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
SMALLEST_BODY = 600  # bytes: 25 lines of 12 digits, 11 blanks and a line feed; bounds what a file can hold

LINE_FEEDS, SPACES, RETURNS, FIRST_PLAIN = (np.uint64(0x0101010101010101 * byte) for byte in (LF, SPACE, CR, MINUS))
PAST_DIGITS = np.uint64(0x0101010101010101 * (0x80 - 0x3A))  # added to a byte above '9', sets its high bit

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")

# What a scan was reading when it stopped.
FRAMES, BODIES, BODY, JOINT_COUNT, JOINT, REST = range(6)
READING = (
    "the number of frames",
    "the number of bodies of frame {frame}",
    "a body of frame {frame}",
    "the number of joints of a body of frame {frame}",
    "joint {joint} of a body of frame {frame}",
    "what follows the last frame",
)


@dataclass(frozen=True)
class RawBody:
    """One body id: joints (n, 25, 3) float32 of its n frames, and the kept frame (from 0) where it first appears."""

    id: int
    first: int
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class RawClip:
    """One file: bodies in order of appearance, how many frames hold a body, and how many hold none."""

    bodies: tuple[RawBody, ...]
    num_frames: int
    empty_frames: int


def parse_name(name: str) -> tuple[int, int, int, int, int]:
    """S001C002P003R002A013 -> (setup, camera, performer, replication, action), as printed (1-based).

    Raises:
        ValueError: no NTU name: its form, or a number that NTU RGB+D 120 does not have.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no NTU name (SsssCcccPpppRrrrAaaa)")
    setup, camera, performer, replication, action = (int(part) for part in match.groups())
    limits = {"setup": (setup, 32), "camera": (camera, 3), "performer": (performer, 106)}
    limits |= {"replication": (replication, 2), "action": (action, 120)}
    for part, (value, largest) in limits.items():
        if not 1 <= value <= largest:
            raise ValueError(f"{name!r} is no NTU name: {part} {value} is not in 1..{largest}")
    return setup, camera, performer, replication, action


def parse(data: bytes) -> RawClip:
    """Reads one file.

    Raises:
        ParseError: with the line and what is wrong there: empty, truncated, zero frames, a wrong number of joints or
            fields, not a number, a coordinate that is not finite, a body twice in a frame, text behind the last frame.
    """
    if not data or data.isspace():
        raise ParseError(1, "the file is empty")
    text = text_numbers.as_text(data)
    words = text_numbers.as_words(text)
    room = text.size // SMALLEST_BODY + 1
    joints = np.empty((room, JOINTS, 3), np.float32)
    ids, frames = np.empty(room, np.int64), np.empty(room, np.int64)
    notes = text_numbers.new_notes(64)
    while True:
        verdict, at, entries, kept, empty, noted, reading, joint = _scan(text, words, joints, ids, frames, *notes)
        if verdict != OUT_OF_NOTES:
            break
        notes = text_numbers.new_notes(notes.start.size * 16)
    text_numbers.settle(data, notes, noted, joints.reshape(-1))  # an odd token stands before what stopped the scan
    if verdict != OK:
        _explain(data, verdict, at, READING[reading].format(frame=kept + empty + 1, joint=joint + 1))
    if noted:
        _check_finite(data, notes, noted, joints[:entries])
    return RawClip(_bodies(data, joints[:entries], ids[:entries], frames[:entries]), kept, empty)


def _bodies(data: bytes, joints: Any, ids: Any, frames: Any) -> tuple[RawBody, ...]:
    if ids.size == 0:
        return ()
    if (ids == ids[0]).all():
        unique, firsts, owner = ids[:1], np.zeros(1, np.int64), np.zeros(ids.size, np.int64)
    else:
        unique, firsts, owner = np.unique(ids, return_index=True, return_inverse=True)
    bodies = []
    for number in np.argsort(firsts):
        mine = owner == number
        twice = np.flatnonzero(np.diff(frames[mine]) == 0)
        if twice.size:
            position = data.find(str(unique[number]).encode())
            frame = frames[mine][twice[0]] + 1
            reason = f"body {unique[number]} appears twice in one frame (frame {frame} of those with a body)"
            raise ParseError(text_numbers.line_number(data, max(position, 0)), reason)
        own = joints if len(unique) == 1 else np.ascontiguousarray(joints[mine])
        bodies.append(RawBody(int(unique[number]), int(frames[firsts[number]]), own))
    return tuple(bodies)


def _check_finite(data: bytes, notes: text_numbers.Notes, noted: int, joints: Any) -> None:
    flat = joints.reshape(-1)
    for start, target in zip(notes.start[:noted].tolist(), notes.target[:noted].tolist(), strict=True):
        if target >= 0 and not np.isfinite(flat[target]):
            token = text_numbers.excerpt(text_numbers.token_at(data, start))
            raise ParseError(text_numbers.line_number(data, start), f"the coordinate {token} is not finite")


def _explain(data: bytes, verdict: int, at: int, reading: str) -> NoReturn:
    """Turns a verdict of the scanner into an error with a line number and a reason."""
    start = min(max(at, 0), len(data))
    line = text_numbers.line_number(data, start)
    token = text_numbers.excerpt(text_numbers.token_at(data, start))
    if verdict == TRUNCATED:
        last = data.rstrip(b" \t\r\n").count(b"\n") + 1
        raise ParseError(last, f"the file ends where {reading} should follow")
    if verdict == FEW_FIELDS:
        raise ParseError(line, f"too few numbers in {reading}")
    if verdict == MANY_FIELDS:
        raise ParseError(line, f"too many numbers in {reading}")
    if verdict == NOT_AN_INTEGER:
        content = text_numbers.excerpt(data[start:].split(b"\n", 1)[0].strip())
        raise ParseError(line, f"{reading} is {content}: not an integer alone on its line")
    if reading == READING[FRAMES]:
        raise ParseError(line, f"{reading} is {token}: it must be positive")
    if reading == READING[REST]:
        raise ParseError(line, f"text behind the last frame: {token}")
    if "joints" in reading:
        raise ParseError(line, f"{reading} is {token}: it must be {JOINTS}")
    if "number of bodies" in reading:
        raise ParseError(line, f"{reading} is {token}: it must not be negative")
    raise ParseError(line, f"the id of {reading} is {token}: not an integer")


@compiled
def _scan(
    text: Any, words: Any, joints: Any, ids: Any, frames: Any, start: Any, target: Any
) -> tuple[int, int, int, int, int, int, int, int]:
    """One pass over a file. Verdict, position, body frames read, frames kept and empty, notes, what was being read."""
    size, entries, kept, empty, noted = text.size, 0, 0, 0, 0
    count, at, fine = scan_lone_integer(text, 0)
    if not fine or count <= 0:
        return (WRONG_COUNT if fine else NOT_AN_INTEGER), 0, 0, 0, 0, 0, FRAMES, 0
    for _ in range(count):
        if skip_empty_rest(text, at) == size:
            return TRUNCATED, at, entries, kept, empty, noted, BODIES, 0
        bodies, behind, fine = scan_lone_integer(text, at)
        if not fine or bodies < 0:
            return (WRONG_COUNT if fine else NOT_AN_INTEGER), at, entries, kept, empty, noted, BODIES, 0
        at = behind
        if bodies == 0:
            empty += 1
            continue
        for _ in range(bodies):
            verdict, at, noted, reading, joint = _scan_body(text, words, at, entries, joints, ids, start, target, noted)
            if verdict != OK:
                return verdict, at, entries, kept, empty, noted, reading, joint
            frames[entries] = kept
            entries += 1
        kept += 1
    at = skip_empty_rest(text, at)
    return (OK if at == size else WRONG_COUNT), at, entries, kept, empty, noted, REST, 0


@compiled
def skip_empty_rest(text: Any, at: int) -> int:
    """To the next token, over line ends; the size of the text when there is none."""
    while at < text.size and text_numbers.is_blank(text[np.uint64(at)]):
        at += 1
    return at


@compiled
def _scan_body(
    text: Any, words: Any, at: int, entry: int, joints: Any, ids: Any, start: Any, target: Any, noted: int
) -> tuple[int, int, int, int, int]:
    """One body of one frame. Verdict, position, notes, what was being read, and which joint."""
    if skip_empty_rest(text, at) == text.size:
        return TRUNCATED, at, noted, BODY, 0
    body, at_field, fine = scan_integer(text, skip_blanks(text, at))
    if not fine:
        return NOT_AN_INTEGER if text[skip_blanks(text, at)] == LF else WRONG_COUNT, at, noted, BODY, 0
    verdict, at, noted = check_fields(text, at_field, BODY_FIELDS - 1, start, target, noted)
    if verdict != OK:
        return verdict, at, noted, BODY, 0
    if skip_empty_rest(text, at) == text.size:
        return TRUNCATED, at, noted, JOINT_COUNT, 0
    count, behind, fine = scan_lone_integer(text, at)
    if not fine or count != JOINTS:
        return (WRONG_COUNT if fine else NOT_AN_INTEGER), at, noted, JOINT_COUNT, 0
    at = behind
    ids[entry] = body
    for joint in range(JOINTS):
        if at >= text.size:
            return TRUNCATED, at, noted, JOINT, joint
        for axis in range(3):
            at = skip_blanks(text, at)
            if text[np.uint64(at)] == LF:
                return _short_line(text, at), at, noted, JOINT, joint
            value, behind, ask = scan_float(text, words, at)
            if ask:
                if noted == start.size:
                    return OUT_OF_NOTES, at, noted, JOINT, joint
                start[noted], target[noted] = at, (entry * JOINTS + joint) * 3 + axis
                noted += 1
                behind = skip_token(text, behind)
            joints[entry, joint, axis] = value
            at = behind
        behind = _skip_plain(words, at)
        if behind < 0:
            verdict, behind, noted = check_fields(text, at, JOINT_FIELDS - 3, start, target, noted)
            if verdict != OK:
                return (_short_line(text, behind) if verdict == FEW_FIELDS else verdict), behind, noted, JOINT, joint
        at = behind
    return OK, at, noted, JOINT, 0


@compiled
def _short_line(text: Any, at: int) -> int:
    """A line with too few numbers is a truncated file when it is the last."""
    return TRUNCATED if skip_empty_rest(text, at) == text.size else FEW_FIELDS


@compiled
def _skip_plain(words: Any, at: int) -> Any:
    """Over the 9 numbers that are not kept, when they are printed as usual; -1 when each has to be looked at.

    Usual: nine blanks, each before a token, and digits, points and signs only. Eight bytes at a time.
    """
    blanks: Any = 0
    carry = np.uint64(0)  # whether the last byte of the word before was a blank
    last = words.size
    while at < last:
        word = words[np.uint64(at)]
        ends = equal_bytes(word, LINE_FEEDS)
        spaces = equal_bytes(word, SPACES)
        returns = equal_bytes(word, RETURNS)
        low = ~((word | HIGH_BITS) - FIRST_PLAIN) & HIGH_BITS  # bytes below '-': blanks and line ends only
        odd = (low ^ (ends | spaces | returns)) | ((word + PAST_DIGITS) & HIGH_BITS) | (word & HIGH_BITS)
        before = (spaces << np.uint64(8)) | carry
        double = before & (spaces | returns | ends)
        if ends != np.uint64(0):
            upto = (ends & (~ends + np.uint64(1))) - np.uint64(1)  # bits below the line feed's mark
            within = spaces & upto
            blanks += np.int64(((within >> np.uint64(7)) * LOW_BITS) >> np.uint64(56))
            upto = upto | (ends & (~ends + np.uint64(1)))
            if blanks != JOINT_FIELDS - 3 or ((odd | double) & upto) != np.uint64(0):
                return -1
            return at + position_of(ends) + 1
        if (odd | double) != np.uint64(0):
            return -1
        blanks += np.int64(((spaces >> np.uint64(7)) * LOW_BITS) >> np.uint64(56))
        carry = spaces >> np.uint64(56)
        at += 8
    return -1
