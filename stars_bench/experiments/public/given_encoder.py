"""An encoder that a program hands over: what identifies it, and how it stands in a plan."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType, MethodType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from stars_bench.api import Encoder, Method
from stars_bench.data.clip_store import MOST_FRAMES
from stars_bench.errors import StarsBenchError, UsageError, one_line
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.experiments.seed_run import EncoderSource, SeedRun, TrainedEncoder
from stars_bench.io.files import digest_json
from stars_bench.io.source.closure import (
    Definition,
    global_values,
    is_plain,
    methods_of,
    qualified_name,
    source_closure,
)
from stars_bench.io.source.modules import OWN, counts, source_of
from stars_bench.training import checkpoint
from stars_bench.training.module_state import own_values


class CallableEncoder(nn.Module):
    """A function from clips (B, 3, T, V, M) to features (B, D), as a module without parameters."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Call the function."""
        return self.function(x)


class GivenConfig(BaseModel):
    """The identity of a given encoder.

    Args:
        frames: T, the frames of its clips.
        weights: Digest of its weights.
        code: Digest of its code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: int
    weights: str
    code: str


@dataclass(frozen=True)
class GivenEncoder:
    """An encoder that a program hands over.

    Args:
        module: A copy, in evaluation mode, with `frames`.
        name: How its rows are called.
        target: `module:Class` of what was handed over.
        config: What tells it from others.
        definitions: The classes and functions that it consists of.
    """

    module: nn.Module
    name: str
    target: str
    config: GivenConfig
    definitions: Sequence[Definition]

    @property
    def key(self) -> str:
        """Digest of weights, code and clip length."""
        return digest_json(self.config.model_dump())

    @property
    def method(self) -> type[Method[BaseModel]]:
        """A method of this name whose settings are the encoder's identity; it trains nothing."""
        module, _, qualname = self.target.partition(":")
        members = {"name": self.name, "Config": GivenConfig, "fit": _no_fit, "__module__": module}
        return type(qualname, (), {**members, "__qualname__": qualname})

    def start(self) -> Pretrained:
        """Return the encoder as a plan has one that is already trained, on data that are not known."""
        return Pretrained(
            path=Path(self.target),
            target=self.target,
            config=self.config.model_dump(),
            preset="",
            run=self.key,
            key=self.key,
            seed=None,
            dataset=None,
            protocol=None,
            stream=None,
            train=None,
            classes=None,
            state={},
            named=self.name,
        )

    @property
    def source(self) -> EncoderSource:
        """Give a copy to each seed."""
        return EncoderSource(build=self._copy, get=self._get)

    def _copy(self, run: SeedRun) -> nn.Module:
        return copy.deepcopy(self.module).to(run.plan.device)

    def _get(self, run: SeedRun) -> TrainedEncoder:
        module = self._copy(run)
        setattr(module, "dim", run.probe(module))  # noqa: B010 - a module's attributes are tensors to a type checker
        return TrainedEncoder(module, self.key, code=self.definitions)


def given(encoder: nn.Module | Encoder | Callable[[Tensor], Tensor], name: str, frames: int | None) -> GivenEncoder:
    """Take an encoder over from a program.

    Args:
        encoder: From clips (B, 3, T, V, M) to features (B, D).
        name: How its rows are called.
        frames: T. None: the encoder's own attribute.

    Raises:
        UsageError: No encoder, no `frames`, or what it depends on cannot be identified.
    """
    if isinstance(encoder, type) or not callable(encoder):
        raise UsageError(f"encoder: an nn.Module or a function from clips to features, not {encoder!r:.80}")
    length = getattr(encoder, "frames", None) if frames is None else frames
    if not isinstance(length, int) or isinstance(length, bool) or length < 1:
        raise UsageError(f"encoder: needs the number of frames T of its clips: frames=N (got {length!r:.80})")
    if length > MOST_FRAMES:
        raise UsageError(
            f"frames={length}: at most {MOST_FRAMES:,}, since a batch of 256 such clips takes 1.5 GB (recorded clips "
            "have a few hundred frames)"
        )
    function = encoder.__func__ if isinstance(encoder, MethodType) else encoder
    kind = function if isinstance(function, FunctionType) else type(encoder)
    target = qualified_name(kind)
    weights, definitions = _identity(encoder, target)
    code = digest_json([source_closure(definitions).of_user, sorted(map(qualified_name, definitions))])
    module = _copied(encoder, target) if isinstance(encoder, nn.Module) else CallableEncoder(encoder)
    if not isinstance(encoder, nn.Module) and hasattr(encoder, "dim"):
        setattr(module, "dim", encoder.dim)  # noqa: B010 - a module's attributes are tensors to a type checker
    setattr(module, "frames", length)  # noqa: B010 - a module's attributes are tensors to a type checker
    config = GivenConfig(frames=length, weights=weights[:16], code=code[:16])
    return GivenEncoder(module.eval(), name, target, config, definitions)


