"""How this folder compiles with numba. Import it only from modules that `scan_choice` loads when compiling pays.

A module's compiled code is kept on disk for as long as its file is unchanged, whatever it calls in other files: so all
that one compiled function calls stands in one file with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic as numba_intrinsic

Function = TypeVar("Function", bound=Callable[..., Any])


def inlined(function: Function) -> Function:
    """Compiled as a part of what calls it; not to be called from Python, which saves a third of the time to compile."""
    options: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, numba.njit(nogil=True, **options)(function))


def compiled(function: Function) -> Function:
    """Compiled at the first call, and kept on disk for the next process where a folder for it can be written."""
    try:
        dispatcher = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:  # installed read-only and no home folder
        dispatcher = numba.njit(nogil=True)(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        try:
            return dispatcher(*arguments)
        except OSError:  # compiled, but it could not be kept: the disk is full
            return dispatcher(*arguments)

    return cast(Function, call)


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A machine instruction: a function of types that gives a signature, and what builds the code."""
    return cast(Callable[..., Any], numba_intrinsic(function))
