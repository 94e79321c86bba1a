"""Checkpoints: written under another name and renamed, read with weights_only, never half there."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, cast

import torch

from stars_bench.api import StarsBenchError
from stars_bench.provenance import atomic_path

SCHEMA_VERSION = 1


def save(path: Path, state: dict[str, Any]) -> None:
    """Writes tensors and plain values atomically."""
    # A stream, not a path: torch writes a path's (temporary) name into the file.
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        torch.save(state | {"schema_version": SCHEMA_VERSION}, stream)


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Reads a checkpoint; nothing but tensors and plain containers is ever unpickled.

    Raises:
        StarsBenchError: the file is no checkpoint, holds code, or is of a newer schema.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, KeyError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise StarsBenchError(f"{path}: cannot be read as a checkpoint ({reason}); delete it and run again") from error
    if not isinstance(state, dict) or state.get("schema_version") != SCHEMA_VERSION:
        raise StarsBenchError(f"{path}: not a checkpoint of this version of stars-bench; delete it and run again")
    return cast(dict[str, Any], state)
