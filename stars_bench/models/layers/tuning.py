"""What all tunings of an encoder share: which part learns, at which rates, in what stages.

STARS (arXiv:2407.10935; github TaatiTeam/STARS) tunes the upper half of the encoder. Its released three-stage
configurations, those for MoCo and DINO included, first train the heads alone on the frozen encoder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from stars_bench.api import Run, TrainingClips
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.training.loop import Stage
from stars_bench.training.step import SplitStep

Part = Literal["heads", "half", "all"]
"""What of the encoder learns: nothing (the heads beside it alone), its upper half and last norm, or all of it."""


class TuningSettings(BaseModel):
    """Settings that every tuning has, prefixed `tune_`. The defaults are the official ones of STARS for NTU-60.

    Args:
        tune_epochs: Epochs of the tuning. Default: 20.
        tune_batch_size: Clips a batch. Default: 128.
        tune_lr: Learning rate of the heads and the last norm. Default: 1e-3.
        tune_layer_decay: The paper's alpha: factor on the learning rate per block downwards. Default: 0.45.
        tune_weight_decay: Weight decay of AdamW. Default: 0.01.
        tune_clip: Largest gradient norm of each parameter. Default: 3.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tune_epochs: int = Field(20, ge=1)
    tune_batch_size: int = Field(128, ge=2)
    tune_lr: float = Field(1e-3, gt=0)
    tune_layer_decay: float = Field(0.45, gt=0, le=1, description="alpha: factor on the rate per block downwards")
    tune_weight_decay: float = Field(0.01, ge=0)
    tune_clip: float = Field(3.0, gt=0, description="largest gradient norm of each parameter")


class UpperPart(BaseModel):
    """The share of the encoder that is tuned.

    Args:
        tune_share: Share of the blocks, from the last, that is tuned. Default: 0.5.
    """

    tune_share: float = Field(0.5, ge=0, le=1, description="share of the blocks, from the last, that is tuned")


class HeadsFirst(BaseModel):
    """Settings of tunings that first train their heads alone.

    Args:
        head_epochs: Epochs of the heads alone, on the frozen encoder. Default: 20.
    """

    head_epochs: int = Field(20, ge=1, description="epochs of the heads alone, on the frozen encoder")


class Tuned(nn.Module):
    """An encoder under a tuning objective that trains only a part of it; subclasses add their heads and their loss.

    Args:
        encoder: The pre-trained encoder.
        part: Which part of the encoder learns. Default: "half".
        share: Share of the blocks that counts as the upper half: block i is tuned when i >= depth * (1 - share).
            Default: 0.5, as officially.
    """

    def __init__(self, encoder: SkeletonEncoder, part: Part = "half", share: float = 0.5) -> None:
        super().__init__()
        self.encoder = encoder
        self.first_tuned = len(encoder.blocks) - int(len(encoder.blocks) * share + 1e-9)
        self.train_only(part)

    def train_only(self, part: Part) -> None:
        """Choose which part of the encoder learns from here on."""
        self.part = part
        for name, parameter in self.encoder.named_parameters():
            parameter.requires_grad_(self.is_tuned(name))

    def begin(self, part: Part, epochs: int, steps_per_epoch: int) -> None:  # noqa: ARG002 - for schedules
        """Start a stage of so many epochs in which `part` learns."""
        self.train_only(part)

    def after_step(self, step: int) -> None:
        """Update what follows the parameters; called after every step of the optimiser (`Stage.after_step`)."""

    @property
    def frozen(self) -> int:
        """Number of blocks, from the first, that do not learn: no gradient reaches below them."""
        return {"heads": len(self.encoder.blocks), "half": self.first_tuned, "all": 0}[self.part]

    def is_tuned(self, parameter: str) -> bool:
        """Return whether a parameter of the encoder (by name) learns."""
        in_half = parameter.startswith("norm.") or self.block_of(parameter) >= self.first_tuned
        return self.part == "all" or (self.part == "half" and in_half)

    @staticmethod
    def block_of(parameter: str) -> int:
        """Return the 0-based block of an encoder parameter; -1 for the embeddings and the last norm."""
        return int(parameter.split(".")[1]) if parameter.startswith("blocks.") else -1

    def learning_rates(self, base: float, decay: float) -> dict[str, float]:
        """Return the learning rate of every parameter that learns.

        The rate is base * decay^(depth - i) in block i, and base in the norm and the heads.
        """
        depth = len(self.encoder.blocks)
        rates = {}
        for name, parameter in self.named_parameters():
            if parameter.requires_grad:
                own = name.removeprefix("encoder.")
                on_top = own == name or own.startswith("norm.")  # the embeddings lie one below block 0
                rates[name] = base if on_top else base * decay ** (depth - self.block_of(own))
        return rates


def tuning_optimizer(model: Tuned, lr: float, layer_decay: float, weight_decay: float) -> torch.optim.AdamW:
    """Return AdamW with one learning rate per parameter and weight decay on every trained one, as officially run."""
    parameters = dict(model.named_parameters())
    by_rate: dict[float, list[nn.Parameter]] = {}
    for name, rate in model.learning_rates(lr, layer_decay).items():
        by_rate.setdefault(rate, []).append(parameters[name])
    groups = [{"params": group, "lr": rate} for rate, group in by_rate.items()]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95), weight_decay=weight_decay, fused=True)


def tune_stages(
    clips: TrainingClips,
    run: Run[BaseModel],
    model: Tuned,
    step_of: Callable[[FrozenHalf], SplitStep],
    config: TuningSettings,
    fields: type[BaseModel],
    head_epochs: int = 0,
    gradient_scale: float = 1.0,
) -> SkeletonEncoder:
    """Train the heads alone (`head_epochs` > 0), then the model's part of the encoder with them.

    Args:
        clips: The training part.
        run: Device, seed and stages.
        model: Encoder, heads and loss.
        step_of: From the frozen part of a stage to the stage's step.
        config: Settings of the tuning.
        fields: The config class whose fields decide what is computed.
        head_epochs: Epochs of the heads alone. Default: 0.
        gradient_scale: Factor on the loss before back-propagation. Default: 1.

    Returns:
        The encoder after the last epoch.
    """
    settings = config.model_dump(include=set(fields.model_fields))
    part = model.part
    plan: list[tuple[str, Part, int]] = [("heads", "heads", head_epochs)] if head_epochs else []
    for name, learns, epochs in (*plan, ("stage2", part, config.tune_epochs)):
        model.begin(learns, epochs, len(clips) // config.tune_batch_size)
        optimizer = tuning_optimizer(model, config.tune_lr, config.tune_layer_decay, config.tune_weight_decay)
        run.train(
            Stage(
                name=name,
                config=settings | {"part": learns, "first_tuned": model.first_tuned},
                module=model,
                optimizer=optimizer,
                step=step_of(FrozenHalf(model.encoder, clips, model.frozen)),
                samples=len(clips),
                epochs=epochs,
                batch_size=config.tune_batch_size,
                gradient_scale=gradient_scale,
                clip_each=config.tune_clip,
                after_step=model.after_step,
            )
        )
    return model.encoder.requires_grad_(True)
