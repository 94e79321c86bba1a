"""What a finished command has left in its folder, without times: two that did the same are equal."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from tests.reliability.command import OUTPUT

TIMES = ("started", "finished", "seconds", "written")
"""Fields of records, indexes and checkpoints that say when and how long."""
OF_TIMES = ("checkpoint_digest", "checksum", "reused", "self_digest")
"""Digests of what holds such fields, and whether a stage was there already."""


def state(folder: Path) -> dict[str, Any]:
    """Every file of a folder, by relative path: digests of bytes, of tensors, or JSON without times.

    All files, hidden ones too: what a kill has left over would be a difference.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _content(path) for path in files if path.name != OUTPUT}


def _content(path: Path) -> Any:
    if path.suffix == ".pt":
        return _without_times(torch.load(path, weights_only=True))
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text(encoding="utf-8")))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _without_times(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        plain = value.detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        return [str(value.dtype), list(value.shape), hashlib.sha256(plain.data).hexdigest()]
    if isinstance(value, dict):
        return {key: _without_times(one) for key, one in value.items() if key not in TIMES + OF_TIMES}
    if isinstance(value, (list, tuple)):
        return [_without_times(one) for one in value]
    return value


def difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first few paths at which two states differ; empty when they are equal."""
    paths = [path for path in sorted(one.keys() | other.keys()) if one.get(path, "") != other.get(path, "")]
    told = [f"{path} ({'differs' if path in one and path in other else 'is in one only'})" for path in paths]
    return ", ".join(told[:5]) + (f" and {len(told) - 5} more" if len(told) > 5 else "")
