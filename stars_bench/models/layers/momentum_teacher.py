"""A tuned encoder with a teacher: a copy of what learns that follows by momentum (MoCo's key encoder, DINO's teacher).

What does not learn is the same in both, so it is computed once and has no copy.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from copy import deepcopy

import torch
from torch import Tensor, nn

from stars_bench.models.layers.contrast import follow
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.tuning import Tuned
from stars_bench.training.step import SplitStep


class TeacherTuned(Tuned, ABC):
    """Encoder and head (the student), and a teacher's upper half and head.

    Args:
        encoder: pre-trained. head: the student's; the teacher starts as a copy.
    """

    def __init__(self, encoder: SkeletonEncoder, head: nn.Module) -> None:
        super().__init__(encoder)
        self.head = head
        self.teacher_blocks = deepcopy(encoder.blocks[self.first_tuned :]).requires_grad_(False)
        self.teacher_norm = deepcopy(encoder.norm).requires_grad_(False)
        self.teacher_head = deepcopy(head).requires_grad_(False)

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
            for block in self.teacher_blocks:
                tokens = block(tokens)
            teacher = self.teacher_norm(tokens).mean(1)[which].mean(1)
        return torch.stack([student, teacher], 1)

    @abstractmethod
    def momentum(self) -> float | Tensor:
        """How much of the teacher stays in the coming step."""

    def after_step(self) -> None:
        """Moves the teacher towards the student, once for the coming step."""
        momentum, upper = self.momentum(), self.encoder.blocks[self.first_tuned :]
        pairs = ((self.teacher_blocks, upper), (self.teacher_norm, self.encoder.norm), (self.teacher_head, self.head))
        for copy, original in pairs:
            follow(copy, original, momentum)

    def step_of(self, half: FrozenHalf) -> SplitStep:
        """The step of a stage."""
        return SplitStep(
            lambda rows: self.features_of_both(*half.tokens(rows)), lambda features, _: self.loss(features)
        )
