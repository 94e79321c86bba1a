"""A tuned encoder with a teacher: a copy of what learns that follows by momentum (MoCo's key encoder, DINO's teacher).

What does not learn is the same in both, so it is computed once and has no copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, cast

import torch
from torch import Tensor, nn

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.momentum_teacher import MomentumTeacher
from stars_bench.models.layers.tuning import Tuned
from stars_bench.training.step import SplitStep


class TeacherTuned(Tuned, ABC):
    """Encoder and head (the student), and a teacher's upper half and head.

    Args:
        encoder: pre-trained.
        head: the student's; the teacher starts as a copy.
        momentum: of the teacher, as `MomentumTeacher` takes it.
    """

    def __init__(self, encoder: SkeletonEncoder, head: nn.Module, momentum: float | Callable[[int], float]) -> None:
        super().__init__(encoder)
        self.head = head
        self.teacher = MomentumTeacher(self.student, momentum)

    @property
    def student(self) -> nn.ModuleDict:
        """What learns, and what the teacher is a copy of: upper blocks, last norm, head."""
        blocks = self.encoder.blocks[self.first_tuned :]
        return nn.ModuleDict({"blocks": blocks, "norm": self.encoder.norm, "head": self.head})

    def of_teacher(self, part: Literal["blocks", "norm", "head"]) -> nn.Module:
        """A part of the teacher."""
        return cast(nn.ModuleDict, self.teacher.module)[part]

    def forward(self, x: Tensor) -> Tensor:
        """The loss of clips (B, 3, T, V, M)."""
        return self.loss(self.features_of_both(*self.encoder.lower(x, self.frozen)))

    @abstractmethod
    def loss(self, features: Tensor) -> Tensor:
        """The loss of the student's and the teacher's features (B, 2, D) of a whole batch."""

    def features_of_both(self, tokens: Tensor, which: Tensor) -> Tensor:
        """Features (B, 2, D) of `FrozenHalf.tokens`: under the student and, without gradient, under the teacher."""
        student = self.encoder.features_from(tokens, which, self.frozen)
        if self.frozen == len(self.encoder.blocks):  # of the encoder nothing learns: the teacher's is the same
            return torch.stack([student, student.detach()], 1)
        with torch.no_grad():
            for block in cast(nn.ModuleList, self.of_teacher("blocks")):
                tokens = block(tokens)
            teacher = self.of_teacher("norm")(tokens).mean(1)[which].mean(1)
        return torch.stack([student, teacher], 1)

    def after_step(self, step: int) -> None:
        """Moves the teacher towards the student."""
        self.teacher.update(self.student, step)

    def step_of(self, half: FrozenHalf) -> SplitStep:
        """The step of a stage."""
        return SplitStep(
            lambda rows: self.features_of_both(*half.tokens(rows)), lambda features, _: self.loss(features)
        )
