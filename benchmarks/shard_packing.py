"""How the coordinates of a shard can be packed without loss: size, and speed of writing and of reading, by one thread.

On made-up clips, and on real ones where $STARS_BENCH_REAL names a folder of them. Those of hdf5plugin are measured
where it is installed. Usage: python -m benchmarks.prepare --compression
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rich.console import Console
from rich.table import Table

from stars_bench.api import Clip, DatasetSpec
from stars_bench.datasets.ntu import NTU120
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.datasets.raw_files import sources
from stars_bench.storage import compression

ROUNDS = 7
ITEMS = {"ntu120": 600, "pku1": 16}
Rows = np.ndarray
Write = Callable[[h5py.File, Rows], None]
Read = Callable[[h5py.Dataset, Rows], None]
OURS = "--compression"


def ways() -> dict[str, Write]:
    """Names, and how rows are written as the dataset `joints`."""
    plain: dict[str, Mapping[str, Any]] = {
        "gzip 1, by zlib": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
        "gzip 4, by zlib": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
        "lzf": {"compression": "lzf", "shuffle": True},
    }
    try:
        import hdf5plugin as plugin
    except ImportError:
        pass
    else:
        bits, lanes = plugin.Blosc2.BITSHUFFLE, plugin.Blosc2.SHUFFLE
        plain |= {
            "zstd 1": {**plugin.Zstd(clevel=1), "shuffle": True},
            "zstd 3": {**plugin.Zstd(clevel=3), "shuffle": True},
            "lz4": {**plugin.LZ4(), "shuffle": True},
            "blosc2 lz4": plugin.Blosc2(cname="lz4", clevel=5, filters=lanes),
            "blosc2 lz4, bits": plugin.Blosc2(cname="lz4", clevel=5, filters=bits),
            "blosc2 zstd": plugin.Blosc2(cname="zstd", clevel=3, filters=lanes),
            "bitshuffle lz4": plugin.Bitshuffle(cname="lz4"),
            "bitshuffle zstd": plugin.Bitshuffle(cname="zstd", clevel=3),
            "zfp, reversible": plugin.Zfp(reversible=True),
        }
    writers: dict[str, Write] = {
        f"{OURS} {name}": lambda file, rows, name=name: compression.write_rows(  # type: ignore[misc]
            file, "joints", [rows], rows.shape[1], name
        )
        for name in compression.COMPRESSIONS
    }
    for name, options in plain.items():
        writers[name] = (
            lambda file, rows, options=options: file.create_dataset(  # type: ignore[misc]
                "joints", data=rows, chunks=(min(len(rows), compression.CHUNK_ROWS), *rows.shape[1:]), **options
            )
        )
    return writers


def compare(raw: Path, work: Path, console: Console) -> None:
    """One table a kind of clips."""
    for title, spec, path in kinds(raw):
        clips = list(converted(spec, path))
        rows = np.concatenate([clip.bodies.reshape(-1, *clip.bodies.shape[2:]) for clip in clips])
        frames = sum(clip.bodies.shape[1] for clip in clips) / len(clips)
        console.print(f"\n{title}: {len(clips):,} clips, {frames:.0f} frames on average")
        table = Table("packing", "of its size", "KB a clip", "write MB/s", "read MB/s")
        for name, write in ways().items():
            read = through_prepare if OURS in name else through_hdf5
            size, write_seconds, read_seconds = measured(write, read, rows, work / "packed.h5")
            speeds = (f"{rows.nbytes / seconds / 1e6:,.0f}" for seconds in (write_seconds, read_seconds))
            table.add_row(name, f"{size / rows.nbytes:.3f}", f"{size / len(clips) / 1000:.1f}", *speeds)
        console.print(table)


def kinds(raw: Path) -> Iterator[tuple[str, DatasetSpec, Path]]:
    """Title, dataset and raw folder of each kind of clips that is at hand."""
    yield "made-up clips", NTU120, raw
    if real := os.environ.get("STARS_BENCH_REAL"):
        yield "real clips of NTU RGB+D", NTU120, Path(real) / "ntu"
        yield "real clips of PKU-MMD, as recorded", PKU1, Path(real) / "pku1_subset.zip"


def converted(spec: DatasetSpec, path: Path) -> Iterator[Clip]:
    """Clips of the first raw files."""
    for item in spec.find([path]).items[: ITEMS[spec.name]]:
        data = {role: sources.read(source) for role, source in item.sources.items()}
        for result in spec.convert(item, data, spec.profiles[spec.default_profile]):
            if isinstance(result, Clip):
                yield result


def through_prepare(dataset: h5py.Dataset, out: Rows) -> None:
    """As `PreparedDataset.load` reads, but by one thread."""
    compression.read_rows(dataset, out, threads=1)


def through_hdf5(dataset: h5py.Dataset, out: Rows) -> None:
    """As any HDF5 program reads."""
    dataset.read_direct(out)


def measured(write: Write, read: Read, rows: Rows, path: Path) -> tuple[int, float, float]:
    """Bytes, and the shortest times of writing and of reading; the file's cache is warm.

    Raises:
        SystemExit: what was read is not what was written.
    """
    times: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        with h5py.File(path, "w") as file:
            write(file, rows)
        written = time.perf_counter()
        found = np.empty_like(rows)
        with h5py.File(path) as file:
            size = file["joints"].id.get_storage_size()
            read(file["joints"], found)
        times.append((written - started, time.perf_counter() - written))
    path.unlink()
    if not np.array_equal(found, rows):
        raise SystemExit("what was read is not what was written")
    return size, min(seconds for seconds, _ in times), min(seconds for _, seconds in times)
