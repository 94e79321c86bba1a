"""The stage that a method gives to the training loop: what is trained, by what step, for how long."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from stars_bench import registry
from stars_bench.training.optim import Schedule
from stars_bench.training.step import SplitStep, Step


@dataclass
class Stage:
    """What is trained, by what step, for how long.

    Args:
        name: Names the stage's files.
        config: Everything that decides the outcome; it is part of the stage's key.
        module: All that is trained or updated, queues, teachers and statistics included: what checkpoints hold.
        optimizer: Optimiser of the parameters that learn.
        step: From row numbers (B,) int64 on the device to the loss. A `SplitStep` can be divided among processes and
            into micro-batches.
        samples: Number of training clips.
        epochs: Passes over the training clips.
        batch_size: Clips in a step, of all processes together.
        lr_factor: Factor on the learning rates by fractional epoch. Default: None, 1.
        gradient_scale: Factor on the loss before back-propagation. Default: 1.
        clip_each: Largest gradient norm of each parameter. Default: None, no limit.
        after_step: Called with the number of steps done, once after each update of the parameters, on every process,
            however the batch was divided. What it changes must lie in `module`. Default: None.
        after_epoch: Called with the number of epochs done, before the checkpoint. Default: None.
        classify: Returns logits (N, classes) of the clips that the epoch is chosen by (`Subject.looked_at`), in
            evaluation mode. Default: None, `module.classify` where the module has one. A stage that has neither, or of
            a run without `--select`, keeps its last epoch.
    """

    name: str
    config: Mapping[str, object]
    module: nn.Module
    optimizer: torch.optim.Optimizer
    step: Step
    samples: int
    epochs: int
    batch_size: int
    lr_factor: Schedule | None = None
    gradient_scale: float = 1.0
    clip_each: float | None = None
    after_step: Callable[[int], None] | None = None
    after_epoch: Callable[[int], None] | None = None
    classify: Callable[[], torch.Tensor] | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch; the incomplete last one is dropped."""
        return self.samples // self.batch_size

    @property
    def parts(self) -> list[Callable[..., object]]:
        """The functions that compute a step and the learning rate, and the hooks."""
        parts: tuple[Callable[..., object], ...] = self.step.parts if isinstance(self.step, SplitStep) else (self.step,)
        hooks = (self.after_step, self.after_epoch, self.lr_factor, self.classify)
        return [*parts, *(hook for hook in hooks if hook is not None)]

    @property
    def sources(self) -> list[str]:
        """`module:function` of each of the parts."""
        named = [part if hasattr(part, "__qualname__") else type(part) for part in self.parts]
        return [f"{part.__module__}:{part.__qualname__}" for part in named]


def settings_named(stage: Stage, ending: str) -> str:
    """Return how a user changes settings of a stage (`--set tune_lr=N`): those named `ending` or *_`ending`."""
    keys = [key for key in stage.config if key == ending or key.endswith(f"_{ending}")]
    shown = [key for key in keys if not key.startswith("min_")] or [ending]
    owners = [name for name in registry.names("evaluations") if stage.name == name or stage.name.startswith(f"{name}-")]
    owner = f"{owners[0]}." if owners else ""
    return " or ".join(f"--set {owner}{key}=N" for key in shown)
