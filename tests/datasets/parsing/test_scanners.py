"""Who reads raw text never shows: the compiled scanner and the exact reading give the same, faults too."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stars_bench.datasets.parsing import bodies_numba, compiled_code, ntu, pku, scan_numba
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.numbers import ParseError
from tests.datasets.raw_writers import ntu_bytes, ntu_lines, standing, video

SCANNERS: dict[str, ModuleType | None] = {"compiled": scan_numba, "exact": None}
IDS = (72057594037931738, 72057594037931734, 5)  # the first two are one number in float64

NTU = ntu_bytes(
    [
        [(IDS[0], standing(3)[0])],
        [],
        [(IDS[1], standing(3)[1]), (IDS[0], standing(3)[2])],
        [(IDS[2], -standing(1, 5)[0])],
    ],
    "\r\n",
)
VIDEO = video(4)
BYTES = [bytes([byte]) for byte in b"0123456789.-+eE \t\r\n\0_nx/:\xff"]
PIECES = [
    *BYTES,
    b"",
    b"  ",
    b"\r\n",
    b"\n\n",
    b"1.5",
    b"nan",
    b"-1.#IND",
    b"1e39",
    b"-2.5e-05",
    b"3E2",
    b"1.5e+",
    b"1e1000",
    b"1.2.3",
    b"12.5",
    b"0.123456789012345",
]


def outcome(read: Any, data: bytes, by: str) -> Any:
    """What comes of reading: everything in the result, or line and reason of the fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_code, "scanner", lambda _: SCANNERS[by])
        try:
            result = read(data)
        except ParseError as error:
            return error.line, error.reason
    if isinstance(result, ntu.RawClip):
        bodies = [(body.id, body.first, body.joints.shape, body.joints.tobytes()) for body in result.bodies]
        return bodies, result.num_frames, result.empty_frames
    return result.shape, result.dtype, result.tobytes()


def assert_all_agree(read: Any, data: bytes) -> Any:
    expected = outcome(read, data, "exact")
    assert outcome(read, data, "compiled") == expected
    return expected


def changed(data: bytes, at: int, length: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + length :]


change = st.tuples(st.floats(0, 1), st.sampled_from([0, 1, 1, 2, 8, 200]), st.sampled_from(PIECES))


@given(st.lists(change, min_size=1, max_size=4), st.booleans())
@settings(max_examples=200, deadline=None)
def test_damaged_ntu_files_come_out_the_same(changes: list[tuple[float, int, bytes]], cut: bool) -> None:
    data = NTU
    for place, length, piece in changes:
        data = changed(data, int(place * len(data)), length, piece)
    assert_all_agree(ntu.parse, data[: int(changes[0][0] * len(data))] if cut else data)


@given(st.lists(change, min_size=1, max_size=4))
@settings(max_examples=100, deadline=None)
def test_damaged_videos_come_out_the_same(changes: list[tuple[float, int, bytes]]) -> None:
    data = VIDEO
    for place, length, piece in changes:
        data = changed(data, int(place * len(data)), length, piece)
    assert_all_agree(pku.parse_video, data)


