"""Encoders under the classifier that MAMP's program trained them with, from its checkpoint files.

`main_finetune` saves an encoder that labels have tuned, with its head; `main_linprobe` a frozen one under a linear
probe. The file does not say whether MAMP or MAE pre-trained them, so each kind is a method of its own. It is not
listed, since there is nothing that it could train.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Never

from pydantic import BaseModel
from torch import Tensor

from stars_bench.api import Citation, Recipe, Run, TrainingClips
from stars_bench.errors import UsageError
from stars_bench.evaluation.linear import LinearHead
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.supervision import ActionHead
from stars_bench.models.mamp import MAMP, MAMP_RECIPE, EncoderConfig


class FineTunedEncoder(SkeletonEncoder):
    """An encoder under the head of fine-tuning."""

    head: ActionHead

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        logits: Tensor = self.head(self.tokens(x))
        return logits

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights; the head gets the size that it has there."""
        hidden, width = state_dict["head.fc1.weight"].shape
        self.head = ActionHead(width, len(state_dict["head.fc2.bias"]), hidden)
        return super().load_state_dict(state_dict, strict, assign)


class ProbedEncoder(SkeletonEncoder):
    """A frozen encoder under a linear probe."""

    head: LinearHead

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        logits: Tensor = self.head(self(x))
        return logits

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights; the probe gets the size that it has there."""
        classes, width = state_dict["head.1.weight"].shape
        self.head = LinearHead(width, classes)
        return super().load_state_dict(state_dict, strict, assign)


class FineTuned:
    """An encoder that MAMP's program has fine-tuned with labels."""

    name: ClassVar[str] = "fine-tuned"
    Config: ClassVar[type[BaseModel]] = EncoderConfig
    citations: ClassVar[tuple[Citation, ...]] = (MAMP,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    evaluations: ClassVar[tuple[str, ...]] = ("classifier",)

    def fit(self, clips: TrainingClips, run: Run[EncoderConfig]) -> Never:  # noqa: ARG002
        """Refuse to train.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{self.name}: comes from a checkpoint file and trains nothing: use evaluate FILE")

    def build(self, config: EncoderConfig, num_joints: int) -> SkeletonEncoder:
        """Build the encoder without its weights; loading gives it its head."""
        return FineTunedEncoder(joints=num_joints, **config.model_dump())


class Probed(FineTuned):
    """A frozen encoder with the linear probe that MAMP's program has trained on it."""

    name: ClassVar[str] = "linear-probed"

    def build(self, config: EncoderConfig, num_joints: int) -> SkeletonEncoder:
        """Build the encoder without its weights; loading gives it its probe."""
        return ProbedEncoder(joints=num_joints, **config.model_dump())
