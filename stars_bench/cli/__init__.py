"""The command line (Typer): options in, library calls out; no logic. One file a group of commands."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer
from rich.markup import escape

from stars_bench import __version__
from stars_bench.api import StarsBenchError, UsageError
from stars_bench.cli import exchange, look, prepare, report, run, saved
from stars_bench.cli.options import console, errors

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

DATA, RUNS, LOOK = "Data", "Runs and results", "What there is"
app.command(rich_help_panel=DATA)(prepare.quickstart)
app.command(rich_help_panel=DATA)(prepare.prepare)
app.command(rich_help_panel=DATA)(exchange.export)
app.command("import", rich_help_panel=DATA)(exchange.import_file)
app.command(rich_help_panel=RUNS)(run.run)
app.command(rich_help_panel=RUNS)(run.evaluate)
app.command("export-checkpoint", rich_help_panel=RUNS)(run.export_checkpoint)
app.command(rich_help_panel=RUNS)(report.report)
app.command(rich_help_panel=RUNS)(saved.rescore)
app.command(rich_help_panel=RUNS)(saved.fuse)
app.command("map", rich_help_panel=RUNS)(saved.map_features)
app.command("list", rich_help_panel=LOOK)(look.list_names)
app.command(rich_help_panel=LOOK)(look.inspect)
app.command(rich_help_panel=LOOK)(look.verify)


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
