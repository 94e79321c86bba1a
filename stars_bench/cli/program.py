"""The command line beyond Typer: flags without a type in the help, one style of error, names that the shell offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from stars_bench import registry
from stars_bench.io.default_folders import data_folder, runs_folder
from stars_bench.io.run_folder import run_folders

WrongUse: type[Any] = typer.BadParameter.__mro__[1]
"""What every wrong use of a command line is: an option that does not exist, an argument that lacks, a bad value.

Typer exports none of its base classes, and where they come from (click, or its own copy) depends on its version.
"""


class Command(TyperCommand):
    """A command whose flags show no type: a flag takes no value, and `--compile` may have one."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line; `--compile` alone is `--compile blocks`."""
        if any("--compile" in one.opts for one in self.params):
            args = [part for one, after in zip(args, [*args[1:], ""], strict=False) for part in _with_value(one, after)]
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with flags as the help shows them."""
        return _without_types(super().get_params(ctx))


class Program(TyperGroup):
    """The program itself, with the same rule for its flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with flags as the help shows them."""
        return _without_types(super().get_params(ctx))


def _with_value(option: str, after: str) -> tuple[str, ...]:
    return (option, "blocks") if option == "--compile" and after not in ("blocks", "step") else (option,)


def _without_types(parameters: list[Any]) -> list[Any]:
    for one in parameters:
        if getattr(one, "is_flag", False):
            one.metavar = ""
    return parameters


def how_to_use(error: Any) -> str:
    """Say in one line what is wrong with a command line, and where its options are described.

    Args:
        error: A `WrongUse`.
    """
    said = " ".join(error.format_message().replace("Value error, ", "").split()).rstrip(".")
    return said if error.ctx is None else f"{said}: see {error.ctx.command_path} --help"


# What the shell offers where a name belongs; `stars-bench --install-completion` tells the shell to ask.


def offer_datasets(incomplete: str) -> list[str]:
    """Offer the datasets, described ones in the data folder included."""
    registry.add_data_dir(data_folder(None))
    return _named("datasets", incomplete)


def offer_methods(incomplete: str) -> list[str]:
    """Offer the methods."""
    return _named("methods", incomplete)


def offer_protocols(incomplete: str) -> list[str]:
    """Offer the protocols."""
    return _named("protocols", incomplete)


def offer_evaluations(incomplete: str) -> list[str]:
    """Offer the evaluations, a paper's row of them, and every one."""
    return [*_named("evaluations", incomplete), *(one for one in ("all", "every") if one.startswith(incomplete))]


def offer_kinds(incomplete: str) -> list[str]:
    """Offer what can be listed."""
    return [name for name in (*registry.BUILT_IN, "profiles", "presets", "runs") if name.startswith(incomplete)]


def offer_runs(incomplete: str) -> list[str]:
    """Offer the runs in the runs folder; where none fits, the shell offers files."""
    return list(dict.fromkeys(one for one in _runs() if one.startswith(incomplete)))


def offer_datasets_and_runs(incomplete: str) -> list[str]:
    """Offer datasets and runs."""
    return [*offer_datasets(incomplete), *offer_runs(incomplete)]


def _named(kind: str, incomplete: str) -> list[str]:
    return [name for name in registry.names(kind) if name.startswith(incomplete)]


def _runs() -> Iterator[str]:
    for folder in run_folders(runs_folder(None)):
        yield str(folder.run)
