"""NTU's text form with other joints: bodies by id, faults with their line, and NTU's own files alike."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.api import parse_ntu
from stars_bench.datasets.parsing.ntu import parse
from stars_bench.datasets.parsing.numbers import ParseError
from tests.datasets.raw_writers import ntu_bytes, standing

HEAD = "7 0"


def text(*frames: list[tuple[str, list[str]]]) -> bytes:
    lines = [str(len(frames))]
    for frame in frames:
        lines.append(str(len(frame)))
        for head, joints in frame:
            lines += [head, str(len(joints)), *joints]
    return "\n".join(lines).encode()


def test_files_of_ntu_are_read_as_by_its_own_parser() -> None:
    one, two = standing(4, 0), standing(4, 1)
    data = ntu_bytes([[(5, one[0])], [(5, one[1]), (9, two[1])], [], [(9, two[3])]])
    found = parse_ntu(data)
    assert (found.ids, found.bodies.shape) == ((5, 9), (2, 4, 25, 3))
    for body, joints in zip(parse(data).bodies, found.bodies, strict=True):
        seen = joints[~np.isnan(joints).any((1, 2))]
        np.testing.assert_array_equal(seen.astype(np.float32), body.joints)
    assert np.isnan(found.bodies[:, 2]).all()
    assert not np.isnan(found.bodies[1, 3]).any()


def test_any_joints_fields_and_numbers() -> None:
    data = text([("3 1 2", ["1 2 3 0.5", "4 5 nan 0.25"])], [("3", ["6 7 8 1", "9 10 11 1"])])
    np.testing.assert_array_equal(parse_ntu(data).bodies[0, 0], [[1, 2, 3], [4, 5, np.nan]])
    np.testing.assert_array_equal(parse_ntu(data, 2, 4).bodies[0, :, 1, 3], [0.25, 1])


def test_ids_that_do_not_tell_bodies_apart_give_way_to_places() -> None:
    data = text([("0", ["1 1 1"]), ("0", ["2 2 2"])], [("0", ["3 3 3"])])
    found = parse_ntu(data)
    assert found.ids == (0, 1)
    np.testing.assert_array_equal(found.bodies[0, :, 0, 0], [1, 3])


@pytest.mark.parametrize(
    ("data", "joints", "line", "told"),
    [
        (text([(HEAD, ["1 2 3"])]), 2, 4, "it must be 2"),
        (text([(HEAD, ["1 2 3"])], [(HEAD, ["1 2 3", "4 5 6"])]), None, 8, "it must be 1"),
        (text([(HEAD, ["1 2"])]), None, 5, "too few numbers in joint 1"),
        (text([(HEAD, ["1 2 x"])]), None, 5, "'x' is not a number"),
        (text([(HEAD, ["1 2 3"])]) + b"\n5", None, 6, "text behind the last frame"),
        (b"2\n0\n", None, 2, "the number of bodies of frame 2 should follow"),
        (b"", None, 1, "the file is empty"),
    ],
)
def test_faults_have_their_line(data: bytes, joints: int | None, line: int, told: str) -> None:
    with pytest.raises(ParseError, match=told) as caught:
        parse_ntu(data, joints)
    assert caught.value.line == line
