"""What a module holds, and a digest of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stars_bench.io.source.closure import is_plain
from stars_bench.training.checkpoint import digest_tensors

UNTOLD = {"training", "T_destination"}
"""Attributes of modules that say nothing of what they compute in evaluation mode."""


def own_values(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """List what a module itself holds by name: parameters, buffers (kept or not) and public attributes."""
    yield from module._parameters.items()
    yield from module._buffers.items()
    for name, value in vars(module).items():
        if name not in UNTOLD and not name.startswith("_"):
            yield name, value


def digest_module(module: nn.Module) -> str:
    """Return SHA-256 (hex) of all values of a module and its children, including those outside its state_dict.

    Plain attributes and buffers that are not saved count, too. Trained modules are digested by their state_dict
    instead: nothing else of a finished stage is kept.
    """
    hasher = hashlib.sha256()
    for place, part in module.named_modules():
        for name, value in own_values(part):
            if isinstance(value, np.ndarray):
                value = torch.from_numpy(np.ascontiguousarray(value))
            if isinstance(value, Tensor):
                hasher.update(f"{place}.{name} {digest_tensors({'': value})}\n".encode())
            elif is_plain(value):
                hasher.update(f"{place}.{name} {value!r}\n".encode())
    return hasher.hexdigest()


def kinds(module: nn.Module) -> list[type]:
    """List the classes of a module and of those in it."""
    return list(dict.fromkeys(map(type, module.modules())))
