"""The coordinates themselves as features: no network, no training.

Clips are resized to 120 frames, the length that STARS (arXiv:2407.10935) works on, and moved so that the first body's
centre joint begins at the origin. Nearest neighbours on them are a strong baseline where few clips train.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.api import Run, TrainingClips
from stars_bench.data.channels import about_origin, origin_joint, origin_number

BODIES = 2


class RawConfig(BaseModel):
    """Settings of the raw coordinates.

    Args:
        frames: T, the frames that every clip is resized to. Default: 120.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: int = Field(120, ge=1)


class Coordinates(nn.Module):
    """Centred coordinates as a vector: (B, 3, T, V, M) -> (B, 3 * T * V * M)."""

    centre: Tensor

    def __init__(self, frames: int, joints: int, centre: int = 0, planar: bool = False) -> None:
        super().__init__()
        self.frames, self.dim = frames, 3 * frames * joints * BODIES
        self.register_buffer("centre", torch.tensor(origin_number(centre, planar)))

    def forward(self, x: Tensor) -> Tensor:
        """Return vectors (B, 3 * T * V * M); an absent body stays at zero."""
        present = (x != 0).any(3, keepdim=True).any(2, keepdim=True).any(1, keepdim=True)
        origin = x[:, :, :1, origin_joint(self.centre), :1]
        return (about_origin(x, origin, self.centre) * present).flatten(1)


class Raw:
    """Use centred joints, resized to 120 frames, as features; nothing is trained."""

    name: ClassVar[str] = "raw"
    Config: ClassVar[type[BaseModel]] = RawConfig
    trains: ClassVar[bool] = False

    def fit(self, clips: TrainingClips, run: Run[RawConfig]) -> Coordinates:
        """Return the features; the training part is not read."""
        config = run.config
        return Coordinates(config.frames, clips.num_joints, clips.skeleton.centre, clips.skeleton.planar).to(run.device)

    def build(self, config: RawConfig, num_joints: int) -> Coordinates:
        """Return the features for a checkpoint, which holds the centre joint."""
        return Coordinates(config.frames, num_joints)
