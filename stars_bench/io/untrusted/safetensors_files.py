"""Files of safetensors: tensors and texts, nothing that could run. Their header must fit the bytes behind it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stars_bench.errors import StarsBenchError, one_line
from stars_bench.io.sealed import Damaged, is_io_error, refuse_odd

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 64 << 30
SUFFIX = ".safetensors"


def load(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a file by name, on the CPU.

    Raises:
        Damaged: It is no file of safetensors, or its header does not fit its bytes.
        StarsBenchError: It is no regular file.
        OSError: It cannot be read.
    """
    from safetensors.torch import load_file

    refuse_odd(path, LARGEST)
    try:
        tensors: dict[str, Tensor] = load_file(path)
        return tensors
    except Exception as error:  # a damaged file can fail in any way
        if is_io_error(error) or isinstance(error, StarsBenchError):
            raise
        raise Damaged(f"{path}: cannot be read as safetensors ({one_line(error)})") from error
