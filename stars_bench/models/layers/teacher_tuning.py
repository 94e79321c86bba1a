"""A tuned encoder with a teacher: a copy of what learns that follows by momentum (MoCo's key encoder, DINO's teacher).

The part that does not learn is the same in both, so it is computed once and has no copy. The teacher moves before every
forward pass, the first of a stage included, as in the official program of STARS (github TaatiTeam/STARS).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from stars_bench.api import Cost
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.momentum_teacher import MomentumTeacher
from stars_bench.models.layers.tuning import HeadsFirst, Part, Tuned, TuningSettings
from stars_bench.training.step import SplitStep

COSTS = {
    "paper": Cost(
        "Stage 1 of mamp, and some per cent of it for the tuning, where the copy that follows the encoder runs "
        "forward, too."
    ),
    "paper-one-body": Cost("As paper, with the one-body stage 1 of mamp."),
    "quick": Cost("As stars."),
}
"""What stage 1 and tuning with a teacher cost, by preset."""


class TeacherSettings(TuningSettings, HeadsFirst):
    """Settings of the head-only stage and of tuning with a teacher."""

    batch_unit: ClassVar[int] = 1
    """The clips of each GPU must be a multiple of this where `released_gpus` is set."""

    released_gpus: int = Field(
        0,
        ge=0,
        description="compute what the released program computes on so many GPUs, its slips included (published: 4); "
        "0: what the papers describe",
    )

    @model_validator(mode="after")
    def _gpus_share_the_batch(self) -> Self:
        unit = self.batch_unit * self.released_gpus
        if unit and self.tune_batch_size % unit:
            raise ValueError(
                f"released_gpus={self.released_gpus}: tune_batch_size ({self.tune_batch_size}) must be a multiple "
                f"of {unit}"
            )
        return self


class TeacherTuned(Tuned, ABC):
    """An encoder and a head (the student), and a teacher's upper half and head.

    Args:
        encoder: The pre-trained encoder.
        new_head: Makes a freshly initialised head.
        momentum: Momentum of the teacher, as `MomentumTeacher` takes it.
        independent: Whether the teacher's head is initialised on its own, as in the released program; default no: it
            starts as a copy of the student's. The teacher's blocks always start as copies.
    """

    def __init__(
        self,
        encoder: SkeletonEncoder,
        new_head: Callable[[], nn.Module],
        momentum: float | Callable[[int], float],
        independent: bool = False,
    ) -> None:
        super().__init__(encoder)
        self.head = new_head()
        self.teacher = MomentumTeacher(self.student, momentum)
        if independent:
            cast(nn.ModuleDict, self.teacher.module)["head"] = new_head().requires_grad_(False)
        self.steps = 0

    def begin(self, part: Part, epochs: int, steps_per_epoch: int) -> None:
        """Start a stage of so many epochs in which `part` learns, and move the teacher for its first step."""
        super().begin(part, epochs, steps_per_epoch)
        self.steps = epochs * steps_per_epoch
        self.teacher.update(self.student, 0)

    @property
    def student(self) -> nn.ModuleDict:
        """The part that learns, which the teacher copies: upper blocks, last norm and head."""
        blocks = self.encoder.blocks[self.first_tuned :]
        return nn.ModuleDict({"blocks": blocks, "norm": self.encoder.norm, "head": self.head})

    def of_teacher(self, part: Literal["blocks", "norm", "head"]) -> nn.Module:
        """Return a part of the teacher."""
        return cast(nn.ModuleDict, self.teacher.module)[part]

    def forward(self, x: Tensor) -> Tensor:
        """Return the loss of clips (B, 3, T, V, M)."""
        return self.loss(self.features_of_both(*self.encoder.lower(x, self.frozen)))

    @abstractmethod
    def loss(self, features: Tensor) -> Tensor:
        """Return the loss of the student's and the teacher's features (B, 2, D) of a whole batch."""

    def features_of_both(self, tokens: Tensor, which: Tensor) -> Tensor:
        """Return features (B, 2, D) of `FrozenHalf.tokens`: the student's and, without gradient, the teacher's."""
        student = self.encoder.features_from(tokens, which, self.frozen)
        if self.frozen == len(self.encoder.blocks):  # of the encoder nothing learns: the teacher's is the same
            return torch.stack([student, student.detach()], 1)
        with torch.no_grad():
            for block in cast(nn.ModuleList, self.of_teacher("blocks")):
                tokens = block(tokens)
            teacher = self.of_teacher("norm")(tokens).mean(1)[which].mean(1)
        return torch.stack([student, teacher], 1)

    def after_step(self, step: int) -> None:
        """Move the teacher towards the student for the coming step, if the stage has one."""
        if step < self.steps:
            self.teacher.update(self.student, step)

    def step_of(self, half: FrozenHalf) -> SplitStep:
        """Return the step of a stage on tokens that `half` keeps."""
        return SplitStep(
            lambda rows: self.features_of_both(*half.tokens(rows)), lambda features, _: self.loss(features)
        )
