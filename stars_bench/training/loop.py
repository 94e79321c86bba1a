"""The one training loop: epochs of shuffled batches of row numbers, logged, checkpointed, resumable to the bit.

A stage says what one step computes; the loop does the rest. Before every step torch's generators are seeded from (run
seed, stage, step), so the numbers drawn do not depend on what ran before, and a checkpoint needs no generator states.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stars_bench.api import StarsBenchError, UsageError
from stars_bench.training import checkpoint
from stars_bench.training.optim import Schedule, clip_each

Progress = Callable[[str, int, int, str], None]
"""Called with (what runs, clips done, clips in all, a note such as the loss)."""

SHOW_SECONDS = 0.5
"""Time between two calls of the progress callback, each of which reads the loss from the device."""


@dataclass
class Stage:
    """What is trained, by what step, for how long.

    Args:
        name: names the stage's files. config: everything that decides the outcome (hashed into the stage's key).
        module: all that is trained or updated, queues and statistics included. step: from row numbers (B,) int64 on
        the device to the loss. samples: training clips. lr_factor: factor on the learning rates by fractional epoch.
        gradient_scale: what the loss is multiplied with before back-propagation. clip_each: largest gradient norm of
        each parameter. after_epoch: called with the number of epochs done, before the checkpoint.
    """

    name: str
    config: Mapping[str, Any]
    module: nn.Module
    optimizer: torch.optim.Optimizer
    step: Callable[[Tensor], Tensor]
    samples: int
    epochs: int
    batch_size: int
    lr_factor: Schedule | None = None
    gradient_scale: float = 1.0
    clip_each: float | None = None
    after_epoch: Callable[[int], None] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch; the incomplete last one is dropped."""
        return self.samples // self.batch_size


@dataclass
class Position:
    """Where a stage stands: steps done, seconds spent, the sum of the losses since the epoch began, the log."""

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    log: list[dict[str, Any]] = field(default_factory=list)


def seed_step(seed: int, stage: str, step: int | str) -> None:
    """Seeds torch's generators (CPU and GPU) for one step of one stage."""
    torch.manual_seed(derived_seed(seed, stage, step))


def derived_seed(*parts: int | str) -> int:
    """A 63-bit seed that depends on all parts."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def epoch_order(seed: int, stage: str, epoch: int, samples: int) -> Tensor:
    """The permutation of row numbers (N,) of an epoch: a function of its arguments alone."""
    generator = torch.Generator().manual_seed(derived_seed(seed, stage, "order", epoch))
    return torch.randperm(samples, generator=generator)


def train(
    stage: Stage,
    *,
    seed: int,
    device: torch.device,
    precision: str = "float32",
    resume_file: Path | None = None,
    checkpoint_seconds: float = 60.0,
    progress: Progress | None = None,
    after_epoch: Callable[[Position], None] | None = None,
) -> Position:
    """Trains a stage to its end, going on from `resume_file` where that exists.

    Args:
        after_epoch: called with the position after every epoch, its log included.

    Raises:
        UsageError: the batch is larger than the training part. StarsBenchError: the loss is no longer a number.
    """
    if not stage.steps_per_epoch:
        raise UsageError(
            f"{stage.name}: the batch of {stage.batch_size} is larger than the {stage.samples} training clips; "
            "lower it with --set (batch_size, tune_batch_size, linear.batch_size)"
        )
    base_rates = [group["lr"] for group in stage.optimizer.param_groups]
    at = _resume(stage, resume_file, device)
    total = stage.epochs * stage.steps_per_epoch
    stage.module.train()
    started = saved = shown = time.monotonic()
    before, loss_sum = at.seconds, torch.tensor(at.loss_sum, dtype=torch.float64, device=device)
    for epoch, index, rows in _batches(stage, seed, at.step, device):
        _set_rates(stage, base_rates, epoch + index / stage.steps_per_epoch)
        seed_step(seed, stage.name, at.step)
        loss_sum += _one_step(stage, rows, device, precision)
        at.step += 1
        now = time.monotonic()
        at.seconds = before + now - started
        if at.step % stage.steps_per_epoch == 0:
            _end_epoch(stage, at, epoch, loss_sum)
            loss_sum.zero_()
            if after_epoch:
                after_epoch(at)
        if progress and (now - shown > SHOW_SECONDS or at.step == total):
            shown = now
            loss = float(loss_sum) / (index + 1) if at.step % stage.steps_per_epoch else at.log[-1]["loss"]
            clips = stage.batch_size * at.step, stage.batch_size * total
            progress(stage.name, *clips, f"epoch {epoch + 1}/{stage.epochs}  loss {loss:.3f}")
        if resume_file and now - saved >= checkpoint_seconds and at.step < total:
            at.loss_sum = float(loss_sum)
            if math.isfinite(at.loss_sum):  # else the last good checkpoint is kept
                _save(stage, resume_file, at)
            saved = time.monotonic()
    return at


def _batches(stage: Stage, seed: int, done: int, device: torch.device) -> Iterator[tuple[int, int, Tensor]]:
    for epoch in range(done // stage.steps_per_epoch, stage.epochs):
        order = epoch_order(seed, stage.name, epoch, stage.samples).to(device)
        first = done - epoch * stage.steps_per_epoch if done > epoch * stage.steps_per_epoch else 0
        for index in range(first, stage.steps_per_epoch):
            yield epoch, index, order[index * stage.batch_size : (index + 1) * stage.batch_size]


def _one_step(stage: Stage, rows: Tensor, device: torch.device, precision: str) -> Tensor:
    with autocast(device, precision):
        loss = stage.step(rows)
    stage.optimizer.zero_grad(set_to_none=True)
    (loss * stage.gradient_scale).backward()  # type: ignore[no-untyped-call]
    if stage.clip_each is not None:
        for group in stage.optimizer.param_groups:
            clip_each(group["params"], stage.clip_each)
    stage.optimizer.step()
    return loss.detach()


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """bf16 autocast for precision "bf16", nothing otherwise."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Neither autocast nor TF32 inside: for neighbour searches, whose answer a rounded product would change."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def _set_rates(stage: Stage, base_rates: list[float], epoch: float) -> None:
    if stage.lr_factor is not None:
        factor = stage.lr_factor(epoch)
        for group, rate in zip(stage.optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * factor


def _end_epoch(stage: Stage, at: Position, epoch: int, loss_sum: Tensor) -> None:
    loss = float(loss_sum) / stage.steps_per_epoch
    if not math.isfinite(loss):
        raise StarsBenchError(
            f"{stage.name}: the loss is {loss} in epoch {epoch + 1}; the last good checkpoint is kept: "
            "lower the learning rate or use --precision float32"
        )
    rate = max(group["lr"] for group in stage.optimizer.param_groups)
    at.log.append({"stage": stage.name, "epoch": epoch + 1, "step": at.step, "loss": loss, "lr": rate})
    if stage.after_epoch:
        stage.after_epoch(epoch + 1)
        stage.module.train()


def _save(stage: Stage, path: Path, at: Position) -> None:
    state = {"module": stage.module.state_dict(), "optimizer": stage.optimizer.state_dict(), "position": vars(at)}
    checkpoint.save(path, state)


def _resume(stage: Stage, path: Path | None, device: torch.device) -> Position:
    if path is None or not path.exists():
        return Position()
    state = checkpoint.load(path, device)
    stage.module.load_state_dict(state["module"])
    stage.optimizer.load_state_dict(state["optimizer"])
    return Position(**state["position"])
