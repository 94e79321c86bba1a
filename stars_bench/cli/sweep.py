"""The command of many runs: sweep."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stars_bench.cli import program
from stars_bench.cli.options import DataDir, RunsDir, console, counted, errors
from stars_bench.errors import StarsBenchError


class ChooseBy(StrEnum):
    """What settings may be chosen by: never by a test part."""

    validation = "validation"


class Executor(StrEnum):
    """Where runs are computed."""

    processes = "processes"
    slurm = "slurm"
    local = "local"


def sweep(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="What is run: see docs/sweeps.md.")],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="In place of the file's protocols; may be repeated.",
            autocompletion=program.offer_protocols,
        ),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="In place of the file's streams; may be repeated: several are also summed."),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, metavar="N", help="In place of the file's seeds; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Run nothing: say what would be run, what exists already, and what it costs."),
    ] = False,
    jobs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Runs at once on each device. Default: 1; SLURM: all.")
    ] = None,
    devices: Annotated[
        str | None, typer.Option(metavar="LIST", help="As cuda:0,cuda:1: runs on all of them at once.")
    ] = None,
    executor: Annotated[
        Executor,
        typer.Option(help="processes of this machine, SLURM jobs (the extra `slurm`), or submitit on this machine."),
    ] = Executor.processes,
    choose_by: Annotated[
        ChooseBy | None,
        typer.Option(help="Choose each method's settings on training subjects held out; test the chosen ones alone."),
    ] = None,
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Run every combination of methods, data, settings and seeds that a file names, several at once.

    Results that exist are taken, so the same command resumes after a kill. A stage that several runs share is
    trained once. What fails does not stop the others; it is listed at the end, and the exit code is 1.

    **What will it cost?** `stars-bench sweep FILE.toml --dry-run`

    **Two GPUs:** `stars-bench sweep FILE.toml --devices cuda:0,cuda:1`

    **Settings without the test part:** `stars-bench sweep FILE.toml --choose-by validation`
    """
    from stars_bench.experiments.sweeps import sweep_file
    from stars_bench.experiments.sweeps.progress import shown
    from stars_bench.experiments.sweeps.sweep import Sweep, run_sweep
    from stars_bench.io.files import utc_now
    from stars_bench.report import terminal
    from stars_bench.report.leaderboard import Leaderboard

    given = {"protocols": protocol, "streams": stream, "seeds": seed}
    asked = Sweep(
        file=sweep_file.read(file, {name: value for name, value in given.items() if value}),
        name=file.stem,
        data_dir=data_dir,
        runs_dir=runs_dir,
        executor=executor.value,
        devices=tuple(filter(None, (devices or "").split(","))),
        jobs=jobs,
        choose_by=choose_by and choose_by.value,
        command=shlex.join(["stars-bench", *sys.argv[1:]]),
    )
    if dry_run:
        from stars_bench.experiments.sweeps.cost import estimate

        for line in estimate(asked).lines():
            console.print(line, markup=False, soft_wrap=True)
        return
    began = utc_now()
    with shown(console, file.stem) as (show, tell):
        found = run_sweep(asked, show, tell)
    if found.records:
        console.print(terminal.render(Leaderboard.of([one.record for one in found.records]).tables, console.width))
    console.print(counted([one.record for one in found.records], runs_dir, began), soft_wrap=True)
    for run, reason in found.failures:
        errors.print(f"{run} failed: {reason}", markup=False, soft_wrap=True)
    if found.failures:
        count = len(found.failures)
        raise StarsBenchError(
            f"{count} run{'s' * (count > 1)} failed (listed above); the same command tries again; what each run said "
            f"lies in {runs_dir / 'sweeps' / file.stem}"
        )
