"""How much memory training takes: the GPU's where one is in use, else the process's; asking waits for neither."""

from __future__ import annotations

import sys

import torch


def peak() -> tuple[str, int] | None:
    """Whose memory, and its peak in bytes: of the GPU since the stage began, else of the process since it began.

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
