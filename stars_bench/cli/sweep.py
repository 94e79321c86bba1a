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
    file: Annotated[
        Path, typer.Argument(metavar="FILE.toml", help="The file that describes the runs (docs/sweeps.md).")
    ],
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Replaces the protocols of the file. Repeatable.",
            autocompletion=program.offer_protocols,
        ),
    ] = None,
    stream: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Replaces the streams of the file. Repeatable: several are also summed."),
    ] = None,
    seed: Annotated[
        list[int] | None, typer.Option(min=0, metavar="N", help="Replaces the seeds of the file. Repeatable.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Run nothing. Print the runs, which of them are finished, and what the others cost."
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Number of simultaneous runs on each device. Default: 1, with SLURM all."
        ),
    ] = None,
    devices: Annotated[str | None, typer.Option(metavar="LIST", help="Devices to use at once: cuda:0,cuda:1.")] = None,
    executor: Annotated[
        Executor,
        typer.Option(
            help="processes: on this machine. slurm: SLURM jobs (install the extra `slurm`). local: submitit on "
            "this machine."
        ),
    ] = Executor.processes,
    choose_by: Annotated[
        ChooseBy | None,
        typer.Option(help="Choose each method's settings on held-out training subjects, and test only these."),
    ] = None,
    data_dir: DataDir = Path("data"),
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Run every combination of methods, data, settings and seeds that a file names, several at once.

    Finished runs are reused, so the same command resumes after an interruption. A stage that several runs share is
    trained once. A failed run does not stop the others. It is listed at the end, and the exit code is 1.

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
