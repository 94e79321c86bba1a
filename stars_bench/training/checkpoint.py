"""Checkpoints: written under another name and renamed, read with weights_only, never half there, never many.

Schema 2 carries a digest of the whole file (`io.sealed`), which is compared whenever one is read; schema 1 has none. Of
every kind of file `tests/historic` has one, which must stay readable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch

from stars_bench.errors import StarsBenchError, disk_failed, one_line
from stars_bench.io import allowance, sealed
from stars_bench.io.disk import check_room, full_is_told
from stars_bench.io.files import atomic_path, flush_to_disk
from stars_bench.io.sealed import Damaged, is_io_error
from stars_bench.io.untrusted import torch_files

SCHEMA_VERSION = 2
MARGIN = 1.1
"""Bytes asked for, as a multiple of the tensors' own."""
UNFINISHED = ".resume.pt"
"""What the file of a stage that is not finished ends in."""
KEPT = 3
"""Files of unfinished stages that a run's folder keeps: settings or code may have changed since they were written."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors and plain values atomically.

    Raises:
        NoRoom: The disk is full; what was at `path` before is still there.
    """
    check_room(path, int(MARGIN * num_bytes(state)))
    # A stream, not a path: torch writes a path's (temporary) name into the file.
    with full_is_told(path), atomic_path(path) as temporary, temporary.open("w+b") as stream:
        torch.save(state | {"schema_version": SCHEMA_VERSION}, stream)
        sealed.seal(stream)
        flush_to_disk(stream)  # or a machine that loses power may keep the new name and not what is in it


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; nothing but tensors and plain containers is ever unpickled.

    Raises:
        Damaged: The file's digest differs, or it is no checkpoint, or holds code.
        StarsBenchError: It is of another schema, or there is too little memory for it.
        OSError: The file cannot be read, which says nothing about what is in it.
    """
    try:
        state = torch_files.load(path, device)
    except Exception as error:  # a damaged file can fail in any way
        if is_io_error(error) or isinstance(error, Damaged) or disk_failed(error.__cause__):
            raise
        if allowance.memory_is_refused(error):  # what promises more than it holds was refused before
            raise allowance.too_little_memory(path, error) from error
        raise Damaged(f"{path}: cannot be read as a checkpoint ({one_line(error)}); delete it and run again") from error
    version = state.get("schema_version") if isinstance(state, dict) else None
    if type(version) is int and version > SCHEMA_VERSION:
        raise StarsBenchError(
            f"{path}: checkpoint schema {version} is newer than this stars-bench reads ({SCHEMA_VERSION}): update it"
        )
    if version == SCHEMA_VERSION and not sealed.is_sealed(path):
        raise Damaged(f"{path}: damaged: the digest at its end is gone")
    if type(version) is not int or version < 1:
        raise StarsBenchError(f"{path}: not a checkpoint of stars-bench (no schema_version); delete it and run again")
    return cast(dict[str, Any], state)


def num_bytes(state: Any) -> int:
    """Return bytes of all tensors in nested containers."""
    if isinstance(state, torch.Tensor):
        return state.numel() * state.element_size()
    if isinstance(state, Mapping):
        return sum(map(num_bytes, state.values()))
    return sum(map(num_bytes, state)) if isinstance(state, (list, tuple)) else 0


def digest_tensors(state: Mapping[str, torch.Tensor]) -> str:
    """Return SHA-256 (hex) of named tensors: names, types, shapes and bits, on any device."""
    hasher = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu().contiguous()
        hasher.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        hasher.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return hasher.hexdigest()


def unfinished(file: Path) -> Path:
    """Return where the stage whose result will be `file` keeps its last checkpoint until then."""
    return file.with_suffix(UNFINISHED)


def tidy(file: Path, keep: int = KEPT) -> None:
    """Remove from a folder of stages all but the newest unfinished ones, before the stage of `file` begins.

    Its own stays, and so do finished stages, which records name. To be called by the only process that writes there.
    """
    others = [found for found in file.parent.glob(f"*{UNFINISHED}") if found != unfinished(file)]
    others.sort(key=lambda found: (found.stat().st_mtime_ns, found.name))
    for old in others[: max(len(others) + 1 - keep, 0)]:
        old.unlink(missing_ok=True)
