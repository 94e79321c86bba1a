"""What several commands share: the consoles, where data and runs lie, and how options are declared once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from stars_bench import registry
from stars_bench.display.console import CarefulConsole

console = CarefulConsole(highlight=False)
errors = CarefulConsole(stderr=True, highlight=False)


def _known(data_dir: Path) -> Path:
    """A data folder, after which the datasets described in it have names."""
    registry.look_in(data_dir)
    return data_dir


DataDir = Annotated[
    Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_DATA", help="Prepared datasets.", callback=_known)
]
RunsDir = Annotated[Path, typer.Option(metavar="DIR", envvar="STARS_BENCH_RUNS", help="Runs and records.")]


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
