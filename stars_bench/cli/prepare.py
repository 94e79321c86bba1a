"""Commands that make data: quickstart, prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stars_bench import registry
from stars_bench.cli import program
from stars_bench.cli.options import DataDir, console
from stars_bench.display.progress import Bars
from stars_bench.errors import StarsBenchError, UsageError


def quickstart(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Folder for the data and runs of the quick start.")
    ] = Path("stars-bench-quickstart"),
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Number of processes for prepare. Default: one for each core.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of training.")] = 0,
) -> None:
    """Run the whole pipeline in minutes on synthetic data: prepare, run, report.

    Writes synthetic raw files in NTU's format, prepares them, trains `untrained`, `mamp` and `stars` at a small
    scale, evaluates them by k-NN and linear probe, and prints the table.
    """
    from stars_bench.experiments.quickstart import quickstart as run_quickstart

    run_quickstart(folder, console, jobs=jobs, seed=seed)


def prepare(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="Name of a dataset (`stars-bench list datasets` prints all), a .toml file, or module:SPEC.",
            autocompletion=program.offer_datasets,
        ),
    ],
    raw: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Folder or archive with raw files. Repeatable. Default: $STARS_BENCH_RAW, else DATA_DIR/raw.",
        ),
    ] = None,
    data_dir: DataDir = Path("data"),
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Cleaning profile (`stars-bench list profiles`). Default: the dataset's own."
        ),
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", help="Number of processes. Default: one for each core.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Use only the first N raw files, to try it.")
    ] = None,
    clips: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Number of clips to generate. Only for synthetic, without --raw."),
    ] = None,
    label_rows: Annotated[
        str | None,
        typer.Option(
            "--slice",
            metavar="half-open|aimclr",
            help="Only PKU-MMD: cut rows \\[start, end) of a label, or \\[start-1, end) as AimCLR does.",
        ),
    ] = None,
    on_duplicate: Annotated[
        str,
        typer.Option(
            metavar="refuse|first",
            help="What to do with a clip that is found twice with different content: refuse it, or use the first.",
        ),
    ] = "refuse",
    compression: Annotated[
        str,
        typer.Option(
            metavar="gzip|none", help="Compression of the shards, lossless. gzip is smaller, none is faster to read."
        ),
    ] = "gzip",
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite data that was prepared with other settings.")
    ] = False,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="dask, or a backend of joblib (loky, threading). Default: the fastest on this machine."
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR", help="Address of a Dask cluster that can read the same files (with --backend dask)."
        ),
    ] = None,
) -> None:
    """Turn raw skeleton files into normalised HDF5 shards.

    Folders and archives are read in place. `synthetic` needs no raw files. After an interruption, run the same command
    again: it resumes. A damaged clip is set aside and reported with file, line and reason. All other clips are
    converted, and the exit code is then 1.
    """
    from stars_bench.preparation.prepare import prepare as convert
    from stars_bench.storage import quality

    spec = registry.load("datasets", dataset)
    if clips is not None and (raw or spec.generate is None):
        raise UsageError("--clips is for a dataset that is generated: prepare synthetic without --raw")
    with Bars(console) as bars:
        report = convert(
            spec,
            raw or [],
            data_dir,
            profile=profile,
            jobs=jobs,
            limit=clips or limit,
            overwrite=force,
            backend=backend,
            scheduler=scheduler,
            compression=compression,
            on_duplicate=on_duplicate,
            parameters={} if label_rows is None else {"slice": label_rows},
            find_progress=bars,
            progress=lambda done, total, aside: bars(f"prepare {spec.name}", done, total, f"{aside} set aside"),
        )
    console.print(quality.render(report.quality))
    written = report.shards - report.reused
    state = "was ready, nothing to do" if report.unchanged else f"{written} shard{'s' * (written != 1)} written"
    console.print(f"{report.folder}: {state}, {report.seconds:.1f} s")
    if report.set_aside:
        faults = "1 clip was" if report.set_aside == 1 else f"{report.set_aside:,} clips were"
        raise StarsBenchError(f"{faults} set aside (listed above, all in index.json); the others are ready")
