"""Shards: bits in, the same bits out, however they are packed, and readable without this package."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from stars_bench.api import Clip, Found
from stars_bench.datasets.ntu import NTU60
from stars_bench.errors import UsageError
from stars_bench.storage import compression
from stars_bench.storage.quality import assess
from stars_bench.storage.shards import PreparedDataset, ShardContent, ShardFacts, open_dataset, write_index, write_shard

PROFILE = NTU60.profiles["mamp"]
Make = Callable[[str, int], Path]


def coordinates(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, 25, 3)).astype(np.float32)


def packed(rows: np.ndarray, kind: str) -> h5py.File:
    file = h5py.File(io.BytesIO(), "w")
    thirds = len(rows) // 3
    blocks = [rows[:thirds], rows[thirds : 2 * thirds], rows[2 * thirds :]]
    compression.write_rows(file, "joints", blocks, rows.shape[1], kind)
    return file


@pytest.mark.parametrize("kind", compression.COMPRESSIONS)
@pytest.mark.parametrize("rows", [0, 1, 7, compression.CHUNK_ROWS, 2 * compression.CHUNK_ROWS + 5])
def test_what_is_read_is_what_was_written_by_any_reader(kind: str, rows: int) -> None:
    expected = coordinates(rows)
    with packed(expected, kind) as file:
        found = np.full_like(expected, 7)
        compression.read_rows(file["joints"], found)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(file["joints"][()], expected)  # HDF5's own filters


@settings(max_examples=50, deadline=None)
@given(arrays(np.uint32, st.tuples(st.integers(1, 4), st.just(2), st.just(3)), elements=st.integers(0, 2**32 - 1)))
def test_every_bit_pattern_survives(bits: np.ndarray) -> None:
    with packed(bits.view(np.float32), "gzip") as file:
        found = np.empty_like(bits).view(np.float32)
        compression.read_rows(file["joints"], found)
        np.testing.assert_array_equal(found.view(np.uint32), bits)
        np.testing.assert_array_equal(file["joints"][()].view(np.uint32), bits)


def test_the_stream_is_plain_zlib_even_where_a_plane_is_longer_than_a_stored_block() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (4, 2 * compression.LONGEST_STORED + 9), dtype=np.uint8)
    assert zlib.decompress(compression.deflate(planes)) == planes.tobytes()


def test_without_isal_the_same_numbers_are_written_and_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "fast_zlib", zlib)
    expected = coordinates(30)
    with packed(expected, "gzip") as file:
        found = np.empty_like(expected)
        compression.read_rows(file["joints"], found)
    np.testing.assert_array_equal(found, expected)


def test_packed_shards_are_smaller() -> None:
    steps = np.random.default_rng(0).normal(0, 0.005, (3000, 25, 3)).astype(np.float32)
    with packed(steps.cumsum(0, dtype=np.float32), "gzip") as file:
        assert file["joints"].id.get_storage_size() < 0.85 * steps.nbytes


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Writes a prepared dataset of two shards: three clips of one to three frames, and one of 3,000 rows."""

    def write(kind: str, seed: int = 0) -> Path:
        folder = tmp_path / "ntu60" / "mamp"
        folder.mkdir(parents=True, exist_ok=True)
        facts: list[ShardFacts] = []
        for number, lengths in enumerate([(1, 2, 3), (1500,)]):
            content = ShardContent()
            for clip, frames in enumerate(lengths):
                bodies = coordinates(2 * frames, seed + clip).reshape(2, frames, 25, 3)
                name = f"S001C00{number + 1}P001R001A00{clip + 1}"
                content.add(name, Clip(name, clip, 1, number + 1, 1, 1, bodies, ""))
            facts.append(write_shard(folder / f"shard-0000{number}.h5", NTU60, PROFILE, "", content, kind))
        names = [name for shard in facts for name in shard.contents]
        quality = assess(NTU60, "mamp", Found([]), len(names), names, {0}, [], {})
        write_index(folder, NTU60, PROFILE, "", facts, quality, {})
        return tmp_path

    return write


def opened(folder: Path) -> PreparedDataset:
    return open_dataset(folder, "ntu60")


@pytest.mark.parametrize("kind", compression.COMPRESSIONS)
def test_one_clip_is_read_by_name_or_row_as_it_is_in_the_whole(make: Make, kind: str) -> None:
    prepared = opened(make(kind, 0))
    joints = prepared.load()
    for row, clip in enumerate(prepared.table.itertuples()):
        expected = joints[clip.offset : clip.offset + clip.num_bodies * clip.num_frames]
        for key in (row, clip.name):
            found = prepared.clip(key)
            assert found.shape == (clip.num_bodies, clip.num_frames, 25, 3)
            np.testing.assert_array_equal(found.reshape(-1, 25, 3), expected)


def test_a_clip_that_is_not_there_is_told_in_one_line(make: Make) -> None:
    prepared = opened(make("gzip", 0))
    with pytest.raises(UsageError, match="no clip 'S001C001P001R001A009'; the nearest is S001C002P001R001A001"):
        prepared.clip("S001C001P001R001A009")
    with pytest.raises(UsageError, match="no clip 'Z'"):
        prepared.clip("Z")
    for row in (4, -1):
        with pytest.raises(UsageError, match="there are 4, counted from 0"):
            prepared.clip(row)


@pytest.mark.parametrize("kind", compression.COMPRESSIONS)
def test_the_same_clips_give_the_same_bytes(make: Make, kind: str) -> None:
    first = [path.read_bytes() for path in opened(make(kind, 0)).shards]
    assert [path.read_bytes() for path in opened(make(kind, 0)).shards] == first
    assert [path.read_bytes() for path in opened(make(kind, 5)).shards] != first


def test_how_shards_are_packed_does_not_change_what_the_dataset_is(make: Make) -> None:
    packed_digest, packed_joints = opened(make("gzip", 0)).digest, opened(make("gzip", 0)).load()
    plain = opened(make("none", 0))
    assert plain.digest == packed_digest
    np.testing.assert_array_equal(plain.load(), packed_joints)


def test_a_chunk_that_is_damaged_is_told_in_one_line(make: Make) -> None:
    prepared = opened(make("gzip", 0))
    path = prepared.shards[1]
    with h5py.File(path) as file:
        chunk = file["joints"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(UsageError, match=r"shard-00001\.h5: missing or damaged.*--force"):
        prepared.load()
    with pytest.raises(UsageError, match=r"shard-00001\.h5: missing or damaged.*--force"):
        prepared.clip(3)


def test_a_file_that_cannot_be_written_raises_its_own_error_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    script = (
        "import pathlib, resource, signal, sys\nimport numpy as np\nfrom stars_bench.storage import shard_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "for size in range(1_000, 40_000, 500):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))\n"
        "    try:\n"
        "        with shard_file.created(pathlib.Path(sys.argv[1])) as file:\n"
        "            for number in range(20):\n"
        "                file.create_dataset(str(number), data=np.ones(400))\n"
        "    except OSError as error:\n"
        "        print(error.errno, file.id.valid)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.split("\n") == [f"{errno.EFBIG} 0"] * 78 + [""]
