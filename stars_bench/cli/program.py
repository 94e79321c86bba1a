"""How the program reads its command line beyond Typer: flags without a type in the help, one style of error."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

WrongUse: type[Any] = typer.BadParameter.__mro__[1]
"""What every wrong use of a command line is: an option that does not exist, an argument that lacks, a bad value.

Typer exports none of its base classes, and where they come from (click, or its own copy) depends on its version.
"""


class Command(TyperCommand):
    """A command whose flags show no type: a flag takes no value."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with flags as the help shows them."""
        return _without_types(super().get_params(ctx))


class Program(TyperGroup):
    """The program itself, with the same rule for its flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, with flags as the help shows them."""
        return _without_types(super().get_params(ctx))


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
