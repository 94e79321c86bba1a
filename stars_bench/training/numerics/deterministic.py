"""The same bits every time on a GPU: what `--deterministic` asks of torch, and puts back afterwards.

On a CPU results are the same bit for bit without it, for the same number of threads. There it changes no result; torch
refuses operations that it knows no deterministic form of, and fills memory that a program would read unset.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from stars_bench.errors import UsageError

WORKSPACE, SIZES = "CUBLAS_WORKSPACE_CONFIG", (":4096:8", ":16:8")
"""What cuBLAS reads when CUDA starts, and the sizes of its workspace with which it is deterministic."""
ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Kernels whose backward pass adds in one order, the memory-efficient one because torch is asked for deterministic
algorithms. Flash takes bf16 alone; plain attention takes 2.5 times the memory, and is for what neither takes."""


def prepare() -> None:
    """Set what must be set before CUDA starts.

    Raises:
        UsageError: CUDA has been started, or the environment asks for another workspace.
    """
    if os.environ.get(WORKSPACE) in SIZES:
        return
    if WORKSPACE in os.environ or torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        raise UsageError(f"--deterministic: set {WORKSPACE}={SIZES[0]} in the environment before the program starts")
    os.environ[WORKSPACE] = SIZES[0]


@contextmanager
def deterministic(asked: bool = True) -> Iterator[None]:
    """Make torch use deterministic kernels only, if asked for, while the block runs.

    Raises:
        UsageError: As for `prepare`.
    """
    if not asked:
        yield
        return
    prepare()
    cudnn, before = torch.backends.cudnn, torch.are_deterministic_algorithms_enabled()
    warn_only, flags = torch.is_deterministic_algorithms_warn_only_enabled(), (cudnn.deterministic, cudnn.benchmark)
    with ExitStack() as at_the_end:
        at_the_end.callback(torch.use_deterministic_algorithms, before, warn_only=warn_only)
        at_the_end.callback(_set_cudnn, *flags)
        torch.use_deterministic_algorithms(True)
        _set_cudnn(deterministic=True, benchmark=False)
        if torch.cuda.is_available():
            at_the_end.enter_context(sdpa_kernel(ATTENTION))
        yield


def _set_cudnn(deterministic: bool, benchmark: bool) -> None:
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, benchmark
