"""Arrays as streams: numpy's own bytes out, and only sound arrays in."""

from __future__ import annotations

import io

import numpy as np
import pytest

from stars_bench.io.untrusted import npy


def saved(array: np.ndarray, **options: object) -> io.BytesIO:
    stream = io.BytesIO()
    np.save(stream, array, **options)  # type: ignore[arg-type]
    stream.seek(0)
    return stream


def test_blocks_are_written_with_the_bytes_of_numpy() -> None:
    array = np.arange(7 * 4 * 6, dtype=np.float32).reshape(7, 4, 6)
    stream = io.BytesIO()
    npy.write(stream, "<f4", array.shape, [array[:3], array[3:6], array[6:]])
    assert stream.getvalue() == saved(array).getvalue()


def test_an_array_without_rows_is_written() -> None:
    stream = io.BytesIO()
    npy.write(stream, "<f4", (0, 300, 150), [])
    stream.seek(0)
    assert np.load(stream).shape == (0, 300, 150)


@pytest.mark.parametrize("rows", [1, 3, 100])
def test_blocks_are_read_back(rows: int) -> None:
    array = np.arange(7 * 5, dtype=np.int64).reshape(7, 5)
    found = npy.Rows(saved(array))
    assert (len(found), found.shape, found.dtype) == (7, (7, 5), np.int64)
    np.testing.assert_array_equal(np.concatenate(list(found.blocks(rows))), array)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (saved(np.array([{}], object)), "expected numbers"),
        (saved(np.array(["a"])), "expected numbers"),
        (saved(np.asfortranarray(np.zeros((3, 4)))), "Fortran"),
        (io.BytesIO(b"no npy at all"), "magic"),
        (io.BytesIO(b""), "EOF|magic"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(stream: io.BytesIO, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        npy.Rows(stream)


def test_a_cut_off_array_is_noticed() -> None:
    stream = io.BytesIO(saved(np.zeros((100, 10))).getvalue()[:-8])
    with pytest.raises(ValueError, match="cut off: 100 rows"):
        list(npy.Rows(stream).blocks(30))
