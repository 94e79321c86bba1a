"""Arrays as streams: numpy's own bytes out, and only sound arrays in."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stars_bench.errors import StarsBenchError
from stars_bench.io.sealed import Damaged
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


def test_too_little_memory_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "whole.npz", features=np.zeros((3, 4)))
    header = io.BytesIO()
    npy.write(header, "<f4", (1 << 40, 1 << 20), [])
    with zipfile.ZipFile(tmp_path / "promises.npz", "w") as archive:
        archive.writestr("features.npy", header.getvalue())

    def refuse(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 4.00 TiB for an array")

    monkeypatch.setattr(np.lib.format, "read_array", refuse)
    monkeypatch.setattr("numpy.lib._npyio_impl.format.read_array", refuse)
    with (
        pytest.raises(
            StarsBenchError, match=r"whole\.npz: too little memory to read it.*; the file itself may"
        ) as told,
        npy.opened_npz(tmp_path / "whole.npz") as stored,
    ):
        stored["features"]
    assert not isinstance(told.value, Damaged)
    with pytest.raises(Damaged, match=r"promises\.npz: damaged"), npy.opened_npz(tmp_path / "promises.npz") as stored:
        stored["features"]
