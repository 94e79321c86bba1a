"""SGD and Adam with a learning rate that falls in steps, as many networks of the field are trained."""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from stars_bench.training.loop import Stage
from stars_bench.training.optim import Schedule, step_decay
from stars_bench.training.step import Step


class SgdConfig(BaseModel):
    """Settings of SGD with a stepwise learning rate.

    Args:
        epochs: Epochs. Default: 80.
        milestones: Epochs after which the learning rate falls to a tenth. Default: 10 and 50.
        batch_size: Clips a batch. Default: 64.
        lr: Learning rate at the start. Default: 0.1.
        sgd_momentum: Momentum of SGD. Default: 0.9.
        nesterov: Whether SGD uses Nesterov momentum. Default: True.
        weight_decay: Weight decay, on every parameter. Default: 1e-4.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(80, ge=1)
    milestones: tuple[int, ...] = Field((10, 50), description="epochs from which the rate is a tenth of what it was")
    batch_size: int = Field(64, ge=2)
    lr: float = Field(0.1, gt=0)
    sgd_momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(1e-4, ge=0)

    @property
    def schedule(self) -> Schedule:
        """The factor on the learning rate by epoch."""
        return step_decay(self.milestones)

    def stage(self, name: str, module: nn.Module, step: Step, samples: int) -> Stage:
        """Make the stage that trains `module`.

        Args:
            name: Name of the stage.
            module: Everything that learns.
            step: The step of the stage.
            samples: Number of training clips.
        """
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        return Stage(
            name=name,
            config=self.model_dump(),
            module=module,
            optimizer=torch.optim.SGD(
                parameters, self.lr, self.sgd_momentum, weight_decay=self.weight_decay, nesterov=self.nesterov
            ),
            step=step,
            samples=samples,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr_factor=self.schedule,
        )


class AdamConfig(BaseModel):
    """Settings of Adam with a stepwise learning rate.

    Args:
        epochs: Epochs. Default: 451.
        milestones: Epochs after which the learning rate falls to a tenth. Default: 351.
        batch_size: Clips a batch. Default: 512.
        lr: Learning rate at the start. Default: 5e-4.
        weight_decay: Weight decay on every parameter, as Adam has it (L2). Default: 1e-5.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(451, ge=1)
    milestones: tuple[int, ...] = Field((351,), description="epochs from which the rate is a tenth of what it was")
    batch_size: int = Field(512, ge=2)
    lr: float = Field(5e-4, gt=0)
    weight_decay: float = Field(1e-5, ge=0)

    def stage(self, name: str, module: nn.Module, step: Step, samples: int) -> Stage:
        """Make the stage that trains `module`.

        Args:
            name: Name of the stage.
            module: Everything that learns.
            step: The step of the stage.
            samples: Number of training clips.
        """
        return Stage(
            name=name,
            config=self.model_dump(),
            module=module,
            optimizer=torch.optim.Adam(module.parameters(), self.lr, weight_decay=self.weight_decay),
            step=step,
            samples=samples,
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr_factor=step_decay(self.milestones),
        )
