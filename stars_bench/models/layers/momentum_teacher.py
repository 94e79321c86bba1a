"""A momentum teacher: a copy of a module that follows it by an exponential moving average.

The mean teacher of arXiv:1703.01780, MoCo's key encoder (arXiv:1911.05722), BYOL's target network (arXiv:2006.07733)
and DINO's teacher (arXiv:2104.14294).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn


class MomentumTeacher(nn.Module):
    """A copy of a module, its student, that has no gradient and follows it: teacher <- m * teacher + (1 - m) * student.

    Put it into `Stage.module`, so that checkpoints hold it, and update it in `Stage.after_step`:
    `after_step=lambda step: teacher.update(student, step)`.

    Args:
        student: The module to copy. The teacher starts equal to it.
        momentum: M, from 0 to 1, or a function from the number of steps done to m, such as `cosine_momentum`.
    """

    def __init__(self, student: nn.Module, momentum: float | Callable[[int], float] = 0.996) -> None:
        super().__init__()
        self.module = deepcopy(student).requires_grad_(False)
        self.momentum = momentum

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Return the output of the copy for `x`, without gradient."""
        out: Tensor = self.module(x)
        return out

    @torch.no_grad()
    def update(self, student: nn.Module, step: int) -> None:
        """Move the parameters towards the student's; buffers, such as BatchNorm's statistics, stay the teacher's own.

        Args:
            student: A module with the same parameters as the one that was copied.
            step: Number of steps done, which a scheduled momentum depends on.
        """
        weight = 1 - (self.momentum(step) if callable(self.momentum) else self.momentum)
        for own, other in zip(self.module.parameters(), student.parameters(), strict=True):
            own.lerp_(other, weight)


def cosine_momentum(start: float, steps: int) -> Callable[[int], float]:
    """Make a schedule in which the momentum rises to 1 along half a cosine, as in BYOL and DINO.

    Args:
        start: The momentum before the first step.
        steps: The step at which it reaches 1: the number of steps of the whole stage.

    Returns:
        A function from the number of steps done to the momentum.
    """
    return lambda step: 1 + (start - 1) * (1 + math.cos(math.pi * min(step / steps, 1))) / 2