def _no_fit(self: object, clips: object, run: object) -> None:  # noqa: ARG001 - what the contract asks for
    raise StarsBenchError("an encoder that a program has handed over cannot be trained again: call evaluate again")


def _copied(encoder: nn.Module, target: str) -> nn.Module:
    try:
        return copy.deepcopy(encoder)
    except Exception as error:  # a module's own code can fail in any way
        raise UsageError(f"encoder {target}: cannot be copied ({one_line(error)})") from error


# ------------------------------------------------------------------------------------------------ identity


def _identity(encoder: Any, target: str) -> tuple[str, list[Definition]]:
    """Return a digest of all values that an encoder holds, and the classes and functions that it consists of."""
    hasher, definitions = hashlib.sha256(), {}
    for place, value in _held(encoder, target, set()):
        if isinstance(value, (type, FunctionType)):
            definitions[qualified_name(value), id(value)] = value
        elif isinstance(value, Tensor):
            hasher.update(f"{place} {checkpoint.digest_tensors({'': value})}\n".encode())
        else:
            hasher.update(f"{place} {value!r}\n".encode())
    return hasher.hexdigest(), list(definitions.values())


def _held(thing: Any, place: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield all that a thing computes with: tensors, plain values, classes and functions, each with its place."""
    if isinstance(thing, (Tensor, type)) or is_plain(thing):
        yield place, thing
    elif isinstance(thing, np.ndarray):
        yield place, torch.from_numpy(np.ascontiguousarray(thing))
    elif isinstance(thing, nn.Module):
        yield from _held_by_module(thing, place, seen)
    elif isinstance(thing, MethodType):
        yield from _held(thing.__func__, place, seen)
        yield from _held(thing.__self__, f"{place}.__self__", seen)
    elif isinstance(thing, partial):
        yield from _held([thing.func, *thing.args, thing.keywords], place, seen)
    elif isinstance(thing, FunctionType):
        yield place, thing
        yield from _held_by_code(thing, place, seen)
        names, cells = thing.__code__.co_freevars, thing.__closure__ or ()
        yield from _held({name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}, place, seen)
        yield from _held({k: v for k, v in vars(thing).items() if k != "__wrapped__"}, place, seen)
    elif isinstance(thing, (BuiltinFunctionType, MethodDescriptorType)):
        yield place, thing.__qualname__
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _held(value, f"{place}.{key}", seen)
    elif isinstance(thing, (list, tuple)):
        for number, value in enumerate(thing):
            yield from _held(value, f"{place}.{number}", seen)
    elif callable(thing) and hasattr(thing, "__dict__"):
        yield place, type(thing)
        yield from _held(vars(thing), place, seen)
    else:
        raise UsageError(
            f"{place}: a {type(thing).__name__}, which cannot be identified: an encoder that is no nn.Module may hold "
            "modules, tensors, arrays, functions and plain values"
        )


def _held_by_module(module: nn.Module, place: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield weights, buffers and plain attributes (a number of heads, a dropout rate) of a module and those in it."""
    if id(module) in seen:  # as where a function of its own is bound to it
        return
    parts = list(module.named_modules(prefix=place))
    seen.update(id(part) for _, part in parts)
    for name, part in parts:
        yield name, type(part)
        for function in methods_of(type(part)):
            yield from _held_by_code(function, f"{name}.{function.__name__}", seen)
        if isinstance(part, torch.jit.ScriptModule):
            yield name, part.code
        for key, value in own_values(part):
            if isinstance(value, (Tensor, np.ndarray, FunctionType, MethodType, partial)) or is_plain(value):
                yield from _held(value, f"{name}.{key}", seen)


def _held_by_code(function: FunctionType, place: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield what the source of a user's function leaves open: which of its file it is, and values of global names.

    One file may define two functions of one name, and a script may call `lambda x: net(x)` with one `net` after the
    other.
    """
    if id(function) in seen or function.__module__.partition(".")[0] == OWN or not counts(function.__module__):
        return
    seen.add(id(function))
    if function.__name__ == "<lambda>" or source_of(function.__module__) is not None:
        code = function.__code__
        columns = [column for _, _, column, _ in code.co_positions() if column]
        yield f"{place}.__code__", [code.co_firstlineno, min(columns, default=0)]
    for name, value in global_values(function).items():
        if isinstance(value, (Tensor, np.ndarray, nn.Module, FunctionType, partial)) or is_plain(value):
            yield from _held(value, f"{place}.{name}", seen)
