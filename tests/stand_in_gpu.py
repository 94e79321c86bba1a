"""A stand-in for a GPU, for machines without one: what is said to lie on it lies in RAM; no operation mixes the two.

Inside `stand_in_gpu()` torch.cuda says that there is a device; tensors made for it, or moved to it, answer "cuda:0" and
compute with the CPU's kernels and random numbers. So what a run gives there equals, to the bit, what it gives on the
CPU; what real hardware would refuse (an operation on tensors of both devices, NumPy of a tensor that is there) fails
here too; and `waits` counts what would make the program wait for the device. It says nothing of CUDA's own kernels,
of their precision, speed or memory: for those there are tests marked `gpu`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.cuda._utils import _get_device_index
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default)
WAITING = ("_local_scalar_dense", "_unique2", "unique_dim", "unique_consecutive", "nonzero", "masked_select", "equal")
"""Operations whose result the program needs on the CPU before it can go on."""

waits: Counter[str] = Counter()
"""How often each operation would have waited for the device."""


class OnGpu(Tensor):
    """A tensor that is said to lie on the GPU. PyTorch's C++ takes it for one of the CPU, Python for one of cuda:0."""

    held: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGpu:
        return Tensor._make_wrapper_subclass(  # type: ignore[attr-defined, no-any-return]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=CPU,
        )

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.held!r})"

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return GPU

    @property
    def is_cuda(self) -> bool:  # type: ignore[override]
        return True

    def to(self, *args: Any, **kwargs: Any) -> Tensor:  # type: ignore[override]
        return moved(self, *_asked(*args, **kwargs))

    def cpu(self) -> Tensor:  # type: ignore[override]
        return moved(self, CPU)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> Any:
        raise TypeError("can't convert a tensor on cuda:0 to numpy")

    def untyped_storage(self) -> Any:
        return self.held.untyped_storage()

    def record_stream(self, stream: Any) -> None: ...


class Operations(TorchDispatchMode):
    """Every operation that is carried out."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


class Moves(TorchFunctionMode):
    """Calls from Python by which something comes to lie on the GPU."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.to:
            return moved(args[0], *_asked(*args[1:], **kwargs), non_blocking=bool(kwargs.get("non_blocking")))
        if func is Tensor.cuda:
            return moved(args[0], GPU)
        if func is Tensor.pin_memory:
            return args[0]
        kwargs.pop("pin_memory", None)
        if func in (torch.tensor, torch.as_tensor) and is_gpu(kwargs.get("device")):
            return moved(func(*args, **{**kwargs, "device": CPU}), GPU)
        return func(*args, **kwargs)


def computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on what the tensors hold, if all lie on one device (numbers and moves excepted).

    Raises:
        RuntimeError: they do not.
    """
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [x for x in tensors if isinstance(x, OnGpu)]
    here = [x for x in tensors if not isinstance(x, OnGpu) and x.dim()]
    device = kwargs.get("device")
    if func in INDEXING:  # what is on the GPU may be indexed by numbers on the CPU, never the other way round
        here = [] if isinstance(args[0], OnGpu) else [args[0]]
    if there and here and func not in (aten._to_copy.default, aten.copy_.default):
        shapes = [[tuple(x.shape) for x in some] for some in (there, here)]
        raise RuntimeError(f"{func}: tensors {shapes[0]} on cuda:0, {shapes[1]} on the CPU")
    if _waits(func, args, kwargs, bool(there)):
        waits[func.name().removeprefix("aten::")] += 1
    if device is not None:
        kwargs = {**kwargs, "device": CPU}
    out = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    if _in_place(func, kwargs):
        same = {id(x.held): x for x in there}
        return tree_map(lambda x: same.get(id(x), x) if isinstance(x, Tensor) else x, out)
    return tree_map(_there, out) if _stays(func, device, tensors, there) else out


def _stays(func: Any, device: Any, tensors: list[Tensor], there: list[OnGpu]) -> bool:
    """Whether the result lies on the GPU.

    Where PyTorch's own C++ makes a tensor beside one of ours, or in a backward pass, it names the CPU as its device.
    """
    in_backward = torch._C._current_graph_task_id() != -1
    if device is None or "::new_" in func.name() or in_backward:
        return bool(there) or (in_backward and not tensors)
    return is_gpu(device)


def moved(
    x: Tensor, device: torch.device | None, dtype: torch.dtype | None = None, non_blocking: bool = False
) -> Tensor:
    """A tensor on a device and of a type; itself where it is so already."""
    there = isinstance(x, OnGpu)
    to_gpu = there if device is None else is_gpu(device)
    dtype = dtype or x.dtype
    if to_gpu == there:
        return x if dtype == x.dtype else aten._to_copy.default(x, dtype=dtype)
    return aten._to_copy.default(x, dtype=dtype, device=GPU if to_gpu else CPU, non_blocking=non_blocking)


def is_gpu(device: Any) -> bool:
    """Whether a device, or its name, is one of CUDA's."""
    return device is not None and torch.device(device).type == "cuda"


