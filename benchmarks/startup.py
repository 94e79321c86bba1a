"""What starting costs: worker processes of each kind, and a small job with and without what numba has compiled.

Every number is of a fresh interpreter. Usage: python -m benchmarks.prepare --startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROUNDS = 5
POOLS = {
    "fork": "list(process_pool.run(task, items, 2))",
    "loky": "list(process_pool.run(task, items, 2, backend='loky'))",
    "spawn": "list(ProcessPoolExecutor(2, mp_context=get_context('spawn')).map(task, items))",
}
SCRIPT = """
import sys, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from stars_bench.datasets.ntu import NTU120
from stars_bench.io import process_pool
from stars_bench.preparation.prepare import convert_shard
from stars_bench.preparation.shard_plan import Conversion, make_plans

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    conversion = Conversion(NTU120, NTU120.profiles["mamp"], folder)
    task = partial(convert_shard, conversion)
    items = make_plans(conversion, NTU120.find([Path(sys.argv[1])]).items[:8], shard_bytes=1)
    convert_shard(conversion, items[0])
    started = time.perf_counter()
    {pool}
    print(time.perf_counter() - started)
"""


def compare(raw: Path, console: Console) -> None:
    """The tables of both."""
    pools = Table("two workers, eight shards of one clip", "seconds (median)", "fastest", "slowest")
    for name, pool in POOLS.items():
        seconds = [pool_seconds(pool, raw) for _ in range(ROUNDS)]
        pools.add_row(name, *(f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds))))
    console.print(pools)
    small = Table("prepare --limit 10, whole command", "seconds (median)", "fastest", "slowest")
    for name, cold in (("as installed", False), ("numba's cache empty", True)):
        seconds = [command_seconds(raw, cold) for _ in range(ROUNDS)]
        small.add_row(name, *(f"{value:.2f}" for value in (statistics.median(seconds), min(seconds), max(seconds))))
    console.print(small)


def pool_seconds(pool: str, raw: Path) -> float:
    """From the first task handed over to the last result, workers started in between."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "pool.py"
        script.write_text(SCRIPT.format(pool=pool))
        command = [sys.executable, script, raw, Path(folder) / "shards"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def command_seconds(raw: Path, cold: bool) -> float:
    """One `prepare --limit 10`."""
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if cold:
            environment["NUMBA_CACHE_DIR"] = str(Path(folder) / "numba")
        command = [sys.executable, "-m", "stars_bench", "prepare", "ntu120", "--raw", raw, "--limit", "10"]
        started = time.perf_counter()
        subprocess.run([*command, "--data-dir", folder], env=environment, capture_output=True, check=True)
        return time.perf_counter() - started
