"""One array for all processes of a machine: the first one fills it, the others see the same memory.

The memory has no name (Linux: memfd_create), so nothing is left of it when the processes have ended, however they end,
and a container's small /dev/shm does not bound it. Elsewhere every process fills an array of its own.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stars_bench.errors import StarsBenchError
from stars_bench.training.parallel import distributed

Fill = Callable[[NDArray[np.float32]], object]


def filled_once(shape: tuple[int, ...], fill: Fill) -> NDArray[np.float32]:
    """Return an array of `shape`, float32, that `fill` has written to: once a machine where processes can share it.

    What one process writes to it afterwards the others do not see.

    Raises:
        StarsBenchError: `fill` raised it in the first process of this machine; it is raised in all of them.
    """
    size = 4 * int(np.prod(shape, dtype=np.int64))
    if distributed.processes_here() == 1 or not size or not hasattr(os, "memfd_create"):
        return _own(shape, fill)
    own: NDArray[np.float32] | None = None
    error: StarsBenchError | None = None
    descriptor = None
    if distributed.local_rank() == 0:
        descriptor = os.memfd_create("stars-bench")
        os.ftruncate(descriptor, size)
        own = np.frombuffer(mmap.mmap(descriptor, size), np.float32).reshape(shape)
        try:
            fill(own)
        except StarsBenchError as raised:
            error = raised
    try:
        path, error = distributed.of_first_here((f"/proc/{os.getpid()}/fd/{descriptor}", error))
        if error is not None:
            raise error
        found = _mapped(path, shape, size) if own is None else own
        distributed.wait_for_all()
    finally:
        if descriptor is not None:
            os.close(descriptor)  # the memory lives as long as it is mapped
    return _own(shape, fill) if found is None else found


def _own(shape: tuple[int, ...], fill: Fill) -> NDArray[np.float32]:
    out = np.empty(shape, np.float32)
    fill(out)
    return out


def _mapped(path: str, shape: tuple[int, ...], size: int) -> NDArray[np.float32] | None:
    """Return the memory behind another process's open file; None where this process may not look there."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a descriptor, not a file of the user's
            shared = mmap.mmap(file.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    except OSError:
        return None
    return np.frombuffer(shared, np.float32).reshape(shape)
