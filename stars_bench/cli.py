"""The command line: options in, library calls out. Errors are one line; `--debug` shows where they came from."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from stars_bench import __version__, registry
from stars_bench.api import StarsBenchError, UsageError
from stars_bench.console import Bars

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Prepare skeleton data, run action-recognition methods under the same rules, print the table.

    **New here?** `stars-bench quickstart`

    **Real data:** `stars-bench prepare ntu60 --raw FOLDER_OR_ZIP`, then `stars-bench run stars --protocol xsub`, then
    `stars-bench report`
    """,
)

DataDir = Annotated[Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_DATA", help="Prepared datasets.")]
RunsDir = Annotated[Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_RUNS", help="Runs and records.")]


class Format(StrEnum):
    """Forms of a report."""

    table = "table"
    md = "md"
    csv = "csv"


class Published(StrEnum):
    """Which published numbers stand beside the measured ones."""

    own = "own"
    all = "all"
    none = "none"


def _version(asked: bool) -> None:
    if asked:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of every command."""
    del debug, version  # acted on in `main` and `_version`


@app.command()
def quickstart(
    folder: Annotated[
        Path, typer.Option("--dir", metavar="DIR", help="Where data and runs of the quick start go.")
    ] = Path("stars-bench-quickstart"),
    jobs: Annotated[int | None, typer.Option(metavar="N", help="Processes of prepare; default: one a core.")] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of training.")] = 0,
) -> None:
    """The whole road in minutes, without licensed data: made-up actors, prepare, run, report.

    Writes raw NTU-format files of made-up actors, prepares them, trains `untrained`, `mamp` and `stars` at a small
    scale, evaluates them by k-NN and linear probe, and prints the table.
    """
    from stars_bench.quickstart import quickstart as run_quickstart

    run_quickstart(folder, console, jobs=jobs, seed=seed)


@app.command()
def prepare(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="ntu60, ntu120, pku1, pku2, synthetic, or module:SPEC.")
    ],
    raw: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH", help="Folder or zip of raw files; may be repeated. Default: $STARS_BENCH_RAW, DATA_DIR/raw."
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
    force: Annotated[bool, typer.Option("--force", help="Replace what was prepared with other settings.")] = False,
    backend: Annotated[
        str | None, typer.Option(metavar="NAME", help="joblib backend (loky, threading); default: the fastest here.")
    ] = None,
) -> None:
    """Turn raw skeleton files into normalised HDF5 shards.

    Folders (nested or not) and zip archives are read in place. An interrupted run goes on where it stopped. Broken
    clips are set aside with file, line and reason, the others go on; the exit code then is 1.
    """
    from stars_bench.datasets import quality
    from stars_bench.datasets.prepare import prepare as convert

    spec = registry.load("datasets", dataset)
    with Bars(console) as bars:
        if spec.name == "synthetic" and not raw:
            raw = [_made_up(data_dir / "made-up", limit, bars)]  # never below DATA_DIR/raw, where real files lie
        report = convert(
            spec,
            raw or [],
            data_dir,
            profile=profile,
            jobs=jobs,
            limit=limit,
            overwrite=force,
            backend=backend,
            progress=lambda done, total, aside: bars(f"prepare {spec.name}", done, total, f"{aside} set aside"),
        )
    console.print(quality.render(report.quality))
    written = report.shards - report.reused
    state = "was ready, nothing to do" if report.unchanged else f"{written} shard{'s' * (written != 1)} written"
    console.print(f"{report.folder}: {state}, {report.seconds:.1f} s")
    if report.set_aside:
        clips = "1 clip was" if report.set_aside == 1 else f"{report.set_aside:,} clips were"
        raise StarsBenchError(f"{clips} set aside (listed above, all in index.json); the others are ready")


def _made_up(folder: Path, limit: int | None, bars: Bars) -> Path:
    from stars_bench.datasets.synthetic import DEFAULT_CLIPS, clip_names, write_raw

    write_raw(
        folder,
        clip_names(limit=limit or DEFAULT_CLIPS),
        progress=lambda done, total: bars("write raw clips", done, total),
    )
    return folder


@app.command()
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


@app.command()
def report(
    form: Annotated[Format, typer.Option("--format", help="table, md or csv.")] = Format.table,
    published: Annotated[
        Published, typer.Option(help="own: of the methods measured; all: every joint-stream method; none.")
    ] = Published.own,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write to this file instead of the terminal.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
) -> None:
    """Measured results beside published ones: mean, deviation and number of seeds, marks explained underneath."""
    from stars_bench.provenance import write_text
    from stars_bench.results import render, store, tables

    stored = store.read_records(runs_dir)
    for warning in stored.warnings:
        errors.print(f"[yellow]left out:[/] {warning}")
    if not stored.records:
        raise StarsBenchError(
            f"no records under {runs_dir}: run a method first (stars-bench run stars --protocol xsub)"
        )
    boards = tables.leaderboard(stored.records, published.value)
    if form is Format.table and out is None:
        console.print(render.to_rich(boards, console.width))
        return
    if form is Format.table and out is not None:
        if out.suffix not in (".md", ".csv"):
            raise UsageError(f"--out {out}: choose --format md or csv, or a name that ends in .md or .csv")
        form = Format(out.suffix.removeprefix("."))
    text = {Format.md: render.to_markdown, Format.csv: render.to_csv}[form](boards)
    if out is None:
        typer.echo(text, nl=False)
    else:
        write_text(out, text)
        console.print(f"written: {out}")


@app.command("list")
def list_names(
    kind: Annotated[
        str | None, typer.Argument(metavar="KIND", help="datasets, protocols, methods or evaluations.")
    ] = None,
    data_dir: DataDir = Path("data"),
) -> None:
    """What there is: datasets (and which are prepared), protocols, methods, evaluations, plug-ins included."""
    from stars_bench.datasets.shards import prepared_datasets

    kinds = list(registry.BUILT_IN)
    if kind not in (None, *kinds):
        raise UsageError(f"there is no list of {kind!r}: {', '.join(kinds)}")
    prepared = {found.name for found in prepared_datasets(data_dir)}
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "what it is"):
        table.add_column(column)
    for group in [kind] if kind else kinds:
        for name in registry.names(group):
            text = registry.summary(group, name)  # of a class; datasets and protocols are objects, and cheap to load
            if not text:
                spec = registry.load(group, name)
                text = spec.title + (" [green](prepared)[/]" if name in prepared else "")
                if kind == "datasets":
                    text += f"\n[dim]cite: {spec.citation}\nlicence: {spec.licence}[/]"
            table.add_row(group[:-1], name, text)
    console.print(table)


def main() -> None:
    """Entry point: runs a command and turns errors into one line and an exit code (1 failed, 2 used wrongly)."""
    debug = "--debug" in sys.argv
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        app()
    except Stopped as stopped:
        errors.print("stopped; nothing finished is lost: the same command goes on from here")
        sys.exit(128 + stopped.args[0])
    except StarsBenchError as error:
        if debug:
            raise
        errors.print("[bold red]error:[/]", escape(str(error)), soft_wrap=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except Exception as error:
        if debug:
            raise
        first = escape((str(error).splitlines() or [""])[0])
        errors.print(f"[bold red]error:[/] {type(error).__name__}: {first} (--debug shows where)", soft_wrap=True)
        sys.exit(1)


class Stopped(BaseException):
    """Ctrl-C or a request to end: not an error, and not KeyboardInterrupt, which Typer would swallow."""


def _stop(number: int, _frame: object) -> None:
    raise Stopped(number)
