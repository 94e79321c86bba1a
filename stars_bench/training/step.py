"""One step of training, on the whole batch or divided: among processes, and into micro-batches where memory is short.

A method that can be divided says so by giving its step in two parts (`SplitStep`): one that treats every clip on its
own and is the expensive one, and one that needs the whole batch (BatchNorm, in-batch softmax) and is cheap. Features
are computed share by share, the loss and its gradient with respect to the features once on the whole batch, then every
share is back-propagated (gradient caching, arXiv:2101.06983). So loss and gradient are those of the undivided step.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from stars_bench.data import random
from stars_bench.training.parallel import distributed
from stars_bench.training.parallel.batch_norm import of_the_whole_batch

Step = Callable[[Tensor], Tensor]
"""From row numbers (B,) to the loss."""


@dataclass(frozen=True)
class SplitStep:
    """A step that can be divided; called with row numbers (B,) it gives the loss like any other.

    Args:
        encode: From row numbers (b,) of some clips of the batch to (b, ...), every clip on its own, regardless of the
            others; only BatchNorm layers see the clips of all processes. It has no side effects. Random numbers come
            from `stars_bench.data.random` or nn.Dropout.
        loss: From the (B, ...) of the whole batch and its row numbers (B,) to the loss, computed alike by every
            process; it may have side effects, such as filling a queue. Default: None, the mean of the outputs of
            `encode`.
    """

    encode: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor] | None = None

    def __call__(self, rows: Tensor) -> Tensor:
        """Return the loss of row numbers (B,), undivided."""
        encoded = self.encode(rows)
        return encoded.mean() if self.loss is None else self.loss(encoded, rows)

    @property
    def parts(self) -> tuple[Callable[..., Tensor], ...]:
        """The functions that it consists of."""
        return (self.encode,) if self.loss is None else (self.encode, self.loss)


@dataclass(frozen=True)
class Division:
    """How a step is divided and computed.

    Args:
        seed: Seeds torch's generators for this step.
        autocast: Returns the context in which the network runs. Default: no autocast.
        micro_batches: Parts that each process divides its share into. Default: 1.
    """

    seed: Callable[[], None]
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    micro_batches: int = 1


def back_propagate(step: Step, module: nn.Module, rows: Tensor, scale: float, how: Division) -> Tensor:
    """Leave the gradient of scale * loss in the parameters of `module`; return the loss of the whole batch.

    A step that cannot be divided is computed whole by every process: they agree, but share no work.

    Args:
        step: The step.
        module: The network, whose parameters get the gradient.
        rows: (B,) row numbers of the whole batch, the same in every process.
        scale: Factor on the loss.
        how: How the step is divided.
    """
    if not isinstance(step, SplitStep) or (distributed.world_size() == 1 and how.micro_batches == 1):
        how.seed()
        with how.autocast():
            loss = step(rows)
        (loss * scale).backward()  # type: ignore[no-untyped-call]
        return loss.detach()
    shares = _Shares(step, module, rows, how)
    loss = _mean(shares, scale) if step.loss is None else _whole(shares, step.loss, scale)
    distributed.sum_gradients(module.parameters())
    return loss


class _Shares:
    """This process's share of a batch, in micro-batches."""

    def __init__(self, step: SplitStep, module: nn.Module, rows: Tensor, how: Division) -> None:
        self.step, self.module, self.rows, self.how = step, module, rows, how
        self.first, self.count = distributed.own_share(len(rows))
        parts = min(how.micro_batches, max(self.count, 1))
        self.parts = [distributed.divide(self.count, parts, number) for number in range(parts)]
        """First and number of the clips of each micro-batch, counted from the share's first."""

    def encode(self, number: int) -> Tensor:
        """Return what `encode` gives for a micro-batch; of no clip, (0, ...), where there are fewer than processes."""
        first, count = self.parts[number]
        # A process without clips works on one and keeps nothing: so it has gradients (zeros) like the others.
        first, used, total = (self.first + first, count, len(self.rows)) if count else (0, 1, len(self.rows))
        self.how.seed()
        with (
            random.share(first, used, total, len(self.parts)),
            of_the_whole_batch(self.module, count, self.how.micro_batches),
            self.how.autocast(),
        ):
            return self.step.encode(self.rows[first : first + used])[:count]

    def whole(self, encoded: list[Tensor]) -> Tensor:
        """Return (B, ...) of the whole batch, from the micro-batches of every process."""
        sizes = [count for _, count in distributed.shares(len(self.rows))]
        return distributed.gather_rows(torch.cat(encoded), sizes)


def _mean(shares: _Shares, scale: float) -> Tensor:
    """Return the loss is a mean over clips: the gradient of each is known beforehand."""
    values = []
    for number in range(len(shares.parts)):
        value = shares.encode(number)
        each = value[0].numel() if len(value) else 1
        (value.sum() * (scale / (each * len(shares.rows)))).backward()  # type: ignore[no-untyped-call]
        values.append(value.detach())
    return shares.whole(values).mean()


def _whole(shares: _Shares, loss_of: Callable[[Tensor, Tensor], Tensor], scale: float) -> Tensor:
    """Return the loss needs the whole batch.

    Only the last micro-batch's activations are kept, the others' computed again.
    """
    values: list[Tensor] = []
    last: Tensor | None = None
    for number in range(len(shares.parts)):
        last = None  # frees the activations of the one before
        last = shares.encode(number)
        values.append(last.detach())
    assert last is not None
    with_gradient = last.requires_grad
    features = shares.whole(values).requires_grad_(with_gradient)
    with shares.how.autocast():
        loss = loss_of(features, shares.rows)
    (loss * scale).backward()  # type: ignore[no-untyped-call]
    if not distributed.is_first():  # the same in every process: it must count once in the sum
        for parameter in shares.module.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
    if with_gradient and features.grad is not None:
        own = features.grad[shares.first : shares.first + shares.count]
        for number in reversed(range(len(shares.parts))):
            first, count = shares.parts[number]
            part = shares.encode(number) if last is None else last
            part.backward(own[first : first + count])  # type: ignore[no-untyped-call]
            del part
            last = None
    return loss.detach()
