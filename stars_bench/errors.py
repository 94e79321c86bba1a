"""Errors that a user can mend: one line that says what is wrong, where, and what to do."""

from __future__ import annotations

from typing import ClassVar


class StarsBenchError(Exception):
    """A fault of the input or of how a command was used: one line that says what, where, and what to do."""

    is_consequence: ClassVar[bool] = False
    """Whether another process's fault, which that tells the user itself, has led to it."""


class UsageError(StarsBenchError):
    """The command was used wrongly (exit code 2 on the command line)."""


def printable(text: str, most: int = 200) -> str:
    """A text out of a file as a message can show it: on one line, short, with nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:most])
