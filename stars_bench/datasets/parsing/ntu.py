"""Raw NTU RGB+D files: the bytes of one `.skeleton` file in, its bodies by id out, in metres in the camera's frame.

Format (github shahroudy/NTURGB-D): the number of frames; per frame the number of bodies; per body a line of 10 fields
that starts with the body id, the number of joints (25), and 25 lines of 12 numbers; x y z are kept. Numbers in
the columns that are not kept (depth, colour, orientation) may be nan or infinite; a coordinate that is not finite makes
the whole file a fault, since no published step could give it a meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stars_bench.datasets.parsing import compiled_code, ntu_exact
from stars_bench.datasets.parsing.ntu_exact import JOINTS as JOINTS
from stars_bench.datasets.parsing.numbers import ParseError, check_range, check_text
from stars_bench.datasets.parsing.scan_types import NtuScan

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})")

Longs = NDArray[np.int64]

LARGEST = (("setup", 32), ("camera", 3), ("performer", 106), ("replication", 2), ("action", 120))


@dataclass(frozen=True)
class RawBody:
    """One body id.

    Args:
        id: Kinect's body id.
        first: The kept frame (from 0) in which it first appears.
        joints: (n, 25, 3) float32 of its n frames, metres.
    """

    id: int
    first: int
    joints: NDArray[np.float32]


@dataclass(frozen=True)
class RawClip:
    """One file.

    Args:
        bodies: Bodies in order of appearance.
        num_frames: Number of frames that hold a body.
        empty_frames: Number of frames that hold none.
    """

    bodies: tuple[RawBody, ...]
    num_frames: int
    empty_frames: int


def parse_name(name: str) -> tuple[int, int, int, int, int]:
    """Split S001C002P003R002A013 into (setup, camera, performer, replication, action), as printed (1-based).

    Raises:
        ValueError: The name does not have NTU's form.
        UnknownNumber: It has a number that NTU RGB+D 120 does not have.
    """
    match = NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no NTU name (SsssCcccPpppRrrrAaaa)")
    setup, camera, performer, replication, action = map(int, match.groups())
    numbers = (setup, camera, performer, replication, action)
    for value, (part, largest) in zip(numbers, LARGEST, strict=True):
        check_range(part, value, 1, largest)
    return numbers


def parse(data: bytes) -> RawClip:
    """Read one `.skeleton` file.

    Raises:
        ParseError: The file is wrong, with the line and the fault: no text, truncated, zero frames, a wrong number of
            joints or fields, not a number, a coordinate that is not finite, a body twice in a frame, text behind the
            last frame.
    """
    check_text(data)
    scanner = compiled_code.scanner(len(data))
    scan = _complete(data, scanner.scan_ntu(data)) if scanner is not None else None
    scan = scan or ntu_exact.read(data)
    return RawClip(_bodies(data, scan), scan.kept, scan.empty)


def _complete(data: bytes, scan: NtuScan | None) -> NtuScan | None:
    """Read the lines that a scan has left over; None when one of them is wrong: the exact reading says how."""
    if scan is None:
        return None
    try:
        for start, behind, row, joint in scan.left.tolist():
            if joint < 0:
                scan.ids[row] = ntu_exact.body_id(data[start:behind])
            else:
                scan.joints[row, joint] = ntu_exact.coordinates(data[start:behind])
    except ValueError:
        return None
    return scan


def _bodies(data: bytes, scan: NtuScan) -> tuple[RawBody, ...]:
    order, starts, twice = _rows_by_body(scan.ids, scan.frames)
    if twice >= 0:
        body, frame = int(scan.ids[twice]), scan.frames[twice] + 1
        line = data.count(b"\n", 0, max(data.find(str(body).encode()), 0)) + 1
        raise ParseError(line, f"body {body} appears twice in one frame (frame {frame} of those with a body)")
    if len(starts) == 2:  # most files: one body
        return (RawBody(int(scan.ids[0]), int(scan.frames[0]), scan.joints),)
    if len(starts) == 1:  # every frame is empty
        return ()
    joints, firsts = scan.joints[order], order[starts[:-1]]
    bodies = zip(scan.ids[firsts].tolist(), scan.frames[firsts].tolist(), pairwise(starts.tolist()), strict=True)
    return tuple(RawBody(body, first, joints[start:behind]) for body, first, (start, behind) in bodies)


def _rows_by_body(ids: Longs, frames: Longs) -> tuple[Longs, Longs, int]:
    """Order rows by body as `bodies_numba.rows_by_body` does."""
    if (compiled := compiled_code.body_kernels()) is not None:
        rows: tuple[Longs, Longs, int] = compiled.rows_by_body(ids, frames)
        return rows
    code_of = {body: code for code, body in enumerate(dict.fromkeys(ids.tolist()))}
    codes = np.array([code_of[body] for body in ids.tolist()], np.int64)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(code_of) + 1))
    again = order[1:][(np.diff(codes[order]) == 0) & (np.diff(frames[order]) == 0)]
    return order, starts, int(again.min()) if again.size else -1
