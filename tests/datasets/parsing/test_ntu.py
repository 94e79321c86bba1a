"""The NTU parser: everything that the format allows, and every fault with its line."""

from __future__ import annotations

import numpy as np
import pytest

from stars_bench.datasets.parsing import compiled_code
from stars_bench.datasets.parsing.ntu import RawClip, parse, parse_name
from stars_bench.datasets.parsing.numbers import ParseError
from tests.datasets.parsing.test_scanners import SCANNERS
from tests.datasets.raw_writers import BODY_ID, ntu_bytes, ntu_lines, one_person, standing

FRAME = 28  # lines of a frame with one body


@pytest.fixture(params=list(SCANNERS), autouse=True)
def scanner(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_code, "scanner", lambda _: SCANNERS[request.param])


def lines() -> list[str]:
    return ntu_lines([[(BODY_ID, joints)] for joints in standing(3)])


def text(content: list[str]) -> bytes:
    return ("\n".join(content) + "\n").encode()


def by_python(data: bytes) -> dict[int, np.ndarray]:
    """A plain per-line parser: joints of each body id."""
    rows = iter(data.decode().split("\n"))
    bodies: dict[int, list[list[list[np.float32]]]] = {}
    for _ in range(int(next(rows))):
        for _ in range(int(next(rows))):
            body = int(next(rows).split()[0])
            count = int(next(rows))
            joints = [[np.float32(float(part)) for part in next(rows).split()[:3]] for _ in range(count)]
            bodies.setdefault(body, []).append(joints)
    return {body: np.array(joints, np.float32) for body, joints in bodies.items()}


def assert_same(found: RawClip, expected: dict[int, np.ndarray]) -> None:
    assert [body.id for body in found.bodies] == list(expected)
    for body in found.bodies:
        np.testing.assert_array_equal(body.joints.view(np.uint32), expected[body.id].view(np.uint32))


def fault(data: bytes) -> tuple[int, str]:
    with pytest.raises(ParseError) as caught:
        parse(data)
    return caught.value.line, caught.value.reason


@pytest.mark.parametrize("seed", range(20))
def test_the_bodies_are_those_that_a_plain_parser_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ids = [72057594037931738, 72057594037931734, 5]  # the first two are one number in float64
    digits = str(rng.choice(["%.7g", "%.9f", "%.17g", "%.4e", "%d"]))
    frames = [
        [(ids[i], rng.normal(0, 2, (25, 3))) for i in rng.permutation(3)[: rng.integers(0, 4)]] for _ in range(12)
    ]
    content = "\n".join(ntu_lines(frames, digits)).encode()
    found = parse(content)
    assert_same(found, by_python(content))
    assert found.num_frames == sum(bool(frame) for frame in frames)
    assert found.num_frames + found.empty_frames == 12


def test_a_body_starts_at_the_kept_frame_in_which_it_first_appears() -> None:
    joints = standing(6)
    frames = [[], [(1, joints[0])], [], [(1, joints[1]), (2, joints[2])], [(2, joints[3])]]
    found = parse(ntu_bytes(frames))
    assert [(body.id, body.first, len(body.joints)) for body in found.bodies] == [(1, 0, 2), (2, 1, 2)]
    assert (found.num_frames, found.empty_frames) == (3, 2)


def test_crlf_no_last_line_end_tabs_and_double_blanks_change_nothing() -> None:
    plain = one_person()
    expected = by_python(plain)
    for other in (
        plain.replace(b"\n", b"\r\n"),
        plain.rstrip(b"\n"),
        plain + b"\n \r\n",
        plain.replace(b" ", b"\t"),
        plain.replace(b" ", b"  "),
        plain.replace(b"\n", b" \n"),
    ):
        assert_same(parse(other), expected)


def test_numbers_that_are_not_kept_may_be_nan_infinite_or_in_exponent_form() -> None:
    content = lines()
    for odd in ("nan", "-1.#IND", "inf", "1.#QNAN", "-2.5E-05", "+3"):
        content[4] = content[4].replace("277.419", odd)
        assert_same(parse(text(content)), by_python(text(lines())))


def test_coordinates_in_exponent_form_are_read() -> None:
    content = lines()
    content[4] = "1.5e-05 -2E1 +3.25e+00 " + content[4].split(" ", 3)[3]
    np.testing.assert_array_equal(
        parse(text(content)).bodies[0].joints[0, 0], np.array([1.5e-05, -20, 3.25], np.float32)
    )