@given(st.text("0123456789.- \r\n", max_size=400))
@settings(max_examples=200, deadline=None)
def test_junk_comes_out_the_same(text: str) -> None:
    assert_all_agree(ntu.parse, text.encode())
    assert_all_agree(pku.parse_video, text.encode())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_any_layout_of_frames_and_digits_comes_out_the_same(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    form = data.draw(st.sampled_from(["%.7g", "%.14e", "%.9g", "%.6f", "%.14f", "%.17g", "%.3e", "%d"]))
    newline = data.draw(st.sampled_from(["\n", "\r\n", " \n"]))
    frames = [
        [(IDS[i], rng.normal(0, 2, (25, 3))) for i in rng.permutation(3)[: rng.integers(0, 4)]]
        for _ in range(rng.integers(1, 6))
    ]
    text = (newline.join(ntu_lines(frames, form)) + newline).encode()
    result = assert_all_agree(ntu.parse, text.rstrip() if data.draw(st.booleans()) else text)
    assert result[1] + result[2] == len(frames)


def exponent_tokens(count: int, seed: int = 0) -> list[bytes]:
    """Numbers as C++ and Python print small ones: any sign, digits and exponent that a raw file may have."""
    rng = random.Random(seed)
    tokens = []
    for _ in range(count):
        whole, decimals = (rng.randrange(10 ** rng.randrange(1, most)) for most in (3, 17))
        fraction = rng.choice(("", f".{decimals}"))
        exponent = rng.choice(("", "e-05", f"e{rng.randrange(26)}", f"E+{rng.randrange(9)}", f"e-0{rng.randrange(26)}"))
        tokens.append(f"{rng.choice(('', '-'))}{whole}{fraction}{exponent}".encode())
    return tokens


def near_ties(count: int, digits: int) -> list[bytes]:
    """Numbers so near the middle of two float32 that one wrong bit in float64 gives the other."""
    rng = np.random.default_rng(digits)
    tokens: list[bytes] = []
    while len(tokens) < count:
        low = np.float32(10.0 ** rng.uniform(-15, 15))
        middle = (float(low) + float(np.nextafter(low, np.float32(np.inf)))) / 2
        token = f"{middle:.{digits - 1}e}"
        if abs(float(token) - middle) <= np.spacing(middle):
            tokens.append(token.encode())
    return tokens


def test_numbers_with_exponents_come_out_the_same() -> None:
    """By Clinger's rule where it holds, else by the exact reading: never another float32."""
    tokens = exponent_tokens(4_500)
    for digits in (15, 16, 17):
        tokens += near_ties(1_000, digits)
    body = b"72057594037931738 0 1 1 1 1 0 0.02764709 0.05745083 2"
    rest = b" 277.419 191.8218 1036.233 519.1677 -0.2059419 0.05349901 0.9692109 -0.1239193 2"
    frames = []
    for frame in range(100):
        joints = [b" ".join(tokens[at : at + 3]) + rest for at in range(75 * frame, 75 * frame + 75, 3)]
        frames += [b"1", body, b"25", *joints]
    data = b"\n".join([b"100", *frames, b""])
    bodies, _, _ = assert_all_agree(ntu.parse, data)
    expected = np.array([np.float32(float(token)) for token in tokens])
    assert np.frombuffer(bodies[0][3], np.float32).tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    "token", [b"2x", b"2e", b"2e+", b"2.", b"2..3", b"-", b"2 3", b" 2", b"2e1000", b"2\r\r", b"2e5 "]
)
@pytest.mark.parametrize("place", [0, 3, 11])
def test_what_follows_a_number_with_an_exponent_is_looked_at(token: bytes, place: int) -> None:
    lines = NTU.split(b"\n")
    fields = lines[9].split()
    fields[1], fields[place] = b"2.5e-01", token
    assert_all_agree(ntu.parse, b"\n".join([*lines[:9], b" ".join(fields) + b"\r", *lines[10:]]))
    row = VIDEO.split(b"\n")
    fields = row[1].split()
    fields[1], fields[place * 149 // 11] = b"2.5e-01", token
    assert_all_agree(pku.parse_video, b"\n".join([row[0], b" ".join(fields), *row[2:]]))


@given(st.lists(st.tuples(st.sampled_from((*IDS, -4)), st.integers(0, 9)), min_size=1, max_size=40))
@settings(max_examples=100, deadline=None)
def test_rows_are_gathered_by_body_the_same_by_numpy_and_compiled(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[1])
    ids, frames = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled_code, "body_kernels", lambda: None)
        order, starts, twice = ntu._rows_by_body(ids, frames)
    again = bodies_numba.rows_by_body(ids, frames)
    assert again[0].tolist() == order.tolist()
    assert again[1].tolist() == starts.tolist()
    assert (again[2] < 0) == (twice < 0) == (len(set(rows)) == len(rows))
    firsts = ids[order[starts[:-1]]].tolist()
    assert firsts == list(dict.fromkeys(ids.tolist()))
    for body, start, behind in zip(firsts, starts[:-1], starts[1:], strict=True):
        assert order[start:behind].tolist() == np.flatnonzero(ids == body).tolist()


def every_change(data: bytes, pieces: list[bytes], step: int) -> list[bytes]:
    return [
        changed(data, at, 1, piece)
        for piece in pieces
        for at in range(random.Random(piece).randrange(step), len(data), step)
    ]


def test_a_byte_changed_anywhere_comes_out_the_same() -> None:
    small = NTU[: NTU.index(b"\r\n0\r\n")].replace(b"4", b"1", 1)
    assert ntu.parse(small)
    for data in every_change(small, BYTES, 401):
        assert_all_agree(ntu.parse, data)
    for data in every_change(video(2), BYTES, 601):
        assert_all_agree(pku.parse_video, data)


@pytest.mark.slow
def test_many_bytes_changed_to_each_come_out_the_same() -> None:
    small = NTU[: NTU.index(b"\r\n0\r\n")].replace(b"4", b"1", 1)
    for data in every_change(small, BYTES, 11):
        assert_all_agree(ntu.parse, data)
    for data in every_change(video(2), BYTES, 11):
        assert_all_agree(pku.parse_video, data)


ODD = {
    b"277.4.19": "number",
    b"-": "number",
    b"27-7.419": "number",
    b"277..419": "number",
    b"277.419.": "number",
    b"277\r.419": "many",
}


@pytest.mark.parametrize("shift", range(64))
def test_an_odd_token_is_found_wherever_64_bytes_end(shift: int) -> None:
    """What a byte may be hangs on the byte before, which may be the last of the 64 before."""
    lines = NTU.replace(b"\r\n", b"\n").split(b"\n")
    lines[2] += b"0" * shift  # moves all that follows
    assert len(assert_all_agree(ntu.parse, b"\n".join(lines))) == 3
    usual = lines[9]
    for odd, word in ODD.items():
        lines[9] = usual.replace(b"277.419", odd)
        line, reason = assert_all_agree(ntu.parse, b"\n".join(lines))
        assert line == 10
        assert word in reason


