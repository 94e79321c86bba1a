"""The command line (Typer): options in, library calls out; no logic. One file a group of commands."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer
from rich.markup import escape

from stars_bench import registry
from stars_bench._version import __version__
from stars_bench.cli import doctor, formats, inspect, new, prepare, report, results, run, sweep, view
from stars_bench.cli.options import console, errors
from stars_bench.cli.program import Command, Program, WrongUse, how_to_use
from stars_bench.errors import StarsBenchError, UsageError, cause, is_disk_full, one_line
from stars_bench.io.allowance import limit_of

app = typer.Typer(
    cls=Program,
    invoke_without_command=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Prepare skeleton data, run action-recognition methods under the same rules, print the table.

    **New here?** `stars-bench quickstart`

    **Real data:** `stars-bench prepare ntu60 --raw FOLDER_OR_ZIP`, then `stars-bench run stars --protocol xsub`, then
    `stars-bench report`
    """,
)

DATA, RUNS, PLUGINS, LOOK = "Data", "Runs and results", "Your own plug-ins", "Look and check"
for panel, name, command in (
    (DATA, "quickstart", prepare.quickstart),
    (DATA, "prepare", prepare.prepare),
    (DATA, "export", formats.export),
    (DATA, "import", formats.import_file),
    (RUNS, "run", run.run),
    (RUNS, "sweep", sweep.sweep),
    (RUNS, "evaluate", run.evaluate),
    (RUNS, "export-checkpoint", run.export_checkpoint),
    (RUNS, "report", report.report),
    (RUNS, "pack", report.pack),
    (RUNS, "unpack", report.unpack),
    (RUNS, "rescore", results.rescore),
    (RUNS, "compare", results.compare),
    (RUNS, "predict", results.predict),
    (RUNS, "fuse", results.fuse),
    (RUNS, "map", results.map_features),
    (PLUGINS, "new-method", new.new_method),
    (PLUGINS, "new-dataset", new.new_dataset),
    (PLUGINS, "new-protocol", new.new_protocol),
    (PLUGINS, "new-evaluation", new.new_evaluation),
    (LOOK, "list", inspect.list_names),
    (LOOK, "inspect", inspect.inspect),
    (LOOK, "show", inspect.show),
    (RUNS, "note", inspect.note),
    (LOOK, "view", view.view),
    (LOOK, "verify", inspect.verify),
    (LOOK, "doctor", doctor.doctor),
):
    app.command(name, cls=Command, rich_help_panel=panel)(command)


def _version(asked: bool) -> None:
    if asked:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    modules: Annotated[
        list[str] | None,
        typer.Option(
            "--import",
            metavar="MODULE",
            help="Import your own code, which a run or a record names and which is not installed. Repeatable.",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    """Options of every command."""
    del debug, version  # acted on in `main` and `_version`
    if context.invoked_subcommand is None:
        console.print(context.get_help())
        raise typer.Exit(2)
    for module in modules or ():
        registry.import_module(module)


def main() -> None:
    """Run a command; turn errors into one line and an exit code (1 failed, 2 used wrongly)."""
    debug = "--debug" in sys.argv
    _answer_stops(_stop)
    try:
        _check_working_folder()
        if SEVERAL:
            _join_the_others()
        sys.exit(app(standalone_mode=False))
    except SystemExit as done:
        _answer_stops(signal.SIG_DFL)  # all is done but the interpreter's own end
        if SEVERAL and not done.code:
            _part_from_the_others()
        raise
    except Stopped as stopped:
        why = "stopped (as are all processes when one is lost)" if SEVERAL else "stopped"
        if GOING_ON.intersection(sys.argv):
            why = f"{why}; run the same command again: it resumes from what it last saved"
        _end(why, 128 + stopped.args[0], None)
    except WrongUse as error:
        _end(f"[bold red]error:[/] {escape(how_to_use(error))}", 2, None)
    except StarsBenchError as error:
        if debug:
            raise
        told = None if error.is_consequence else str(error)
        _end(f"[bold red]error:[/] {escape(one_line(error))}", 2 if isinstance(error, UsageError) else 1, told)
    except Exception as error:
        if debug:
            raise
        foreseen = is_disk_full(error) or (isinstance(error, OSError) and error.filename is not None)
        limit = limit_of(error)
        line = f"{one_line(error)}{limit}" if foreseen or limit else f"{one_line(error)} (--debug shows where)"
        _end(f"[bold red]error:[/] {escape(line)}", 1, line)


GOING_ON = frozenset({"prepare", "quickstart", "run", "sweep", "evaluate", "verify"})
"""Commands that go on from where they were stopped (verify: with --rerun --scratch)."""

SEVERAL = "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1" and "doctor" not in sys.argv
"""Whether this is one of several processes (torchrun); doctor reports such variables and waits for nobody."""


def _check_working_folder() -> None:
    try:
        os.getcwd()  # noqa: PTH109
    except OSError as error:
        raise UsageError(f"the working folder cannot be used ({cause(error)}): cd to another one") from error


def _join_the_others() -> None:
    from stars_bench.training.parallel import distributed

    distributed.start()
    console.quiet = not distributed.is_first()


def _part_from_the_others() -> None:
    from stars_bench.training.parallel import distributed

    distributed.stop()


def _end(line: str, code: int, told: str | None) -> NoReturn:
    """Says why and ends. Of several processes one says it, and ends without waiting for the others."""
    _answer_stops(signal.SIG_IGN)  # Ctrl-C pressed again, or torchrun ending all, changes nothing any more
    if not SEVERAL:
        errors.print(line, soft_wrap=True)
        sys.exit(code)
    from stars_bench.training.parallel import distributed

    if distributed.is_first_to_say(told):
        errors.print(line, soft_wrap=True)
    for stream in filter(None, (sys.stdout, sys.stderr)):
        stream.flush()
    os._exit(code)


class Stopped(BaseException):
    """Ctrl-C or a request to end: not an error, and not KeyboardInterrupt, which Typer would swallow."""


def _stop(number: int, _frame: object) -> None:
    raise Stopped(number)


def _answer_stops(answer: Callable[[int, object], None] | signal.Handlers) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, answer)
