"""The exact reading of NTU RGB+D files, line by line: where few are read, and where every fault gets line and reason.

In: the bytes of a file, or of one of its lines. Out: the same NtuScan as the fast scanner's, with nothing left open.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from stars_bench.datasets.parsing.numbers import ParseError, excerpt, read_integer, read_numbers, tokens_of
from stars_bench.datasets.parsing.scan_types import NtuScan

JOINTS = 25
BODY_FIELDS = 10
JOINT_FIELDS = 12
INFINITE = 2.0**128 - 2.0**103  # from here on a float64 is rounded to an infinite float32


def body_id(line: bytes) -> int:
    """Return the id at the head of a body, whose other fields must be numbers.

    Raises:
        ValueError: It is not such a line.
    """
    head, *fields = tokens_of(line)
    if len(fields) != BODY_FIELDS - 1:
        raise ValueError("not a body's line")
    read_numbers(b" ".join(fields))
    return read_integer(head)


def coordinates(line: bytes) -> list[float]:
    """Return x, y and z of a joint's line, whose other fields must be numbers.

    Raises:
        ValueError: It is not such a line, or one of the three is not finite as float32.
    """
    numbers = read_numbers(line)
    if len(numbers) != JOINT_FIELDS or not all(abs(number) < INFINITE for number in numbers[:3]):
        raise ValueError("not a joint's line")
    return numbers[:3]


def read(data: bytes) -> NtuScan:
    """Read a whole file.

    Raises:
        ParseError: With the first line that is wrong, and why; a coordinate that is not finite comes last.
    """
    lines = Lines(data)
    joints: list[list[float]] = []
    where: list[int] = []  # the line of each joint
    ids: list[int] = []
    frames: list[int] = []
    kept = empty = 0
    count = lines.count("the number of frames", "it must be positive", range(1, 2**63))
    for frame in range(1, count + 1):
        bodies = lines.count(f"the number of bodies of frame {frame}", "it must not be negative", range(2**63))
        for _ in range(bodies):
            body = f"a body of frame {frame}"
            ids.append(lines.head(body))
            lines.count(f"the number of joints of {body}", f"it must be {JOINTS}", range(JOINTS, JOINTS + 1))
            for joint in range(1, JOINTS + 1):
                joints.append(lines.joint(f"joint {joint} of {body}"))
                where.append(lines.at)
            frames.append(kept)
        kept, empty = kept + (bodies > 0), empty + (bodies == 0)
    lines.end()
    with np.errstate(over="ignore"):
        array = np.array(joints, np.float64).reshape(-1, JOINTS, 3).astype(np.float32)
    bad = np.argwhere(~np.isfinite(array.reshape(-1, 3)))
    if len(bad):
        joint, axis = bad[0]
        token = tokens_of(lines.lines[where[joint] - 1])[axis]
        raise ParseError(where[joint], f"the coordinate {excerpt(token)} is not finite")
    return NtuScan(array, np.array(ids, np.int64), np.array(frames, np.int64), kept, empty, np.empty((0, 4), np.int64))


class Lines:
    """The lines of a file, taken one after another; `at` is the 1-based number of the line taken last.

    Args:
        data: The bytes of the file.
    """

    def __init__(self, data: bytes) -> None:
        self.lines = data.split(b"\n")
        self.last = data.rstrip(b" \t\r\n").count(b"\n") + 1  # behind it there are blanks only
        self.at = 0

    def take(self, reading: str) -> bytes:
        """Return the next line; a fault in it says that it is `reading`."""
        if self.at >= self.last:
            self.truncated(reading)
        self.at += 1
        return self.lines[self.at - 1]

    def truncated(self, reading: str) -> NoReturn:
        """Raise ParseError: the file ends before `reading`."""
        raise ParseError(self.last, f"the file ends where {reading} should follow")

    def fault(self, reason: str) -> NoReturn:
        """Raise ParseError with the reason, at the line taken last."""
        raise ParseError(self.at, reason)

    def count(self, reading: str, rule: str, allowed: range) -> int:
        """Return a line that holds one integer and nothing else."""
        line = self.take(reading)
        tokens = tokens_of(line)
        try:
            (token,) = tokens
            value = read_integer(token)
        except ValueError:
            self.fault(f"{reading} is {excerpt(line.strip())}: not an integer alone on its line")
        if value not in allowed:
            self.fault(f"{reading} is {excerpt(token)}: {rule}")
        return value

    def head(self, reading: str, fields: int | None = BODY_FIELDS) -> int:
        """Return the line before a body's joints: its id; None as `fields` allows any number of them."""
        head, *others = tokens_of(self.take(reading)) or self.fault(
            f"{reading} is '': not an integer alone on its line"
        )
        try:
            body = read_integer(head)
        except ValueError:
            self.fault(f"the id of {reading} is {excerpt(head)}: not an integer")
        found = len(self.numbers(b" ".join(others)))
        self.compare(found, found if fields is None else fields - 1, reading)
        return body

    def joint(self, reading: str) -> list[float]:
        """Return a joint's line: x, y and z."""
        numbers = self.numbers(self.take(reading))
        if len(numbers) < JOINT_FIELDS and self.at == self.last:
            self.truncated(reading)
        self.compare(len(numbers), JOINT_FIELDS, reading)
        return numbers[:3]

    def numbers(self, line: bytes) -> list[float]:
        """Return the numbers of the line taken last."""
        try:
            return read_numbers(line)
        except ValueError as error:
            self.fault(str(error))

    def compare(self, found: int, expected: int, reading: str) -> None:
        """Raise ParseError when a line has another number of numbers than it must have."""
        if found != expected:
            self.fault(f"too {'few' if found < expected else 'many'} numbers in {reading}")

    def end(self) -> None:
        """Raise ParseError when text is left."""
        for line in self.lines[self.at : self.last]:
            self.at += 1
            if tokens := tokens_of(line):
                self.fault(f"text behind the last frame: {excerpt(tokens[0])}")
