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
        Path, typer.Option("--dir", metavar="DIR", help="Where data and runs of the quick start go.")
    ] = Path("stars-bench-quickstart"),
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Processes of prepare; default: one a core.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of training.")] = 0,
) -> None:
    """Run the whole pipeline in minutes, without licensed data: synthetic actors, prepare, run, report.

    Writes raw NTU-format files of synthetic actors, prepares them, trains `untrained`, `mamp` and `stars` at a small
    scale, evaluates them by k-NN and linear probe, and prints the table.
    """
    from stars_bench.experiments.quickstart import quickstart as run_quickstart

    run_quickstart(folder, console, jobs=jobs, seed=seed)


def prepare(
    dataset: Annotated[
        str,
        typer.Argument(
            metavar="DATASET",
            help="ntu60, ntu120, pku1, pku2, synthetic, module:SPEC, or a .toml.",
            autocompletion=program.offer_datasets,
        ),
    ],
    raw: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Folder or archive of raw files; may be repeated. Default: $STARS_BENCH_RAW, DATA_DIR/raw.",
        ),
    ] = None,
    data_dir: DataDir = Path("data"),
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="How clips are cleaned; default: mamp, as published.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Processes; default: one a core.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Only the first N raw files, for a try.")
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="How many clips to generate (synthetic), without raw files.")
    ] = None,
    label_rows: Annotated[
        str | None,
        typer.Option(
            "--slice",
            metavar="half-open|aimclr",
            help="PKU-MMD: rows \\[start, end) of a label, or AimCLR's \\[start-1, end).",
        ),
    ] = None,
    on_duplicate: Annotated[
        str, typer.Option(metavar="refuse|first", help="One clip found twice with different content.")
    ] = "refuse",
    compression: Annotated[
        str,
        typer.Option(
            metavar="gzip|none", help="Of the shards, lossless: gzip is a third smaller, none is read faster."
        ),
    ] = "gzip",
    force: Annotated[bool, typer.Option("--force", help="Replace what was prepared with other settings.")] = False,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="dask, or joblib's (loky, threading); default: the fastest here.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDR", help="Of a dask cluster that sees the same files (--backend dask).")
    ] = None,
) -> None:
    """Turn raw skeleton files into normalised HDF5 shards.

    Folders (nested or not) and zip archives are read in place; `synthetic` needs none. An interrupted run resumes where
    it stopped. Broken clips are set aside with file, line and reason, and the others are converted; the exit code is
    then 1.
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
