"""What checksums and the identity of code cost at the start of a run, in processor time of one core.

    python -m benchmarks.integrity [--data-dir DIR] [--dataset NAME] [--protocol NAME]

Starts `run mamp --preset quick` on prepared data and stops it at the first step of training. Every function that
compares or computes a checksum is timed where it is called.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
import time
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from stars_bench.experiments import encoder_source, runner, seed_run
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.storage import shard_file, shards
from stars_bench.storage.shards import open_dataset
from stars_bench.training import stages

PARTS: dict[str, list[tuple[ModuleType, str]]] = {
    "digests of all clips": [(shards, "_digest")],
    "digests of columns and index": [(shard_file, "digest_of_columns"), (shards, "_check_index")],
    "links, filters and sizes of the shards": [(shard_file, "_check")],
    "source of the code": [(module, "source_closure") for module in (stages, seed_run, encoder_source)],
    "values of the module": [(stages, "digest_module")],
}
GOAL = 0.02
"""Share of the start of a quick run that all of it may take."""


class Started(Exception):
    """The first step of training is due."""


def timed(seconds: Counter[str], part: str, module: ModuleType, name: str) -> None:
    """Let a function of a module add the processor time of its calls to a part."""
    function = getattr(module, name)

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        started = time.process_time()
        try:
            return function(*arguments, **named)
        finally:
            seconds[part] += time.process_time() - started

    setattr(module, name, called)


def stop(*_: object, **__: object) -> NoReturn:
    """Stand for the training of a stage."""
    raise Started


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="prepared data; default data")
    parser.add_argument("--dataset", default="synthetic", help="default synthetic")
    parser.add_argument("--protocol", default="xsub", help="default xsub")
    options = parser.parse_args()
    dataset = open_dataset(options.data_dir, options.dataset)
    seconds: Counter[str] = Counter()
    for part, functions in PARTS.items():
        for module, name in functions:
            timed(seconds, part, module, name)
    stages.train = stop  # type: ignore[assignment]
    with tempfile.TemporaryDirectory() as runs:
        options_of_run = TrainingOptions("cpu")
        request = Request(
            "mamp", options.protocol, options.data_dir, Path(runs), dataset=options.dataset, preset="quick",
            evaluations=("knn",), training=options_of_run,
        )  # fmt: skip
        try:
            runner.run(request)
        except Started:
            whole = time.process_time()  # since the interpreter started
    size = sum(int(entry["rows"]) for entry in dataset._index["shards"]) * 3 * 4
    gigabytes = size * len(dataset._index["joint_names"]) / 1e9
    table = Table("part of the start", "seconds", "seconds per GB", "share of the start")
    for part, spent in {**{part: seconds[part] for part in PARTS}, "all of these": sum(seconds.values())}.items():
        table.add_row(part, f"{spent:.3f}", f"{spent / gigabytes:.2f}", f"{spent / whole:.1%}")
    console = Console()
    console.print(f"{dataset.num_clips:,} clips, {len(dataset.shards)} shards, {gigabytes:.3f} GB of coordinates")
    console.print(table)
    console.print(f"whole start: {whole:.1f} s of processor time; goal {GOAL:.0%}")


if __name__ == "__main__":
    main()
