"""The supervised baseline: the encoder of STARS trained from scratch with labels, as in MAMP (arXiv:2308.07092).

MAMP's own baseline: its fine-tuning (head, augmentation, rates, label smoothing, drop path) on an encoder that was not
pre-trained, and without layer-wise decay of the learning rate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field
from torch import Tensor

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.supervision import QUICK_SUPERVISION, ActionHead, SupervisionConfig, supervised_stage
from stars_bench.models.mamp import MAMP, MAMP_RECIPE, QUICK_STAGE1, EncoderConfig


class SupervisedConfig(EncoderConfig, SupervisionConfig):
    """Settings of the encoder's size and of training with labels.

    Args:
        layer_decay: Factor on the learning rate per layer towards the input. Default: 1, the same rate everywhere.
    """

    layer_decay: float = Field(1.0, gt=0, le=1, description="factor on the rate per layer towards the input")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the official settings) or `quick` (small and short, for two CPU cores)."""
        size = {key: value for key, value in QUICK_STAGE1.items() if key in EncoderConfig.model_fields}
        return cls(**(size | QUICK)) if name == "quick" else cls()


QUICK: dict[str, Any] = QUICK_SUPERVISION | {"epochs": 40, "warmup_epochs": 4, "lr": 1e-3}
"""From scratch it takes longer than from a pre-trained encoder."""


class ClassifyingEncoder(SkeletonEncoder):
    """The encoder with the head that it was trained with.

    Args:
        config: Size of the encoder and of the head.
        joints: V.
        num_classes: Number of classes.
    """

    def __init__(self, config: SupervisedConfig, joints: int, num_classes: int) -> None:
        super().__init__(config.frames, joints, config.dim, config.depth, config.heads, config.mlp_ratio)
        self.config = config
        self.head = self._new_head(num_classes)

    def _new_head(self, num_classes: int) -> ActionHead:
        return ActionHead(self.joints * self.dim, num_classes, self.config.head_hidden, self.config.dropout)

    def classify(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        return self.head.classify(self.pooled(x))

    def pooled(self, x: Tensor) -> Tensor:
        """Return the head's input for each clip on its own, (B, width), from clips (B, 3, T, V, M)."""
        return self.head.pool(self.tokens(x))

    def layer_of(self, parameter: str) -> int:
        """Return the layer number as the encoder does; the head belongs to the last layer."""
        return len(self.blocks) + 1 if parameter.startswith("head.") else super().layer_of(parameter)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load weights; the head takes its number of classes from them, since `build` cannot know it."""
        last = state_dict.get("head.fc2.bias")
        if last is not None and len(last) != self.head.fc2.out_features:
            self.head = self._new_head(len(last)).to(self.head.fc2.weight)
        return super().load_state_dict(state_dict, strict, assign)


class Supervised:
    """Train the encoder of STARS from scratch with labels."""

    name: ClassVar[str] = "supervised"
    Config: ClassVar[type[BaseModel]] = SupervisedConfig
    citations: ClassVar[tuple[Citation, ...]] = (MAMP,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost("NTU-60 x-sub: 100 epochs of 84 GFLOP a clip and step, 3.4e17 FLOP, 56 % of mamp's stage 1."),
        "quick": Cost("About a minute on two CPU cores for some 200 clips."),
    }
    needs_labels: ClassVar[bool] = True
    evaluations: ClassVar[tuple[str, ...]] = ("classifier",)

    def fit(self, clips: TrainingClips, run: Run[SupervisedConfig]) -> ClassifyingEncoder:
        """Train encoder and head on the labelled training part."""
        config = run.config
        encoder = ClassifyingEncoder(config, clips.num_joints, clips.num_classes).to(run.device)
        encoder.set_drop_path(config.drop_path)

        def pooled(rows: Tensor) -> Tensor:
            return encoder.pooled(clips.cropped(rows, config.frames, config.max_angle))

        stage = supervised_stage(
            "supervised",
            encoder,
            pooled,
            clips.labels,
            config,
            config.model_dump(),
            encoder.layer_of,
            head=encoder.head.classify,
        )
        run.train(stage)
        encoder.set_drop_path(0)
        return encoder

    def build(self, config: SupervisedConfig, num_joints: int) -> ClassifyingEncoder:
        """Return the encoder without its weights, for a checkpoint, which brings its number of classes."""
        return ClassifyingEncoder(config, num_joints, num_classes=1)
