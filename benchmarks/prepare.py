"""How fast `stars-bench prepare` is, beside the usual scripts: whole commands, start-up included, on made-up raw files.

One command does everything: it writes the raw files (NTU format, the size of real ones) and a zip archive of them, then
times whole commands in turn (baseline, folder, zip, with one process and two, and again), and prints one table. The
baseline (`baseline_prepare.py`) gets the first files only, since its time per file does not depend on their number.

Usage, at the top of a checkout:
    python -m benchmarks.prepare [--work DIR] [--files N] [--baseline-files N] [--rounds N]
        [--compression] [--startup] [--core]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import prepare_core, shard_packing, startup

HERE = Path(__file__).parent
PUBLISHED_MS = 14.3  # a file: the public pipeline's own scripts, measured on two such cores
NPZ_BYTES = 300 * 150 * 4  # of one clip in one public npz file; there is a file a protocol
PROTOCOLS = 2
CLI = ("-m", "stars_bench", "prepare", "ntu120")
console = Console(width=100, highlight=False)


@dataclass(frozen=True)
class Timing:
    """One whole command: seconds on the clock, the largest process (MiB), and what it printed."""

    seconds: float
    peak: float
    printed: str


def timed(*arguments: str | Path, environment: dict[str, str] | None = None) -> Timing:
    """Runs `python ARGUMENTS` and waits for it.

    Raises:
        SystemExit: it failed; with what it said.
    """
    with tempfile.TemporaryFile("w+") as out:
        started = time.perf_counter()
        command = [sys.executable, *map(str, arguments)]
        process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **(environment or {})})
        _, status, usage = os.wait4(process.pid, 0)  # its own peak, or that of the largest of its workers
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        printed = out.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{printed}")
    return Timing(seconds, usage.ru_maxrss / 1024, printed)


# ------------------------------------------------------------------------------------------ raw files


def raw_files(work: Path, count: int) -> tuple[Path, float]:
    """A folder of made-up raw files (written where it is not there yet) and their mean size in bytes.

    A third more is written and the shortest are taken away again, which leaves the mean size of the real files.
    """
    from stars_bench.datasets.synthetic.stage import clip_names
    from stars_bench.datasets.synthetic.writer import write_raw

    folder, finished = work / f"raw-{count}", work / f"raw-{count}.done"
    if not finished.exists():
        console.print(f"writing {count:,} raw files ...")
        paths = write_raw(folder, clip_names(setups=None, limit=count * 4 // 3), jobs=os.cpu_count() or 1)
        for path in sorted(paths, key=lambda path: path.stat().st_size)[: len(paths) - count]:
            path.unlink()
        finished.touch()
    return folder, statistics.fmean(entry.stat().st_size for entry in os.scandir(folder))


def zipped(folder: Path) -> Path:
    """The same files in a zip archive, packed as zip programs do."""
    path = folder.with_suffix(".zip")
    if not path.exists():
        console.print(f"packing {path.name} ...")
        partial = path.with_suffix(".partial")
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"nturgb+d_skeletons/{file.name}")
        partial.rename(path)
    return path


# ------------------------------------------------------------------------------------ whole commands


def warm(path: Path) -> None:
    """Reads a file, or all files of a folder, so that the disk is not what is measured."""
    for file in path.iterdir() if path.is_dir() else [path]:
        with file.open("rb", buffering=0) as stream:
            while stream.read(1 << 24):
                pass


def baseline(raw: Path, work: Path, files: int) -> float:
    """Milliseconds a file of the usual scripts, their start-up left out."""
    out = work / "baseline"
    printed = timed(HERE / "baseline_prepare.py", raw, out, "--limit", str(files)).printed
    shutil.rmtree(out)
    return 1000 * sum(json.loads(printed).values()) / files


def ours(raw: Path, work: Path, jobs: int, *more: str) -> tuple[Timing, int]:
    """The whole command, and the bytes of the folder that it made."""
    out = work / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    result = timed(*CLI, "--raw", raw, "--data-dir", out, "--jobs", str(jobs), *more)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    shutil.rmtree(out)
    return result, size


def compare(work: Path, files: int, baseline_files: int, rounds: int) -> None:
    """The table of whole commands."""
    raw, mean_size = raw_files(work, files)
    archive = zipped(raw)
    ways = [(f"{kind}, {jobs} process{'es' * (jobs > 1)}", path, jobs)
            for kind, path in (("folder", raw), ("zip", archive)) for jobs in (1, 2)]  # fmt: skip
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in ways}  # ms a file: usual scripts, ours
    peaks, size = dict.fromkeys(pairs, 0.0), 0
    ours(raw, work, 1, "--limit", "2000")  # much, so that numba compiles, once an installation
    for _ in range(rounds):
        for name, path, jobs in ways:
            usual = baseline(raw, work, baseline_files)
            warm(path)
            result, size = ours(path, work, jobs)
            pairs[name].append((usual, 1000 * result.seconds / files))
            peaks[name] = max(peaks[name], result.peak)
    console.print(f"\n{machine()}; load {os.getloadavg()[0]:.1f}")
    console.print(f"{files:,} made-up raw files of {mean_size / 1000:.0f} KB on average; {rounds} rounds, medians")
    every = [usual for each in pairs.values() for usual, _ in each]
    spread = f"{statistics.median(every):.2f} ms a file ({min(every):.2f} to {max(every):.2f})"
    console.print(f"usual scripts, {baseline_files:,} files: {spread}")
    table = Table("prepare", "clips/s", "ms a file", "x usual", f"x {PUBLISHED_MS} ms", "peak MiB")
    for name, measured in pairs.items():
        mine = statistics.median(ms for _, ms in measured)
        ratio = statistics.median(usual / ms for usual, ms in measured)
        row = (1000 / mine, mine, ratio, PUBLISHED_MS / mine, peaks[name])
        table.add_row(name, *(f"{value:,.{digits}f}" for value, digits in zip(row, (0, 3, 1, 1, 0), strict=True)))
    console.print(table)
    clip = size / files
    console.print(
        f"on disk {clip / 1000:.1f} KB a clip: 1/{PROTOCOLS * NPZ_BYTES / clip:.1f} of {PROTOCOLS} npz files "
        f"({NPZ_BYTES / 1000:.0f} KB a clip each), 1/{NPZ_BYTES / clip:.1f} of one"
    )


def machine() -> str:
    """Cores and model of the processor, Python."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("benchmark-work"), help="raw files are kept there")
    parser.add_argument("--files", type=int, default=20_000, help="raw files that prepare gets")
    parser.add_argument("--baseline-files", type=int, default=500, help="of them, those that the usual scripts get")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--compression", action="store_true", help="only: how shards can be packed")
    parser.add_argument("--startup", action="store_true", help="only: how long workers and small jobs take to start")
    parser.add_argument("--core", action="store_true", help="only: the steps in memory, by one thread")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.compression:
        shard_packing.compare(raw_files(options.work, options.files)[0], options.work, console)
    if options.startup:
        startup.compare(raw_files(options.work, options.files)[0], console)
    if options.core:
        prepare_core.compare(raw_files(options.work, options.files)[0], console)
    if not (options.compression or options.startup or options.core):
        compare(options.work, options.files, min(options.baseline_files, options.files), options.rounds)


if __name__ == "__main__":
    main()
