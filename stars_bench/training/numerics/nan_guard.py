"""Numbers that are no longer numbers: noticed without waiting for the device at every step, and never saved.

Losses stay on the device and are looked at together; weights and the optimiser's state are looked at before a
checkpoint and at a stage's end. So a checkpoint is always from before a divergence.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from stars_bench.errors import StarsBenchError
from stars_bench.training.stage import settings_named

if TYPE_CHECKING:
    from pathlib import Path

    from stars_bench.training.stage import Stage

TOGETHER = 64
"""Losses that are looked at together: the device is waited for once in so many steps."""


class Diverged(StarsBenchError):
    """The loss, or the weights, of a stage are no longer finite; says where, and what to try."""


class Watch:
    """Looks for the first loss that is not finite, and at what a checkpoint would hold.

    Args:
        precision: Precision of the arithmetic, for the advice.
        resume_file: Where the stage keeps its checkpoint.
    """

    def __init__(self, stage: Stage, device: torch.device, precision: str, resume_file: Path | None) -> None:
        self.stage, self.precision, self.resume_file = stage, precision, resume_file
        self._losses = torch.zeros(TOGETHER, dtype=torch.float64, device=device)
        self._count = 0
        self._last_finite: float | None = None
        # A plug-in's buffers may be infinite by intent (masks): only what was finite must stay so.
        self._names = [name for name, value in stage.module.state_dict().items() if _is_finite([value])]

    def note(self, loss: Tensor, step: int) -> None:
        """Take the loss of a step (the number of steps done, it included), and may look.

        Raises:
            Diverged: A loss since the last look is not finite.
        """
        self._losses[self._count] = loss
        self._count += 1
        if self._count == TOGETHER:
            self.look(step)

    def look(self, step: int) -> None:
        """Look at the losses up to `step`.

        Raises:
            Diverged: One of them is not finite.
        """
        losses = self._losses[: self._count].tolist()
        first, self._count = step - self._count, 0
        for number, loss in enumerate(losses, 1):
            if not math.isfinite(loss):
                raise Diverged(self._told(f"the loss is {loss}", first + number))
            self._last_finite = loss

    def check_state(self, step: int) -> None:
        """Look at the losses, then at all that a checkpoint would hold.

        Raises:
            Diverged: Not all of it is finite.
        """
        self.look(step)
        state = self.stage.module.state_dict()
        kept = [value for values in self.stage.optimizer.state.values() for value in values.values()]
        if not _is_finite([*(state[name] for name in self._names if name in state), *kept]):
            raise Diverged(self._told("the weights or the optimiser's state are not finite", step))

    def _told(self, what: str, step: int) -> str:
        stage = self.stage
        before = "" if self._last_finite is None else f" (the last finite loss was {self._last_finite:.4g})"
        there = self.resume_file is not None and self.resume_file.exists()
        kept = f"the last good checkpoint is kept ({self.resume_file})" if there else "there was no checkpoint yet"
        rate = max(group["lr"] for group in stage.optimizer.param_groups)
        less_rounding = "" if self.precision == "float32" else f" or --precision float32 (it was {self.precision})"
        return (
            f"{stage.name}: diverged: {what} in epoch {(step - 1) // stage.steps_per_epoch + 1} of {stage.epochs}, "
            f"step {step:,}{before}; {kept}. Try a lower learning rate, {settings_named(stage, 'lr')} "
            f"(it was {rate:.3g} there){less_rounding}"
        )


@torch.no_grad()
def _is_finite(values: list[object]) -> bool:
    """Return whether every floating-point tensor among the values is finite throughout; one question a device."""
    by_device: dict[torch.device, list[Tensor]] = {}
    for value in values:
        if isinstance(value, Tensor) and value.is_floating_point() and not isinstance(value, nn.UninitializedParameter):
            by_device.setdefault(value.device, []).append(value.isfinite().all())
    return all(bool(torch.stack(answers).all()) for answers in by_device.values())
