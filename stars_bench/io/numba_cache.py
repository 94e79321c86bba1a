"""How this package compiles loops with numba, and keeps what is compiled for the next process.

Importing it imports numba, which takes a fifth of a second: modules that must start at once import what they compile
when it pays (`datasets.parsing.compiled_code`).

A function's compiled code is kept for as long as its file is unchanged: so everything that it calls, and the globals
that it reads, must stand in one file with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event

Function = TypeVar("Function", bound=Callable[..., Any])

ANY_ORDER: Mapping[str, Any] = {"fastmath": {"reassoc", "contract"}}
"""Sums may be taken in any order: several at once."""


def compiled(function: Function, options: Mapping[str, Any] = {}) -> Function:
    """Compile a function at its first call from Python, or as a part of its caller; it runs without the GIL."""
    return cast(Function, numba.njit(nogil=True, **options)(function))


def inlined(function: Function) -> Function:
    """Compile a function as a part of its caller only, which takes a third less time; Python cannot call it."""
    return compiled(function, {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True})


def kept(function: Function, options: Mapping[str, Any] = {}) -> Function:
    """Compile a function and store it on disk, if a folder for it can be written; only Python may call it."""
    try:
        dispatcher = compiled(function, {**options, "cache": True})
    except RuntimeError:  # installed read-only and no home folder
        dispatcher = compiled(function, options)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return dispatcher(*arguments)
        except OSError:  # compiled, but it could not be kept: the disk is full
            return dispatcher(*arguments)

    return cast(Function, call)


def folder() -> Path | None:
    """Return the folder of the compiled code that is `kept`; None if no folder can be written and nothing is kept."""
    try:
        path = numba.njit(cache=True)(lambda: None).stats.cache_path
    except RuntimeError:
        return None
    return Path(path) if path else None


@contextmanager
def compiling(started: Callable[[], None]) -> Iterator[None]:
    """Call `started` whenever numba begins to compile a function, which loading one from its folder is not."""
    with event.install_listener("numba:compile", _Started(started)):
        yield


class _Started(event.Listener):
    def __init__(self, started: Callable[[], None]) -> None:
        self.started = started

    def on_start(self, _event: Any) -> None:
        self.started()

    def on_end(self, _event: Any) -> None:
        pass