@pytest.mark.parametrize("odd", ["nan", "-1.#IND", "inf", "1e39"])
def test_a_coordinate_that_is_not_finite_is_a_fault_of_its_line(odd: str) -> None:
    content = lines()
    content[1 + FRAME + 5] = f"0.5 {odd} " + content[1 + FRAME + 5].split(" ", 2)[2]
    line, reason = fault(text(content))
    assert line == 1 + FRAME + 6
    assert odd in reason
    assert "not finite" in reason


def test_the_file_ends_too_early_wherever_it_is_cut_at_a_line() -> None:
    whole = text(lines()).splitlines(keepends=True)
    for cut in range(1, len(whole)):
        line, reason = fault(b"".join(whole[:cut]))
        assert line == cut
        assert "ends" in reason


def test_a_file_cut_within_a_line_is_never_taken_for_whole() -> None:
    whole = text(lines())
    for cut in range(len(whole) - 120, len(whole) - 2):
        assert fault(whole[:cut])


@pytest.mark.parametrize(
    ("line", "content", "words"),
    [
        (1, "0", "must be positive"),
        (1, "-3", "must be positive"),
        (1, "many", "not an integer"),
        (1, "3 4", "not an integer"),
        (1, "99999999999999999999999", "not an integer"),
        (2, "-1", "must not be negative"),
        (2, "1.5", "not an integer"),
        (3, "7.2e16 0 1 1 1 1 0 0.0 0.0 2", "not an integer"),
        (3, "72057594037931101 0 1 1 1 1 0 0.0 0.0", "too few"),
        (3, "72057594037931101 0 1 1 1 1 0 0.0 0.0 2 3", "too many"),
        (4, "24", "must be 25"),
        (4, "26", "must be 25"),
        (4, "-1", "must be 25"),
        (4, "999999999999", "must be 25"),
        (6, "1 2", "too few"),
        (6, "1 2 3 4 5 6 7 8 9 10 11", "too few"),
        (6, "1 2 3 4 5 6 7 8 9 10 11 12 13", "too many"),
        (6, "1 two 3 4 5 6 7 8 9 10 11 12", "not a number"),
        (6, "1 2 3 4 5 six 7 8 9 10 11 12", "not a number"),
        (6, "1 2 3 4 5 6 7 8 9 10 11 1x", "not a number"),
        (6, "", "too few"),
    ],
)
def test_a_fault_is_told_with_its_line(line: int, content: str, words: str) -> None:
    damaged = lines()
    damaged[line - 1] = content
    for ending in ("\n", "\r\n"):
        found, reason = fault((ending.join(damaged) + ending).encode())
        assert found == line, reason
        assert words in reason


@pytest.mark.parametrize("count", ["1000000000", "4611686018427387904"])
def test_a_huge_number_of_frames_or_bodies_is_a_short_file_not_a_lot_of_memory(count: str) -> None:
    for line in (1, 2 + FRAME):
        damaged = lines()
        damaged[line - 1] = count
        assert fault(text(damaged))[0] >= line


def test_text_behind_the_last_frame_is_a_fault() -> None:
    assert fault(text([*lines(), "1"])) == (2 + 3 * FRAME, "text behind the last frame: '1'")


def test_a_body_twice_in_a_frame_is_a_fault() -> None:
    joints = standing(2)
    assert "twice" in fault(ntu_bytes([[(7, joints[0]), (7, joints[1])]]))[1]


@pytest.mark.parametrize(
    "data", [b"", b"\n\n", b"\x00" * 500, b"PK\x03\x04junk", one_person().decode().encode("utf-16"), b"3", b"3\n1\n"]
)
def test_what_is_no_skeleton_file_is_refused(data: bytes) -> None:
    assert fault(data)[0] >= 1


def test_a_nul_within_a_number_is_refused() -> None:
    assert "not a number" in fault(one_person().replace(b"277.419", b"277\x00419", 1))[1]


def test_names_tell_setup_camera_performer_replication_and_action() -> None:
    assert parse_name("S001C002P003R002A013") == (1, 2, 3, 2, 13)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("S001C002P003R002", "is no NTU name"),
        ("s001c002p003r002a013", "is no NTU name"),
        ("S001C004P003R002A013", r"camera 4 is not in 1\.\.3"),
        ("S033C001P003R002A013", r"setup 33 is not in 1\.\.32"),
        ("x", "is no NTU name"),
        ("", "is no NTU name"),
    ],
)
def test_other_names_are_refused(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_name(name)
