"""Several processes that train as one: their numbers, and what they send each other.

torchrun starts N processes and tells each its number. Every process goes through the same program with the same seeds;
the batch is divided among them, and all that follows from it is computed, or made known, alike everywhere. The first
process alone writes files and talks to the user.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Thread
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from stars_bench.errors import StarsBenchError, UsageError, one_line

PATIENCE = timedelta(minutes=30)
"""How long a process waits for another; the longest that the first works alone (files, metrics) is a minute or two."""

SAY_AFTER, SAY_AGAIN_AFTER, LOOK_UP_AFTER = 1.0, 30.0, 0.2
"""Seconds of waiting for the others before it is said (torchrun's processes come together: it is said when one lags),
before it is said again, and between two moments in which signals are answered."""
LAUNCHER = "TORCHELASTIC_RUN_ID"
"""A variable of torchrun, which is not set by hand."""

T = TypeVar("T")
_store: Any = None
"""Where the processes leave word for one another; it outlives each of them (torchrun keeps it)."""


class LostProcess(StarsBenchError):
    """Another process of the run has ended or cannot be reached."""

    is_consequence = True


def launched() -> bool:
    """Return whether torchrun (or a launcher that sets the same variables) started this as one of several processes."""
    return "RANK" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1"


def start() -> None:
    """Join the other processes, if there are any: gloo for tensors on the CPU, NCCL for those on GPUs.

    While it waits for them it says so on stderr, and signals are answered.

    Raises:
        UsageError: The variables that a launcher sets are no numbers, or one is not set.
        LostProcess: The others cannot be reached.
    """
    if not launched() or dist.is_initialized():
        return
    rank, size = _numbers()
    global _store
    with_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if with_gpus else "gloo"
    try:
        kept = _meeting(rank, size)
        # torchrun keeps the store when it starts all anew (--max-restarts), with the addresses of those that ended.
        _store = dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), kept)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=_store, rank=rank, world_size=size, timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise LostProcess(f"the {size} processes do not find one another ({one_line(error)}){_why()}") from error


def _numbers() -> tuple[int, int]:
    """Return the number of this process and how many there are."""
    said = {name: os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")}
    for name, value in said.items():
        if not value.isdecimal():
            raise UsageError(f"{name}={value}: must be a number{_why()}")
    if not os.environ.get("MASTER_ADDR"):
        raise UsageError(f"MASTER_ADDR is not set{_why()}")
    rank, size = int(said["RANK"]), int(said["WORLD_SIZE"])
    if not rank < size:
        raise UsageError(f"RANK={rank}, WORLD_SIZE={size}: processes are numbered from 0 to {size - 1}{_why()}")
    return rank, size


def _why() -> str:
    """Return what to do where several processes were not meant."""
    if LAUNCHER in os.environ:
        return ""
    return ", because RANK and WORLD_SIZE are set; unset them if you meant a single process"


def _meeting(rank: int, size: int) -> Any:
    """Wait until all processes are there, and return their store.

    The wait is in a thread: torch does not come back to Python, where signals are answered, before it ends.
    """
    found: Future[Any] = Future()

    def meet() -> None:
        try:
            found.set_result(next(iter(rendezvous("env://", timeout=PATIENCE)))[0])
        except BaseException as error:
            found.set_exception(error)

    Thread(target=meet, daemon=True).start()
    others = f"process {1 - rank} of 2" if size == 2 else f"the other {size - 1} of {size} processes"
    line = f"waiting for {others} at {os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}{_why()}"
    say_at = time.monotonic() + (SAY_AGAIN_AFTER if LAUNCHER in os.environ else SAY_AFTER)
    while True:
        with suppress(TimeoutError):
            return found.result(timeout=LOOK_UP_AFTER)
        if found.done():  # torch's own TimeoutError
            return found.result()
        if time.monotonic() >= say_at:
            say_at += SAY_AGAIN_AFTER
            logging.getLogger(__name__).warning(line)


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


def processes_here() -> int:
    """Return how many of the processes run on this machine; 1 where a launcher does not say."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if world_size() > 1 and "LOCAL_RANK" in os.environ else 1


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


def of_first_here(value: T) -> T:
    """Return the value of the first process of this machine."""
    values: list[T | None] = [None] * world_size()
    with _lost_is_an_error():
        dist.all_gather_object(values, value)
    return cast(T, values[rank() - local_rank()])


def wait_for_all() -> None:
    """Wait until every process has come here."""
    with _lost_is_an_error():
        dist.barrier()


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
            "run the same command again: it resumes from the last checkpoint"
        ) from error
