"""The one training loop: epochs of shuffled batches of row numbers, logged, checkpointed, resumable to the bit.

A stage says what one step computes; the loop does the rest. Before every step torch's generators are seeded from (run
seed, stage, step), so the numbers drawn do not depend on what ran before, and a checkpoint needs no generator states.
Where several processes train, all of them run this loop over the same global batches, and the first keeps the files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stars_bench.data import placement
from stars_bench.display.progress import duration
from stars_bench.errors import UsageError
from stars_bench.io.disk import NoRoom
from stars_bench.io.sealed import Damaged, set_aside
from stars_bench.training import checkpoint, memory
from stars_bench.training.numerics.nan_guard import Watch
from stars_bench.training.optim import clip_each
from stars_bench.training.parallel import distributed
from stars_bench.training.stage import Stage as Stage  # methods, plug-ins too, import it from here
from stars_bench.training.step import Division, SplitStep, back_propagate

Progress = Callable[[str, int, int, str], None]
"""Called with (what runs, clips done, clips in all, a note such as the loss)."""
Tell = Callable[[str], None]
"""Called with a line that the user must know."""

MEASURED = 3
"""Steps, after the first, by which the time of a stage is estimated."""
LONG = 600.0
"""Seconds from which on a stage says what it will cost."""
A_DAY = 86400.0
SHOW_SECONDS = 0.5
"""Time between two calls of the progress callback; each reads the loss from the device."""


@dataclass
class Position:
    """How far a stage has come.

    Args:
        step: Steps done. Default: 0.
        seconds: Time spent, in seconds. Default: 0.
        loss_sum: Sum of the losses since the epoch began. Default: 0.
        micro_batches: Parts that each process divides its share into, once memory was found to be short. Default: 1.
        peak_bytes: Largest GPU memory of this process before the last checkpoint or the end; after a resumed stage that
            of the first process, which alone writes checkpoints and has the largest share. Default: 0.
        log: One entry for each epoch. Default: empty.
        best: Of the best epoch so far: its number, its `accuracy`, and the tensors of the `module`. Default: None, the
            last epoch is kept.
    """

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    micro_batches: int = 1
    peak_bytes: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None


def seed_step(seed: int, stage: str, step: int | str) -> None:
    """Seed torch's generators (CPU and GPU) for one step of one stage."""
    torch.manual_seed(derived_seed(seed, stage, step))


