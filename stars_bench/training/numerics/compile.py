"""`--compile`: the transformer blocks' work fused by torch.compile, for as long as a run asks for it.

Compiled are pure functions of modules and tensors, whose random numbers were drawn before: their results are those of
the plain functions up to rounding. The first dimension of tensors stays open, all others are fixed, so what is compiled
does not depend on the batches before, and a run that goes on has the bits of one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from stars_bench.errors import StarsBenchError, UsageError, one_line

Function = TypeVar("Function", bound=Callable[..., Any])
SHAPES = 64
"""How many kinds of input a function is compiled for: token counts, precisions, with and without gradients."""
LIMIT = "recompile_limit"
"""Torch's setting of that number, by which older versions are told."""

_mode: str | None = None


def compilable(function: Function) -> Function:
    """Mark a function to be compiled inside `compiled`; outside it stays as it is."""

    @cache
    def made(mode: str) -> Callable[..., Any]:
        return torch.compile(function, dynamic=False, mode=mode)

    @wraps(function)
    def call(*args: Any) -> Any:
        if _mode is None:
            return function(*args)
        return _call(made(_mode), args)

    return cast(Function, call)


def _call(function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    from torch import _dynamo  # takes seconds

    for value in args:
        if isinstance(value, Tensor):
            _dynamo.maybe_mark_dynamic(value, 0)
    try:
        return function(*args)
    except _dynamo.exc.TorchDynamoException as error:
        reason = one_line(getattr(error, "inner_exception", error))
        raise StarsBenchError(f"--compile: torch cannot compile here ({reason:.200}); leave it out") from error


@contextmanager
def compiled(mode: str | None = "default") -> Iterator[None]:
    """Compile compilable functions, in a mode of torch.compile, while the block runs; None compiles nothing.

    Raises:
        UsageError: This torch is too old.
    """
    global _mode
    before, _mode = _mode, mode
    try:
        if mode is None:
            yield
            return
        from torch._dynamo import config

        if not hasattr(config, LIMIT):
            raise UsageError(f"--compile needs a newer torch than {torch.__version__}: leave it out, or update torch")
        with config.patch({LIMIT: SHAPES}):
            yield
    finally:
        _mode = before
