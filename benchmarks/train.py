"""How fast training is: beside plain code in the manner of the public programs, and beside what the device can do.

The network is the paper's (256 wide, 8 blocks, 120 frames), on made-up clips with NTU RGB+D's lengths and its share of
two-body clips (24 %). Baseline (`baseline_train.py`) and ours run in turn, on a CPU each in its own process; ratios are
medians over the rounds' own. The baseline encodes absent bodies like any other, as the public programs do.

Usage, at the top of a checkout:
    python -m benchmarks.train [--only stage1 stage2 heads features feeder] [--rounds N]       beside the baseline
    python -m benchmarks.train --device cuda --batch 32 --steps 10 --clips 320               the same on a GPU
    python -m benchmarks.train --device cuda --utilisation [--compile MODE]    share of the device's peak, what bounds
    python -m benchmarks.train --device cuda --row                 a whole row on NTU-60's size, extrapolated
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from benchmarks import train_device, train_pairs, train_plain, train_row
from benchmarks.prepare import machine
from benchmarks.train_bench import Bench
from benchmarks.train_data import TWO_BODIES
from benchmarks.train_pairs import Times, lacks_memory, medians
from stars_bench.errors import StarsBenchError
from stars_bench.models.stars import StarsConfig
from stars_bench.training import memory

GOALS = {
    ("stage1", "float32"): 2.1, ("stage1", "bf16"): 3.0, ("stage2", "float32"): 9.5, ("heads", "float32"): 200,
    ("features", "float32"): 2.6, ("feeder, train", "float32"): 4, ("feeder, test", "float32"): 4,
}  # fmt: skip
NAMES = ("stage1", "stage2", "heads", "features", "feeder")
console = Console(width=120, highlight=False)


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 itself; elsewhere bf16 is emulated and slower."""
    info = Path("/proc/cpuinfo")
    return info.exists() and any(flag in info.read_text() for flag in ("avx512_bf16", "amx_bf16"))


def measurements(bench: Bench, names: list[str]) -> Iterator[tuple[str, str, Iterator[Times]]]:
    """(name, what it counts, rounds) of each comparison."""
    if "stage1" in names:
        yield "stage1", "", train_pairs.stage1(bench)
    if "stage2" in names:
        yield "stage2", f"{train_pairs.TUNE_EPOCHS} epochs", train_pairs.stage2(bench)
    if "heads" in names:
        yield "heads", f"{train_pairs.HEAD_EPOCHS} epochs", train_pairs.heads(bench)
    if "features" in names:
        yield "features", "test crop", train_pairs.features(bench)
    if "feeder" in names:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        single = replace(bench, batch=128)
        yield "feeder, train", "one core, batch 128", train_pairs.feeders(single, "train")
        yield "feeder, test", "one core, batch 128", train_pairs.feeders(single, "test")
        torch.set_num_threads(threads)


def compare(bench: Bench, names: list[str], rounds: int) -> dict[tuple[str, str], float]:
    """Prints the table of ratios and returns them by (what, way)."""
    where = torch.cuda.get_device_name() if bench.device.type == "cuda" else f"{torch.get_num_threads()} threads"
    console.print(f"{machine()}; load {os.getloadavg()[0]:.1f}; torch {torch.__version__}; {where}")
    console.print(f"batch {bench.batch}, {TWO_BODIES:.0%} of clips of two bodies, {rounds} rounds, medians")
    if bench.device.type == "cpu":
        memory.keep_freed()  # as every run of ours does; the baseline has a process of its own
    table = Table("", "way", "baseline clips/s", "clips/s", "ratio", "goal")
    found = {}
    for name, note, source in measurements(bench, names):
        try:
            by_way = medians(list(islice(source, rounds)))
        except (StarsBenchError, RuntimeError) as error:
            if not lacks_memory(error):
                raise
            table.add_row(name, "", f"out of memory: a --batch below {bench.batch}")
            continue
        base = by_way.pop("baseline")[0]
        for way, (clips, ratio) in by_way.items():
            goal = GOALS.get((name, way)) if bench.device.type == "cpu" else None
            table.add_row(
                f"{name} ({note})" if note else name,
                way,
                f"{base:,.3g}",
                f"{clips:,.3g}",
                f"{ratio:.2f}",
                "" if goal is None else f"{goal:g}",
            )
            found[name, way] = ratio
            console.print(f"  {name}, {way}: {ratio:.2f}")
    train_plain.end()
    console.print(table)
    return found


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of the CPU; default: torch's")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 256], help="of --utilisation")
    parser.add_argument("--steps", type=int, default=1, help="steps a round; --utilisation, --row: timed steps")
    parser.add_argument("--clips", type=int, default=16, help="clips of the part that stage 2 runs through")
    parser.add_argument("--precision", nargs="+", choices=("float32", "tf32", "bf16"))
    parser.add_argument("--preset", default="paper", help="quick: a small network, to try the benchmark itself")
    parser.add_argument("--utilisation", action="store_true")
    parser.add_argument(
        "--compile", metavar="MODE", help="mode of torch.compile for --utilisation, --row: default, ..."
    )
    parser.add_argument("--row", action="store_true")
    return parser.parse_args()


def main() -> None:
    chosen = options()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    device = torch.device(chosen.device)
    on_gpu = device.type == "cuda"
    usual = ("tf32", "bf16") if on_gpu else ("float32", "bf16") if has_bf16() else ("float32",)
    bench = Bench(
        device=device,
        config=StarsConfig.preset(chosen.preset, "ntu60"),
        batch=chosen.batch,
        steps=chosen.steps,
        clips=chosen.clips,
        precisions=tuple(chosen.precision or usual),
    )
    if chosen.utilisation:
        train_device.utilisation(bench, chosen.batches, chosen.compile, console)
    elif chosen.row:
        train_row.whole_row(bench, console, mode=chosen.compile)
    else:
        compare(bench, chosen.only, chosen.rounds)


if __name__ == "__main__":
    main()