def derived_seed(*parts: int | str) -> int:
    """Return a 63-bit seed that depends on all parts."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def epoch_order(seed: int, stage: str, epoch: int, samples: int) -> Tensor:
    """Return the permutation of row numbers (N,) of an epoch: a function of its arguments alone."""
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
    micro_batches: int = 1,
    fit_batch: bool = False,
    tell: Tell | None = None,
    look: Callable[[], float] | None = None,
) -> Position:
    """Train a stage to its end, resuming from `resume_file` if it exists.

    Args:
        stage: The stage.
        seed: The run's seed, from which every step is seeded.
        device: Device of the row numbers.
        precision: float32, tf32 or bf16. Default: float32.
        resume_file: File of the last checkpoint. Default: None, no checkpoints.
        checkpoint_seconds: Time between two checkpoints, in seconds. Default: 60.
        progress: Called with the task, steps done, their total, and a note. Default: None.
        after_epoch: Called with the position after every epoch, its log included. Default: None.
        micro_batches: Parts that each process divides its share of a batch into; this takes less memory and gives the
            same result, to rounding. Default: 1.
        fit_batch: Whether `micro_batches` is doubled if memory does not suffice, resuming from the last checkpoint.
            Default: False.
        tell: Called with a line that says where the stage resumes. Default: None.
        look: Called after every epoch; returns the accuracy by which the epoch is chosen that the module holds at the
            end: the best, of equals the first. Default: None, the last.

    Returns:
        The position at the end.

    Raises:
        UsageError: The batch is larger than the training part, or cannot be divided as asked for.
        StarsBenchError: The loss is no longer a number, memory does not suffice, or a checkpoint cannot be written.
    """
    if not stage.steps_per_epoch:
        raise UsageError(
            f"{stage.name}: the batch of {stage.batch_size} is larger than the {stage.samples} training clips; "
            "lower it with --set (batch_size, tune_batch_size, linear.batch_size)"
        )
    _check_division(stage, micro_batches, tell)
    memory.check_fit(fit_batch)
    how = _How(seed, device, precision, resume_file, checkpoint_seconds, progress, after_epoch, tell, look)
    base_rates = [group["lr"] for group in stage.optimizer.param_groups]
    start = memory.snapshot(stage) if fit_batch else None
    while True:
        at = _resume(stage, resume_file, tell)
        if tell and at.step:
            tell(_where(stage, at))
        at.micro_batches = micro_batches = max(micro_batches, at.micro_batches if fit_batch else 1)
        try:
            return _train(stage, at, base_rates, how)
        except (RuntimeError, MemoryError) as error:
            if not memory.is_out_of_memory(error):
                raise
            micro_batches = memory.more_micro_batches(stage, device, micro_batches, fit_batch)
        # Out of the except: the error's traceback held all that the broken step had on the device.
        assert start is not None
        memory.restore(stage, start)
        if tell:
            tell(f"{stage.name}: out of memory; goes on in {micro_batches} micro-batches")


@dataclass(frozen=True)
class _How:
    """What `train` was asked for, beside the stage."""

    seed: int
    device: torch.device
    precision: str
    resume_file: Path | None
    checkpoint_seconds: float
    progress: Progress | None
    after_epoch: Callable[[Position], None] | None
    tell: Tell | None
    look: Callable[[], float] | None


def _train(stage: Stage, at: Position, base_rates: list[float], how: _How) -> Position:
    total = stage.epochs * stage.steps_per_epoch
    stage.module.train()
    watch = Watch(stage, how.device, how.precision, how.resume_file)
    started = saved = shown = time.monotonic()
    first, warm = at.step, started
    before, loss_sum = at.seconds, torch.tensor(at.loss_sum, dtype=torch.float64, device=how.device)
    for epoch, index, rows in _batches(stage, how.seed, at.step, how.device):
        _set_rates(stage, base_rates, epoch + index / stage.steps_per_epoch)
        division = step_division(stage, how.seed, how.device, how.precision, at.step, at.micro_batches)
        loss = one_step(stage, rows, division)
        loss_sum += loss
        at.step += 1
        if stage.after_step:
            stage.after_step(at.step)
        watch.note(loss, at.step)
        if how.tell and at.step - first in (1, 1 + MEASURED):
            float(loss)  # waits for the device
            if at.step - first == 1:
                warm = time.monotonic()
            else:
                _tell_cost(stage, (time.monotonic() - warm) / MEASURED, total - at.step, how.device, how.tell)
        now = time.monotonic()
        at.seconds = before + now - started
        if at.step % stage.steps_per_epoch == 0:
            watch.look(at.step)
            _end_epoch(stage, at, epoch, loss_sum)
            if how.look:
                _look(stage, at, how.look)
            loss_sum.zero_()
            if how.after_epoch:
                how.after_epoch(at)
        if how.progress and (now - shown > SHOW_SECONDS or at.step == total):
            shown = now
            mean = float(loss_sum) / (index + 1) if at.step % stage.steps_per_epoch else at.log[-1]["loss"]
            clips = stage.batch_size * at.step, stage.batch_size * total
            how.progress(stage.name, *clips, f"epoch {epoch + 1}/{stage.epochs}  loss {mean:.3f}")
        due = now - saved >= how.checkpoint_seconds and at.step < total
        if how.resume_file and due and distributed.is_first():
            at.loss_sum = float(loss_sum)
            at.peak_bytes = max(at.peak_bytes, memory.peak_bytes(how.device))
            watch.check_state(at.step)
            _save(stage, how.resume_file, at, how.tell)
            saved = time.monotonic()
    watch.check_state(at.step)
    at.peak_bytes = max(at.peak_bytes, memory.peak_bytes(how.device))
    if at.best is not None:
        stage.module.load_state_dict(at.best["module"])
    return at


def _tell_cost(stage: Stage, seconds: float, steps: int, device: torch.device, tell: Tell) -> None:
    """Say what is left of a long stage.

    Args:
        stage: The stage.
        seconds: Time of a step, in seconds.
        steps: Number of steps that are left.
        device: Where it is trained.
        tell: Takes the line.
    """
    left = seconds * steps
    if left < LONG:
        return
    peak = memory.peak()
    used = "" if peak is None else f", {peak[0]} {peak[1] / 1e9:.1f} GB so far"
    days = "; `--preset quick` is for a CPU, `stars-bench list presets` says what presets cost"
    tell(
        f"{stage.name}: about {duration(left)} on {device}: {steps:,} steps of {seconds:.2f} s, measured by "
        f"{MEASURED}{used}{days if device.type == 'cpu' and left >= A_DAY else ''}"
    )


def _batches(stage: Stage, seed: int, done: int, device: torch.device) -> Iterator[tuple[int, int, Tensor]]:
    for epoch in range(done // stage.steps_per_epoch, stage.epochs):
        order = placement.with_host_copy(epoch_order(seed, stage.name, epoch, stage.samples), device)
        first = done - epoch * stage.steps_per_epoch if done > epoch * stage.steps_per_epoch else 0
        for index in range(first, stage.steps_per_epoch):
            yield epoch, index, order[index * stage.batch_size : (index + 1) * stage.batch_size]


def _check_division(stage: Stage, micro_batches: int, tell: Tell | None) -> None:
    if isinstance(stage.step, SplitStep):
        return
    if micro_batches > 1:
        raise UsageError(
            f"--grad-accum {micro_batches}: the batch of {stage.name} cannot be divided (its step is no SplitStep); "
            "leave out --grad-accum"
        )
    if tell and distributed.world_size() > 1:
        tell(f"{stage.name}: its step is no SplitStep, so every process computes the whole batch: right, but no faster")


def _where(stage: Stage, at: Position) -> str:
    """Say where a stage resumes."""
    epoch, total = at.step // stage.steps_per_epoch, stage.epochs * stage.steps_per_epoch
    return (
        f"{stage.name}: resumes from its checkpoint after step {at.step:,} of {total:,} "
        f"(epoch {min(epoch + 1, stage.epochs)} of {stage.epochs}, {at.seconds:,.0f} s of training done)"
    )


def step_division(
    stage: Stage, seed: int, device: torch.device, precision: str, step: int, micro_batches: int
) -> Division:
    """Return how a step of a stage is seeded, rounded and divided."""
    return Division(partial(seed_step, seed, stage.name, step), partial(autocast, device, precision), micro_batches)


def one_step(stage: Stage, rows: Tensor, how: Division) -> Tensor:
    """Compute one step on row numbers (B,), update the parameters, and return the loss."""
    stage.optimizer.zero_grad(set_to_none=True)
    loss = back_propagate(stage.step, stage.module, rows, stage.gradient_scale, how)
    if stage.clip_each is not None:
        for group in stage.optimizer.param_groups:
            clip_each(group["params"], stage.clip_each)
    stage.optimizer.step()
    return loss


def set_precision(precision: str) -> None:
    """Let float32 products, convolutions and recurrent layers use TF32 if the precision is "tf32", and only then."""
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return bf16 autocast for the precision "bf16"; otherwise a context that does nothing."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def _set_rates(stage: Stage, base_rates: list[float], epoch: float) -> None:
    if stage.lr_factor is not None:
        factor = stage.lr_factor(epoch)
        for group, rate in zip(stage.optimizer.param_groups, base_rates, strict=True):
            group["lr"] = rate * factor


def _end_epoch(stage: Stage, at: Position, epoch: int, loss_sum: Tensor) -> None:
    loss = float(loss_sum) / stage.steps_per_epoch
    rate = max(group["lr"] for group in stage.optimizer.param_groups)
    at.log.append({"stage": stage.name, "epoch": epoch + 1, "step": at.step, "loss": loss, "lr": rate})
    if stage.after_epoch:
        stage.after_epoch(epoch + 1)
        stage.module.train()


def _look(stage: Stage, at: Position, look: Callable[[], float]) -> None:
    """Keep the state of the epoch that has just ended if it is the best so far."""
    found = look()
    accuracy = distributed.from_first(lambda: found)  # all processes must keep the same epoch
    stage.module.train()
    at.log[-1]["accuracy"] = accuracy
    if at.best is None or accuracy > at.best["accuracy"]:
        module = memory.on_cpu(stage.module.state_dict())
        at.best = {"epoch": at.log[-1]["epoch"], "accuracy": accuracy, "module": module}


def _save(stage: Stage, path: Path, at: Position, tell: Tell | None) -> None:
    state = {
        "file": path.name,
        "module": stage.module.state_dict(),
        "optimizer": stage.optimizer.state_dict(),
        "position": vars(at),
    }
    try:
        checkpoint.save(path, state)
    except NoRoom as error:  # training is worth more than its checkpoint: the one before is still there
        if tell:
            tell(f"{stage.name}: goes on without a checkpoint of step {at.step:,}: {error}")


def _unfinished(stage: str, path: Path | None, tell: Tell | None) -> dict[str, Any] | None:
    """Return what a stage's last checkpoint holds; a damaged one holds nothing, and is no error."""
    if path is None or not path.exists():
        return None
    try:
        state = checkpoint.load(path)
        if state.get("file", path.name) != path.name:
            raise Damaged(f"{path}: damaged: holds the checkpoint of another stage")
        return state
    except Damaged:
        aside = set_aside(path)
        if tell:
            tell(f"{stage}: starts anew, for its checkpoint is damaged (kept as {aside})")
        return None


def _resume(stage: Stage, path: Path | None, tell: Tell | None = None) -> Position:
    state = distributed.from_first(partial(_unfinished, stage.name, path, tell))
    if state is None:
        return Position()
    stage.module.load_state_dict(state["module"])
    stage.optimizer.load_state_dict(state["optimizer"])
    return Position(**state["position"])
