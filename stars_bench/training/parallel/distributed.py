"""Several processes that train as one: their numbers, and what they send each other.

torchrun starts N processes and tells each its number. Every process goes through the same program with the same seeds;
the batch is divided among them, and all that follows from it is computed, or made known, alike everywhere. The first
process alone writes files and talks to the user.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from stars_bench.errors import StarsBenchError, one_line

PATIENCE = timedelta(minutes=30)
"""How long a process waits for another; the longest that the first works alone (files, metrics) is a minute or two."""

T = TypeVar("T")
_store: Any = None
"""Where the processes leave word for one another; it outlives each of them (torchrun keeps it)."""


class LostProcess(StarsBenchError):
    """Another process of the run has ended or cannot be reached."""

    is_consequence = True


def launched() -> bool:
    """Return whether torchrun (or a launcher that sets the same variables) started this as one of several processes."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def start() -> None:
    """Join the other processes, if there are any: gloo for tensors on the CPU, NCCL for those on GPUs.

    Raises:
        LostProcess: The others cannot be reached.
    """
    if not launched() or dist.is_initialized():
        return
    global _store
    with_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    try:
        kept, rank, size = next(iter(rendezvous("env://", timeout=PATIENCE)))
        # torchrun keeps the store when it starts all anew (--max-restarts), with the addresses of those that ended.
        _store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), kept)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=_store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise LostProcess(
            f"the {os.environ['WORLD_SIZE']} processes do not find one another ({one_line(error)})"
        ) from error


def stop() -> None:
    """Leave the other processes when all have come here."""
    if dist.is_initialized():
        with _lost_is_an_error():
            dist.barrier()
        dist.destroy_process_group()


def rank() -> int:
    """Return the number of this process, 0 where it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """Return whether this is the process that writes files and talks to the user."""
    return rank() == 0


def is_first_to_say(text: str | None) -> bool:
    """Return whether this process is the one that reports to the user.

    None: what need not be told once any reason has been.
    """
    if _store is None:
        return True
    try:
        number: int = _store.add("told", 1)
        if text is not None:
            number = _store.add(f"told/{hashlib.sha256(text.encode()).hexdigest()}", 1)
        return number == 1
    except RuntimeError:  # whoever kept the store has ended as well
        return True


def local_rank() -> int:
    """Return the number of this process on its machine, which is that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0")) if launched() else 0


def divide(count: int, parts: int, number: int) -> tuple[int, int]:
    """Return the first and the number of the things that part `number` gets of `count`.

    The first parts get one more.
    """
    size, more = divmod(count, parts)
    return number * size + min(number, more), size + (number < more)


def shares(count: int) -> list[tuple[int, int]]:
    """Return the first and the number of the things, out of `count`, that are each process's; maybe none."""
    return [divide(count, world_size(), number) for number in range(world_size())]


def own_share(count: int) -> tuple[int, int]:
    """Return this process's part of `shares`."""
    return shares(count)[rank()]


def gather_rows(own: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return all rows (B, ...), process after process; each has its own (b, ...); no gradient passes.

    Args:
        own: (b, ...) rows of this process.
        sizes: Number of rows of each process.
    """
    if len(sizes) == 1:
        return own.detach()
    padded = own.new_zeros(max(sizes), *own.shape[1:])
    padded[: len(own)] = own.detach()
    flat = padded.view(torch.uint8).flatten()  # bytes: gloo does not know every type
    everyone = [torch.empty_like(flat) for _ in sizes]
    with _lost_is_an_error():
        dist.all_gather(everyone, flat)
    rows = [part.view(own.dtype).view(padded.shape)[:size] for part, size in zip(everyone, sizes, strict=True)]
    return torch.cat(rows)


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Add up every process's gradients, in one message for each type of number.

    Every process must have gradients of the same parameters; one that got none from its clips has zeros.
    """
    if world_size() == 1:
        return
    by_dtype: dict[torch.dtype, list[Tensor]] = {}
    for parameter in parameters:
        if parameter.grad is not None:
            by_dtype.setdefault(parameter.grad.dtype, []).append(parameter.grad)
    for gradients in by_dtype.values():
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _lost_is_an_error():
            dist.all_reduce(flat)
        totals = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, total in zip(gradients, totals, strict=True):
            gradient.copy_(total.view_as(gradient))


def sum_over_processes(x: Tensor) -> Tensor:
    """Return the sum of every process's x, with gradient: each gets the sum of all gradients of the sum."""
    return cast(Tensor, _Sum.apply(x)) if world_size() > 1 else x  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        total = x.clone()
        with _lost_is_an_error():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004 - torch's signature
        return sum_over_processes(gradients[0].contiguous())


def from_first(make: Callable[[], T]) -> T:
    """Return what `make` gives in the first process, in all of them; an error of the user's is raised in all of them.

    Tensors in it must be on the CPU.
    """
    if world_size() == 1:
        return make()
    box: list[Any] = [None, None]
    if is_first():
        try:
            box[0] = make()
        except StarsBenchError as error:
            box[1] = error
    with _lost_is_an_error():
        dist.broadcast_object_list(box, 0)
    if box[1] is not None:
        raise box[1]
    return cast(T, box[0])


def take_weights_of_first(module: nn.Module) -> None:
    """Return a module the first process's tensors: a plug-in's own training may end differently in each."""
    if world_size() > 1:
        module.load_state_dict(from_first(lambda: {name: x.cpu() for name, x in module.state_dict().items()}))


def largest(value: int) -> int:
    """Return the largest of the processes' values."""
    if world_size() == 1:
        return value
    values = [0] * world_size()
    with _lost_is_an_error():
        dist.all_gather_object(values, value)
    return max(values)


@contextmanager
def _lost_is_an_error() -> Iterator[None]:
    """Turn what a broken or overdue connection raises into one line."""
    try:
        yield
    except RuntimeError as error:  # dist.DistError and its kin are RuntimeErrors
        late = "timed out" in str(error).lower() or "timeout" in str(error).lower()
        seconds = int(PATIENCE.total_seconds())
        time = f"{seconds // 60} minutes" if seconds >= 120 else f"{seconds} seconds"
        how = f"heard nothing for {time}" if late else "the connection broke"
        raise LostProcess(
            f"process {rank()} of {world_size()}: another one was lost ({how}); "
            "the same command goes on from the last checkpoint"
        ) from error
