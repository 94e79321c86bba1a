"""What a module holds, and a digest of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stars_bench.io.source.closure import is_plain
from stars_bench.training.checkpoint import digest_tensors

INTERNAL = frozenset(vars(nn.Module())) | {"T_destination"}
"""Attributes that torch gives every module; parameters, buffers, hooks and children are listed apart."""
HOOKS = ("_forward_pre_hooks", "_forward_hooks")
"""Functions that take part in what a module computes."""


def own_values(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """List what a module itself holds by name: parameters, buffers (kept or not), hooks and its other attributes.

    Of lists, dicts and modules that torch does not know of (a list of layers, say) what they hold is listed.
    """
    yield from _own_values(module, {id(module)})


def _own_values(module: nn.Module, seen: set[int]) -> Iterator[tuple[str, Any]]:
    yield from module._parameters.items()
    yield from module._buffers.items()
    for kind in HOOKS:
        yield from ((f"{kind}.{number}", hook) for number, hook in enumerate(vars(module)[kind].values()))
    for name, value in vars(module).items():
        if name not in INTERNAL:
            yield from _held(name, value, seen)


def _held(place: str, value: Any, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield a value, or what it holds where it is a container or a module; each of these once."""
    if is_plain(value) or not isinstance(value, (list, tuple, Mapping, nn.Module)):
        yield place, value
    elif id(value) not in seen:
        seen.add(id(value))
        if isinstance(value, nn.Module):
            inside: Iterable[tuple[Any, Any]] = chain(_own_values(value, seen), value.named_children())
        else:
            inside = value.items() if isinstance(value, Mapping) else enumerate(value)
        for name, part in inside:
            yield from _held(f"{place}.{name}", part, seen)


def digest_module(module: nn.Module) -> str:
    """Return SHA-256 (hex) of all values of a module and its children, including those outside its state_dict.

    Plain attributes, buffers that are not saved, and tensors in lists and dicts count, too.
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
