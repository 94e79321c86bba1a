"""Loops over joints and digits, compiled by numba where it is installed.

Without numba they run as plain Python: the same numbers, some hundred times slower. What a `kept_on_disk` function
calls or takes from globals must stand in its own file: numba keeps it for as long as that file is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

try:
    import numba
except ImportError:
    numba = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compiled as a part of what calls it."""
    return function if numba is None else cast(Function, numba.njit(nogil=True)(function))


def kept_on_disk(function: Function) -> Function:
    """Compiled, and kept from one process to the next where a folder for it can be written."""
    if numba is None:
        return function
    try:
        return cast(Function, numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # installed read-only and no home folder
        return compiled(function)
