"""Commands that compute: run."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from stars_bench.cli.options import DataDir, RunsDir, console
from stars_bench.console import Bars


def run(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="A registered method, or package.module:Class.")],
    protocol: Annotated[str, typer.Option(metavar="NAME", help="xsub, xview or xset.")],
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Default: the one prepared dataset with the protocol.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Cleaning of the prepared data; default: as published.")
    ] = None,
    evaluation: Annotated[
        list[str] | None, typer.Option("--eval", metavar="NAME", help="knn, linear; may be repeated. Default: both.")
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="paper: exact. quick: small and short, for a CPU.")
    ] = "paper",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Of the method, or EVAL.key=value; may be repeated."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, metavar="N", help="May be repeated: mean and deviation are reported. Default: 0."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(metavar="subjects", help="Measure on training subjects held out, not on the test part."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="cpu, cuda, cuda:1; default: a GPU if there is one.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(metavar="NAME", help="float32, tf32 (default on a GPU) or bf16.")
    ] = None,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="Time between two checkpoints.")
    ] = 60.0,
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Train and evaluate a method under a protocol.

    Resumes by itself: the same command again goes on from the last checkpoint, and takes over every stage that was
    finished under the same settings. The last epoch counts; test labels are read only to compute metrics.
    """
    from stars_bench import runner
    from stars_bench.plan import Request
    from stars_bench.results import render, tables

    request = Request(
        method=method,
        protocol=protocol,
        dataset=dataset,
        profile=profile,
        evaluations=tuple(evaluation or ("knn", "linear")),
        preset=preset,
        overrides=tuple(overrides or ()),
        seeds=tuple(seed or (0,)),
        validation=validation,
        device=device,
        precision=precision,
        checkpoint_seconds=checkpoint_seconds,
        data_dir=data_dir,
        runs_dir=runs_dir,
        command=shlex.join(["stars-bench", *sys.argv[1:]]),
    )
    started = time.monotonic()
    with Bars(console) as bars:
        records = runner.run(request, bars)
    console.print(render.to_rich(tables.leaderboard(records), console.width))
    console.print(f"{len(records)} records under {runs_dir}  ({time.monotonic() - started:.1f} s)")
