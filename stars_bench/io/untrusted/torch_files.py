"""Files of torch.save, read without running anything and without taking more memory than the file holds.

torch's weights_only refuses what would be called. It does not look at how much a file promises: a zip whose members are
packed a thousandfold, or a tensor of 10^12 numbers that are all the same four bytes (a stride of 0).
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stars_bench.io.sealed import check, refuse_odd
from stars_bench.io.untrusted.pickle_scan import scan

if TYPE_CHECKING:
    import torch

LARGEST = 64 << 30
PICKLES = 5
"""In a file of the older format, one behind the other: mark, version, machine, content, keys of its storages."""


def load(path: Path, device: torch.device | str = "cpu", classes: Sequence[type] = ()) -> Any:
    """Return the content of a file of torch.save: tensors, plain containers, and plain objects of these classes.

    Raises:
        Damaged: It carries a digest, which differs.
        StarsBenchError: It is no regular file.
        pickle.UnpicklingError: It holds anything else.
        OSError: It cannot be read.
        Exception: It is damaged, in any way.
    """
    import torch

    refuse_odd(path, LARGEST)
    check(path)
    _look_into(path)
    with torch.serialization.safe_globals(list(classes)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's doubts about old pickle protocols
        content = torch.load(path, map_location=device, weights_only=True)
    for tensor in _tensors(content):
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise ValueError(f"a tensor of shape {tuple(tensor.shape)} that the file does not hold")
    return content


def _look_into(path: Path) -> None:
    """Refuse, before anything is loaded, what promises more than the file holds or asks for endless work."""
    if not zipfile.is_zipfile(path):
        data, at = path.read_bytes(), 0
        for _ in range(PICKLES):
            at = scan(data, at) if at < len(data) else at
        return
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if any(member.compress_type for member in members) or sum(m.file_size for m in members) > path.stat().st_size:
            raise ValueError("it promises more data than it holds, or is packed; torch.save does neither")
        for member in members:
            if member.filename.endswith(".pkl"):
                scan(archive.read(member))


def _tensors(content: Any) -> Iterator[torch.Tensor]:
    """Yield all tensors in nested containers, each container once."""
    import torch

    waiting, seen = [content], set[int]()
    while waiting:
        found = waiting.pop()
        if isinstance(found, torch.Tensor):
            yield found
        elif id(found) not in seen and isinstance(found, (Mapping, list, tuple)):
            seen.add(id(found))
            waiting += found.values() if isinstance(found, Mapping) else found
