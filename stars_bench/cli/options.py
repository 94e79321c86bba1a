"""What several commands share: the consoles, where data and runs lie, and how options are declared once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer

from stars_bench import registry
from stars_bench.cli import program
from stars_bench.display.console import CarefulConsole
from stars_bench.io.default_folders import as_folder, default_folder

if TYPE_CHECKING:
    from stars_bench.records.record import Record

console = CarefulConsole(highlight=False, emoji=False)
errors = CarefulConsole(stderr=True, highlight=False, emoji=False)


def _data(context: typer.Context, data_dir: Path) -> Path:
    """The data folder, after which the datasets described in it have names."""
    data_dir = _found(context, "data", data_dir)
    registry.add_data_dir(data_dir)
    return data_dir


def _runs(context: typer.Context, runs_dir: Path) -> Path:
    return _found(context, "runs", runs_dir)


def _found(context: typer.Context, name: Literal["data", "runs"], folder: Path) -> Path:
    """The folder that an option names; without it the one here, or the nearest above, which a line then names."""
    source = context.get_parameter_source(f"{name}_dir")
    if context.resilient_parsing or source is None or source.name != "DEFAULT":
        return as_folder(folder, f"--{name}-dir")
    found = default_folder(name)
    if found != folder:
        errors.print(f"{name}: {found} (from the folder above; --{name}-dir names another)", markup=False)
    return found


RUN_HELP = (
    "A run: its folder (METHOD/KEY, or METHOD if there is only one run), the folder of a seed, a record, or encoder.pt."
)
"""What names a run, everywhere."""
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help=RUN_HELP, autocompletion=program.offer_runs)]
RunPaths = Annotated[list[Path], typer.Argument(metavar="RUN...", help=RUN_HELP, autocompletion=program.offer_runs)]
DataDir = Annotated[
    Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_DATA", help="Folder with prepared datasets.", callback=_data)
]
RunsDir = Annotated[
    Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_RUNS", help="Folder with runs and records.", callback=_runs)
]


def counted(records: Sequence[Record], runs_dir: Path, began: str) -> str:
    """Say how many results a command gives, and how many of them it has computed itself.

    Args:
        records: The results of the command.
        runs_dir: Where they lie.
        began: When the command began (UTC, ISO 8601).
    """
    new = sum(record.finished >= began for record in records)
    share = (
        "all new" if new == len(records) else f"{new} new, the others were there before" if new else "all there before"
    )
    number = f"{len(records)} record{'s' * (len(records) != 1)} under {runs_dir}"
    return f"{number}: {share}" if records else number


def with_options(options: type) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Declare the fields of a dataclass as options of a command, which gets them together as its argument `options`.

    Typer reads a command's signature; this one has the command's own parameters first, then a parameter a field.

    Args:
        options: a dataclass whose fields are `Annotated` as Typer's options are.
    """
    hints = get_type_hints(options, include_extras=True)
    shared = [
        Parameter(
            one.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if one.default is MISSING else one.default,
            annotation=hints[one.name],
        )
        for one in fields(options)
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        given = signature(command, eval_str=True).parameters.values()
        own = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in given if one.name != "options"]

        @wraps(command)
        def merged(**values: Any) -> None:
            together = options(**{one.name: values.pop(one.name) for one in shared})
            command(**values, options=together)

        merged.__signature__ = Signature([*own, *shared])  # type: ignore[attr-defined]
        merged.__annotations__ = {one.name: one.annotation for one in (*own, *shared)}
        return merged

    return decorate
