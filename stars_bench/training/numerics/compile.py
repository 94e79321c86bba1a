"""`--compile`: the transformer blocks' work, or a step's as a whole, fused by torch.compile while a run asks for it.

Compiled are pure functions of modules and tensors. Random numbers are drawn before, or inside by the generators that
the plain functions use: results are those of the plain functions up to rounding. Blocks leave the first dimension of
tensors open; all others, and all of a step, are fixed. So what is compiled does not depend on the batches before, and a
run that goes on has the bits of one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from stars_bench.data import random
from stars_bench.errors import StarsBenchError, UsageError, one_line

Function = TypeVar("Function", bound=Callable[..., Any])
SHAPES = 64
"""How many kinds of input a function is compiled for: token counts, precisions, with and without gradients."""
LIMIT = "recompile_limit"
"""Torch's setting of that number, by which older versions are told."""

CUDA_GRAPH_CLIPS = 32
"""Clips of a process up to which a step is replayed as a CUDA graph: below, launching its kernels takes longer than
they do (computed, docs/performance.md; not measured)."""

_mode: str | None = None
_whole = False


def compilable(function: Function) -> Function:
    """Mark a function to be compiled inside `compiled`; outside it stays as it is."""

    @cache
    def made(mode: str) -> Callable[..., Any]:
        return torch.compile(function, dynamic=False, mode=mode)

    @wraps(function)
    def call(*args: Any) -> Any:
        if _mode is None or torch.compiler.is_compiling():  # inside a step's graph it is a part of that
            return function(*args)
        return _call(made(_mode), args)

    return cast(Function, call)


def step_graph(function: Function) -> Function:
    """Mark a function of a whole step to be compiled inside `compiled(whole=True)`; outside it stays as it is.

    It may draw random numbers. Each number of clips has a graph of its own.
    """

    @cache
    def made(mode: str) -> Callable[..., Any]:
        return torch.compile(function, dynamic=False, mode=mode)

    @wraps(function)
    def call(*args: Any) -> Any:
        if not _whole or _mode is None or torch.compiler.is_compiling():
            return function(*args)
        replayed = any(isinstance(value, Tensor) and _is_replayed(value.device, len(value)) for value in args)
        if replayed:
            torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        return _call(made("reduce-overhead" if replayed else _mode), args, fixed=True)

    return cast(Function, call)


def _is_replayed(device: torch.device, clips: int) -> bool:
    """Return whether a step is replayed as a CUDA graph.

    Where gradients of several parts are added up they outlive a replay, which would overwrite them.
    """
    return device.type == "cuda" and clips <= CUDA_GRAPH_CLIPS and torch.is_grad_enabled() and random.parts() == 1


def _call(function: Callable[..., Any], args: tuple[Any, ...], fixed: bool = False) -> Any:
    from torch import _dynamo, _inductor  # takes seconds

    for value in args:
        if isinstance(value, Tensor) and not fixed:
            _dynamo.maybe_mark_dynamic(value, 0)
    try:
        with _inductor.config.patch(fallback_random=True):  # the numbers of the plain functions
            return function(*args)
    except _dynamo.exc.TorchDynamoException as error:
        reason = one_line(getattr(error, "inner_exception", error))
        raise StarsBenchError(f"--compile: torch cannot compile here ({reason:.200}); leave it out") from error


@contextmanager
def compiled(mode: str | None = "default", whole: bool = False) -> Iterator[None]:
    """Compile compilable functions while the block runs.

    Args:
        mode: Mode of torch.compile; None compiles nothing. Default: "default".
        whole: Whether functions of a whole step are compiled as one. Default: False.

    Raises:
        UsageError: This torch is too old.
    """
    global _mode, _whole
    before, _mode, _whole = (_mode, _whole), mode, whole
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
        _mode, _whole = before
