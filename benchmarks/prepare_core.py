"""The steps of `prepare` in memory, one thread: reading text, cleaning, digests, inflating.

Each file is read by all ways in turn, so that they meet the same machine; a way's time is the fastest of its rounds,
file by file. On made-up clips, and on real ones where $STARS_BENCH_REAL names a folder of them.
Usage: python -m benchmarks.prepare --core
"""

from __future__ import annotations

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from stars_bench.datasets.cleaning.mamp import clean
from stars_bench.datasets.ntu import NTU120
from stars_bench.datasets.parsing import compiled_code, ntu_exact, scan_numba
from stars_bench.datasets.parsing.fingerprint import source_digest
from stars_bench.datasets.parsing.ntu import parse
from stars_bench.datasets.parsing.pku import read_exactly
from stars_bench.datasets.pku_mmd import PKU1
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.zip import inflater
from stars_bench.preparation.prepare import undisturbed

ROUNDS = 9
FILES = 200
Work = Callable[[], object]


def fastest(ways: Mapping[str, Work], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of each way, in turn, the fastest of the rounds."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, work in ways.items():
            started = time.perf_counter()
            work()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def over(files: Sequence[Mapping[str, Work]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds a file of each way, the mean over files."""
    times = [fastest(ways, rounds) for ways in files]
    return {name: sum(each[name] for each in times) / len(times) for name in times[0]}


def ntu_steps(data: bytes) -> dict[str, Work]:
    """What is done with one `.skeleton` file, and what else could be done."""
    raw, packed = parse(data), zlib.compress(data, 6)[2:-4]  # of the packed data, without zlib's own head and end
    return {
        "scan, compiled": lambda: scan_numba.scan_ntu(data),
        "exact reading": lambda: ntu_exact.read(data),
        "parse (scan and gather)": lambda: parse(data),
        "clean": lambda: clean(raw),
        "digest, XXH3": lambda: source_digest(data),
        "digest, SHA-256": lambda: hashlib.sha256(data).hexdigest(),
        "inflate": lambda: inflater.decompressobj(-zlib.MAX_WBITS).decompress(packed, len(data) + 1),
        "inflate, zlib": lambda: zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, len(data) + 1),
        "CRC-32": lambda: inflater.crc32(data),
    }


def video_steps(data: bytes) -> dict[str, Work]:
    """What is done with one PKU-MMD video."""
    return {
        "scan, compiled": lambda: scan_numba.scan_video(data),
        "exact reading": lambda: read_exactly(data),
    }


def cases(raw: Path, count: int) -> Iterator[tuple[str, list[bytes], Callable[[bytes], dict[str, Work]]]]:
    """What is measured: a title, the texts, their steps."""
    files = sorted(raw.iterdir())
    yield "made-up files", [file.read_bytes() for file in files[:: max(len(files) // count, 1)]][:count], ntu_steps
    if folder := os.environ.get("STARS_BENCH_REAL"):
        for spec, steps, role in ((NTU120, ntu_steps, "skeleton"), (PKU1, video_steps, "skeleton")):
            items = spec.find([Path(folder)]).items
            yield f"real files, {spec.name}", [sources.read(item.sources[role]) for item in items], steps


def compare(raw: Path, console: Console, count: int = FILES, rounds: int = ROUNDS) -> None:
    """The table."""
    compiled_code.load_ntu()
    compiled_code.load_pku()
    table = Table("", "step", "ms a file", "MB/s")
    for title, texts, steps in cases(raw, count):
        if not texts:
            continue
        size = sum(map(len, texts)) / len(texts)
        title = f"{title}: {len(texts)} of {size / 1000:,.0f} KB"
        with undisturbed():
            times = over([steps(text) for text in texts], rounds)
        for name, seconds in times.items():
            table.add_row(title, name, f"{1e3 * seconds:.3f}", f"{size / seconds / 1e6:,.0f}")
            title = ""
    console.print(table)