def test_numbers_of_any_length_are_carried_over_64_bytes() -> None:
    for digits in (1, 50, 63, 64, 65, 127, 128, 200):
        for odd in (b"1" * digits, b"1." + b"2" * digits, b"1." + b"2" * digits + b".3", b"1" * digits + b".1.1"):
            assert_all_agree(ntu.parse, NTU.replace(b"277.419", odd, 3))
            assert_all_agree(ntu.parse, NTU.replace(b"72057594037931738", odd, 1))
            assert_all_agree(pku.parse_video, VIDEO.replace(b" ", b" " + odd + b" ", 1))
            assert_all_agree(pku.parse_video, VIDEO.replace(VIDEO.split(b" ", 3)[2], odd, 1))


def test_long_files_come_out_the_same() -> None:
    frames = [[(IDS[frame % 2], joints)] for frame, joints in enumerate(standing(200))]
    clip = ntu_bytes(frames)
    assert assert_all_agree(ntu.parse, clip)[1] == 200
    assert len(assert_all_agree(ntu.parse, clip.replace(b"0.5", b".5"))[0]) == 2
    long = video(300)
    assert assert_all_agree(pku.parse_video, long)[0] == (300, 150)
    assert assert_all_agree(pku.parse_video, long.replace(b"\n", b"\r\n").rstrip())[0] == (300, 150)
    assert assert_all_agree(pku.parse_video, long[:-3] + b"x")[0] == 300


def test_usual_files_are_left_to_the_fast_scanner() -> None:
    for data in (NTU, NTU.replace(b"\r", b""), NTU.rstrip()):
        assert scan_numba.scan_ntu(data).left.size == 0
    assert len(scan_numba.scan_video(VIDEO).rows) == 4
    assert len(scan_numba.scan_ntu(NTU.replace(b"277.419", b"nan", 5)).left) == 5
    exponents = NTU.replace(b"277.419", b"2.77E+02", 5).replace(b"0.02764709", b"2.764709e-05", 1)
    assert scan_numba.scan_ntu(exponents).left.size == 0  # raw files have a few of them


# ------------------------------------------------------------------------------------------ which of them reads


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has read nothing yet."""
    monkeypatch.setattr(compiled_code, "_State", type("_State", (), {"read": 0, "loaded": None}))


@pytest.mark.usefixtures("fresh")
def test_little_text_is_read_exactly_and_much_by_compiled_code() -> None:
    assert compiled_code.scanner(compiled_code.WORTH_LOADING) is None
    assert compiled_code.body_kernels() is None
    assert compiled_code.scanner(1) is scan_numba
    assert compiled_code.body_kernels() is bodies_numba


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("load", [compiled_code.load_ntu, compiled_code.load_pku])
def test_a_process_that_expects_much_reads_by_compiled_code_at_once(load: Callable[[], None]) -> None:
    load()
    assert compiled_code.scanner(1) is scan_numba


@pytest.mark.usefixtures("fresh")
def test_where_numba_must_not_compile_the_exact_reading_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    compiled_code.load_ntu()
    compiled_code.load_pku()
    assert compiled_code.scanner(2**60) is None
    assert compiled_code.body_kernels() is None


def test_reading_a_clip_does_not_import_numba() -> None:
    code = (
        "import sys; from stars_bench.datasets import ntu, pku_mmd; from stars_bench.preparation import prepare;"
        "from stars_bench.datasets.parsing import ntu as parsing;"
        f"parsing.parse({ntu_bytes([[(7, joints)] for joints in standing(12)])!r}); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


COMPILE = """
import resource, sys
from numba.core import caching
from stars_bench.datasets.parsing import compiled_code
from stars_bench.io import numba_cache

def refused(self):
    raise OSError("read-only")

if sys.argv[1] == "read-only":
    caching._CacheLocator.ensure_cache_path = refused
else:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # no file can be written to from here on
assert (numba_cache.folder() is None) == (sys.argv[1] == "read-only")
compiled_code.load_ntu()
scan = compiled_code.scanner(1)
assert scan.__name__.endswith("scan_numba")
assert scan.scan_ntu(b"2\\n0\\n0\\n").empty == 2
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no limits for a process")
@pytest.mark.parametrize("disk", ["read-only", "full"])
def test_where_compiled_code_cannot_be_kept_it_is_compiled_in_every_process(disk: str, tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", COMPILE, disk]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


# ------------------------------------------------------------------------------------------------------- digests


def test_the_digest_of_a_file_is_what_xxh128sum_prints() -> None:
    assert source_digest(b"") == "99aa06d3014798d86001c324468d497f"
    assert source_digest(b"a") == "a96faf705af16834e6c632b61e964e1f"


def test_the_digest_of_two_files_tells_where_one_ends_and_which_is_first() -> None:
    digests = {
        source_digest(b"ab", b"c"),
        source_digest(b"a", b"bc"),
        source_digest(b"c", b"ab"),
        source_digest(b"abc"),
    }
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}
