"""What the measures of `preparation/plausibility.py` are in prepared data: where the bounds in docs/data.md come from.

Usage, at the top of a checkout, after `stars-bench prepare`:
    python -m benchmarks.plausibility FOLDER [FOLDER ...]          # such as data/pku1/mamp
What they cost: the share of the processor time of `prepare` in one process, which other work on the machine leaves
nearly as it is:
    python -m benchmarks.plausibility --cost DATASET RAW [RAW ...] # such as ntu60 data/raw
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stars_bench import registry
from stars_bench.preparation import plausibility, prepare
from stars_bench.preparation.plausibility import LENGTH, RULES
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import open_dataset

SHARES = (0, 1, 50, 99, 100)  # percent of the clips
ROUNDS = 5


def table(folder: Path) -> str:
    """A Markdown table of one dataset: a row a rule, its least value, percentiles, its largest, and the clips out."""
    dataset = open_dataset(folder.parent.parent, folder.parent.name, folder.name)
    clips = list(bodies_of(dataset, np.arange(dataset.num_clips)))
    measures = plausibility.measure(dataset.spec.skeleton, dataset.table["name"].tolist(), clips)
    findings = plausibility.judge(dataset.spec.skeleton, measures)
    values = measures.values.copy()
    values[:, LENGTH] /= np.median(values[:, LENGTH])
    lines = [
        f"{dataset.name}, profile {dataset.profile.name}: {len(clips):,} clips\n",
        "| measure | least | 1 % | half | 99 % | largest | out of bounds |",
        "|---|---|---|---|---|---|---|",
    ]
    for column, rule in zip(values.T, RULES, strict=True):
        shown = " | ".join(f"{value:.3g}" for value in np.nanpercentile(column, SHARES))
        lines.append(f"| {rule.name} | {shown} | {sum(one.rule is rule for one in findings)} |")
    return "\n".join(lines) + "\n"


def cost(name: str, raw: Sequence[Path], shard_bytes: int | None, rounds: int = ROUNDS) -> str:
    """A line: the processor time of measuring in that of preparing, in the middle one of some rounds."""
    measure, spent = plausibility.measure, 0.0

    def timed(*arguments: Any) -> plausibility.Measures:
        nonlocal spent
        started = time.process_time()
        measured = measure(*arguments)
        spent += time.process_time() - started
        return measured

    shares, clips, shards = [], 0, 0
    plausibility.measure = timed
    try:
        for _ in range(rounds + 1):  # the first one compiles and warms up
            spent = 0.0
            with tempfile.TemporaryDirectory() as folder:
                started = time.process_time()
                spec = registry.load("datasets", name)
                report = prepare.prepare(spec, raw, Path(folder), jobs=1, shard_bytes=shard_bytes)
                shares.append((spent / (time.process_time() - started), spent))
            clips, shards = report.quality.clips, report.shards
    finally:
        plausibility.measure = measure
    middle = statistics.median(share for share, _ in shares[1:])
    each = 1e6 * statistics.median(seconds for _, seconds in shares[1:]) / clips
    lowest, highest = min(shares[1:])[0], max(shares[1:])[0]
    found = f"{middle:.1%} of prepare ({lowest:.1%} to {highest:.1%}), {each:.0f} us a clip"
    return f"{name}: {clips:,} clips in {shards} shards: {found}"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="of a prepared dataset and profile")
    parser.add_argument("--cost", metavar="DATASET", help="what measuring costs; the folders are raw files")
    parser.add_argument("--shard-bytes", type=int, metavar="N", help="of raw files, as `prepare` has for so much data")
    given = parser.parse_args()
    if given.cost:
        print(cost(given.cost, given.folders, given.shard_bytes))
        return
    for folder in given.folders:
        print(table(folder.resolve()))


if __name__ == "__main__":
    main()