def _asked(*args: Any, **kwargs: Any) -> tuple[torch.device | None, torch.dtype | None]:
    """Device and type that `Tensor.to` is asked for."""
    if args and isinstance(args[0], Tensor):
        return (GPU if isinstance(args[0], OnGpu) else CPU), args[0].dtype
    device, dtype, *_ = torch._C._nn._parse_to(*args, **kwargs)
    return device, dtype


def _waits(func: Any, args: Any, kwargs: dict[str, Any], from_gpu: bool) -> bool:
    """Also a copy to the GPU waits, unless it is asked not to."""
    device = kwargs.get("device")
    if func is aten._to_copy.default and device is not None:
        return from_gpu != is_gpu(device) and not (is_gpu(device) and kwargs.get("non_blocking"))
    by_mask_or_copied = func in INDEXING and any(
        i is not None and (i.dtype == torch.bool or not isinstance(i, OnGpu)) for i in args[1]
    )
    return from_gpu and (by_mask_or_copied or func.name().split(".")[0].removeprefix("aten::") in WAITING)


def _in_place(func: Any, kwargs: dict[str, Any]) -> bool:
    return "out" in kwargs or func._schema.is_mutable


def _held(x: Any) -> Any:
    return x.held if isinstance(x, OnGpu) else x


def _there(x: Any) -> Any:
    return OnGpu(x) if isinstance(x, Tensor) and not isinstance(x, OnGpu) else x


class Stream:
    """Work that is done at once, as all of it is here."""

    def __init__(self, *_: Any) -> None: ...

    def wait_stream(self, other: Stream) -> None: ...


@contextmanager
def stand_in_gpu(memory: int = 32 << 30) -> Iterator[None]:
    """Inside there is one GPU of `memory` bytes, and a module that is moved has new parameters.

    Real hardware keeps the parameters and changes what is in them; so whoever keeps a parameter from before the move
    fails here and not there.
    """
    answers: dict[str, Any] = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "is_bf16_supported": True,
        "get_device_capability": (8, 0),
        "_lazy_init": None,
        "manual_seed_all": None,
        "empty_cache": None,
        "synchronize": None,
        "reset_peak_memory_stats": None,
        "max_memory_allocated": 1,
        "memory_allocated": 0,
        "memory_reserved": 0,
        "mem_get_info": (memory, memory),
        "get_device_name": "stand-in",
        "get_device_properties": SimpleNamespace(name="stand-in", total_memory=memory, major=8, minor=0),
        "current_stream": Stream(),
        "stream": nullcontext(),
    }
    stand_ins: dict[str, Callable[..., Any]] = {name: _always(answer) for name, answer in answers.items()}
    stand_ins["set_device"] = _set_device
    overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    waits.clear()
    try:
        no_cudnn = patch.object(torch.backends.cudnn, "is_acceptable", _always(False))  # recurrent networks ask for it
        with patch.multiple(torch.cuda, **stand_ins, Stream=Stream), no_cudnn, Moves(), Operations():
            yield
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(overwrite)


def _set_device(device: Any) -> None:
    """Refuses what torch refuses: a device without its number, and one that is not there."""
    if _get_device_index(device) != 0:
        raise RuntimeError("CUDA error: invalid device ordinal")


def _always(answer: Any) -> Callable[..., Any]:
    return lambda *_args, **_kwargs: answer
