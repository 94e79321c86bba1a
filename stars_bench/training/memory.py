"""Memory of training: how much it takes, what is kept from step to step, and what to do where it does not suffice.

Memory that is refused is an `OutOfMemory` that names the setting to lower, or is avoided by micro-batches
(`--fit-batch`). On a CPU freed memory is kept: glibc gives a block of more than 32 MB back to the system as soon as it
is freed, and the system hands it out again page by page, filled with zeros. At the paper's size that is a tenth of a
step of stage 1.
"""

from __future__ import annotations

import copy
import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.training.parallel import distributed
from stars_bench.training.stage import Stage, settings_named
from stars_bench.training.step import SplitStep

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h; what they do: mallopt(3)
THE_USERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_")


class OutOfMemory(StarsBenchError):
    """The machine or its GPU has too little memory for what was asked; says which setting to lower."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory was refused, by a GPU or by the machine."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in REFUSED)
    )


REFUSED = ("can't allocate memory", "CUDA error: out of memory", "STATUS_ALLOC_FAILED")
"""What errors that are no `OutOfMemoryError` say of it: torch of the machine's, CUDA outside torch's allocator, cuBLAS
and cuDNN of their work spaces."""


@contextmanager
def refused(line: str) -> Iterator[None]:
    """Turn a refusal of memory into an `OutOfMemory` that says `line`."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(line) from error


def peak_bytes(device: torch.device) -> int:
    """Return the most memory that tensors of this process took on a GPU since its stage began there; 0 on a CPU."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def check_fit(fit_batch: bool) -> None:
    """Check that `--fit-batch` can work: one of several processes cannot start a stage again on its own.

    Raises:
        UsageError: There are several processes.
    """
    if fit_batch and distributed.world_size() > 1:
        raise UsageError("--fit-batch: only for one process; of several, give all the same --grad-accum K")


def more_micro_batches(stage: Stage, device: torch.device, micro_batches: int, fit_batch: bool) -> int:
    """Double the micro-batches after a step has found no memory.

    Raises:
        OutOfMemory: That is not allowed, or would not help.
    """
    where = "GPU memory" if device.type == "cuda" else "memory"
    what = f"{stage.name}: out of {where} with a batch of {stage.batch_size}"
    lower = f"a smaller one, {settings_named(stage, 'batch_size')}, is another experiment"
    if not isinstance(stage.step, SplitStep):
        raise OutOfMemory(f"{what}; it cannot be divided (its step is no SplitStep): {lower}")
    share = distributed.own_share(stage.batch_size)[1]
    if micro_batches >= share:
        raise OutOfMemory(f"{what}, clip by clip; {lower}; a smaller encoder, or a larger device")
    if not fit_batch:
        divided = f" in {micro_batches} micro-batches" if micro_batches > 1 else ""
        raise OutOfMemory(
            f"{what}{divided}: --grad-accum {2 * micro_batches} gives the same result, to rounding, in less memory "
            f"(--fit-batch finds the number); {lower}"
        )
    return min(2 * micro_batches, share)


def snapshot(stage: Stage) -> dict[str, Any]:
    """Return what a stage starts from, on the CPU: `restore` puts it back after a step that broke off half-way."""
    return {"module": on_cpu(stage.module.state_dict()), "optimizer": on_cpu(stage.optimizer.state_dict())}


def restore(stage: Stage, before: dict[str, Any]) -> None:
    """Put a snapshot back, and return the memory of the broken step to the device."""
    stage.optimizer.zero_grad(set_to_none=True)
    stage.module.load_state_dict(before["module"])
    stage.optimizer.load_state_dict(before["optimizer"])
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def on_cpu(value: Any) -> Any:
    """Return a copy of nested state with every tensor on the CPU."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: on_cpu(part) for key, part in value.items()}
    return [on_cpu(part) for part in value] if isinstance(value, list) else copy.copy(value)


def peak() -> tuple[str, int] | None:
    """Return whose memory, and its peak in bytes: the GPU's since the stage began, else the process's.

    None where the system does not say (Windows).
    """
    if torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return "GPU memory", torch.cuda.max_memory_allocated()
    try:
        import resource
    except ImportError:
        return None
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return "peak memory", size if sys.platform == "darwin" else 1024 * size


def give_back() -> bool:
    """Give freed memory of this process back to the system; False where the C library has no such call.

    Batches of many different sizes leave gaps of all these sizes behind, which glibc keeps.
    """
    try:
        return bool(ctypes.CDLL(None).malloc_trim(0))
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows takes no None
        return False


def keep_freed() -> bool:
    """Make this process keep what it frees, until it ends; False where the user or the C library has it otherwise."""
    if any(name in os.environ for name in THE_USERS) or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt  # glibc's, or the same of what stands in for it
    except (OSError, AttributeError, TypeError):  # musl, macOS; Windows takes no None
        return False
    return bool(mallopt(M_TRIM_THRESHOLD, -1) and mallopt(M_MMAP_MAX, 0))
