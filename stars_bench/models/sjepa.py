"""S-JEPA (ECCV 2024, doi:10.1007/978-3-031-73411-3_21): masked prediction of what a momentum teacher makes of a clip.

A re-implementation from the paper's text: no code is public. The encoder sees the visible tokens of a turned clip, and
a predictor gives the hidden tokens' representations, which are those of a teacher that sees the whole clip unturned.
Both are distributions over the D channels, the teacher's centred and sharper. Tokens, mask and crops are MAMP's.

The text leaves open, and these are our choices: the view is turned as MAMP turns clips, the teacher sees the same crop
unturned, and nothing is shifted or mirrored (`view_shift` and `view_flip` do that); the loss and the centre are means
over hidden tokens; a target is taken behind the teacher's last LayerNorm; the predictor keeps MAMP's linear layers in
front and behind; warm-up and mask temperature are MAMP's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips, TrainingTime
from stars_bench.data import random
from stars_bench.data.channels import in_plane
from stars_bench.data.clip_store import rotate
from stars_bench.models.layers.augment import mirror
from stars_bench.models.layers.encoder import SkeletonEncoder, bodies_of, present_bodies
from stars_bench.models.layers.momentum_teacher import MomentumTeacher, cosine_momentum
from stars_bench.models.layers.skeleton_graph import mirrored_joints
from stars_bench.models.mamp import QUICK_STAGE1, MaskedConfig, MaskedPrediction, masked_stage, stage1_preset, take
from stars_bench.training.step import SplitStep

S_JEPA = Citation(
    "abdelfattah2024sjepa",
    "S-JEPA: A Joint Embedding Predictive Architecture for Skeletal Action Recognition",
    authors="Abdelfattah, Mohamed and Alahi, Alexandre",
    venue="ECCV",
    year=2024,
    doi="10.1007/978-3-031-73411-3_21",
)
TEST_CROP: Mapping[str, object] = {"crop": 0.9}
S_JEPA_RECIPE = Recipe(
    "S-JEPA (ECCV 2024): MAMP's evaluations on a centre crop of 0.9",
    evaluations={"linear": TEST_CROP, "finetune": TEST_CROP, "semi": TEST_CROP},
)
QUICK_MOMENTUM = 0.995
"""In some 4,000 steps the teacher forgets its start as often as in the paper's 190,000 with 0.9999."""


class SJepaConfig(MaskedConfig):
    """Settings of S-JEPA. The defaults are the paper's, but for those that it does not state (named in the module).

    Args:
        decoder_depth: Number of blocks of the predictor. Default: 5.
        mask_tau: Temperature of the motion-aware mask; not stated. Default: 0.8.
        epochs: Epochs. Default: 1200.
        batch_size: Clips a batch. Default: 256.
        momentum: Momentum of the teacher before the first step; it rises to 1 on half a cosine. Default: 0.9999.
        predictor_temperature: Temperature of the prediction's softmax. Default: 0.1.
        teacher_temperature: Temperature of the target's softmax. Default: 0.06.
        centre_momentum: Momentum of the centre of the targets. Default: 0.9.
        view_shift: Largest shift of the encoder's view along each axis, in metres; not stated. Default: 0.
        view_flip: Probability that the encoder's view is mirrored; not stated. Default: 0.
    """

    decoder_depth: int = Field(5, ge=1)
    mask_tau: float = Field(0.80, gt=0, description="temperature of the motion-aware mask")
    epochs: int = Field(1200, ge=1)
    batch_size: int = Field(256, ge=2)
    momentum: float = Field(0.9999, ge=0, le=1, description="of the teacher before the first step; rises to 1")
    predictor_temperature: float = Field(0.1, gt=0)
    teacher_temperature: float = Field(0.06, gt=0)
    centre_momentum: float = Field(0.9, ge=0, le=1)
    view_shift: float = Field(0.0, ge=0, description="largest shift of the encoder's view, in metres")
    view_flip: float = Field(0.0, ge=0, le=1, description="probability that the encoder's view is mirrored")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` or `quick` (the sizes of `mamp`'s)."""
        tau = stage1_preset("paper", dataset)["mask_tau"]
        quick: dict[str, Any] = QUICK_STAGE1 | {"momentum": QUICK_MOMENTUM}
        return cls(mask_tau=tau, **(quick if name == "quick" else {}))


class LatentPrediction(MaskedPrediction):
    """An encoder, a predictor, a momentum teacher, and the loss between them.

    Args:
        encoder: The encoder to train, freshly initialised.
        config: Settings.
        steps: Number of steps of the training, at whose end the teacher stands still. Default: 1.
        planar: As in `MaskedPrediction`. Default: False.

    Attributes:
        centre: (D,) running mean of the targets.
        seen: (D,) mean of the targets of the last batch, which the centre has not followed yet.
    """

    centre: Tensor
    seen: Tensor

    def __init__(self, encoder: SkeletonEncoder, config: SJepaConfig, steps: int = 1, planar: bool = False) -> None:
        depth, ratio, tau = config.decoder_depth, config.mask_ratio, config.mask_tau
        super().__init__(encoder, depth, ratio, tau, predicted=encoder.dim, planar=planar)
        self.teacher = MomentumTeacher(encoder, cosine_momentum(config.momentum, steps))
        self.temperatures = config.predictor_temperature, config.teacher_temperature
        self.centre_momentum = config.centre_momentum
        self.register_buffer("centre", torch.zeros(encoder.dim))
        self.register_buffer("seen", torch.zeros(encoder.dim))

    def encode(self, view: Tensor, clip: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Return each clip's loss, then the mean of its targets: (B, 1 + D).

        Args:
            view: (B, 3, T, V, M), what the encoder sees the visible tokens of.
            clip: (B, 3, T, V, M), what the teacher sees.
            uniform: (B * M, tokens), draws from [0, 1) of the mask. Default: None, drawn here.
        """
        prediction, hidden = self.predict(bodies_of(view), uniform)
        with torch.no_grad():
            tokens = cast(SkeletonEncoder, self.teacher.module).tokens(clip)
            target = take(tokens.flatten(2, 3).flatten(0, 1), hidden).float()
        losses = self.cross_entropy(prediction.float(), target)
        by_clip = target.view(len(view), -1, target.shape[-1])
        return torch.cat([losses.view(len(view), -1).mean(1, keepdim=True), by_clip.mean(1)], 1)

    def cross_entropy(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Return the cross entropy (...,) of predictions (..., D) with centred targets (..., D), over the channels."""
        predicted_at, taught_at = self.temperatures
        wanted = ((target - self.centre) / taught_at).softmax(-1)
        return -(wanted * (prediction / predicted_at).log_softmax(-1)).sum(-1)

    def loss(self, encoded: Tensor, rows: Tensor) -> Tensor:  # noqa: ARG002 - as SplitStep calls it
        """Return the loss of a whole batch (B, 1 + D), and keep the mean of its targets for the centre."""
        self.seen.copy_(encoded[:, 1:].detach().mean(0))
        return encoded[:, 0].mean()

    @torch.no_grad()
    def after_step(self, step: int) -> None:
        """Move the teacher towards the encoder, and the centre towards the targets of the step."""
        self.teacher.update(self.encoder, step)
        self.centre.lerp_(self.seen, 1 - self.centre_momentum)


def view_of(clip: Tensor, config: SJepaConfig, mirrored: Tensor | None, planar: bool) -> Tensor:
    """Turn, shift and mirror clips (B, 3, T, V, M) at random: what the encoder sees.

    Args:
        clip: The clips.
        config: `max_angle`, `view_shift` and `view_flip`.
        mirrored: (V,) int64 joint that takes the place of each joint in a mirror; None: nothing is mirrored.
        planar: Whether the last channel is a score, which nothing moves.
    """
    angles = (2 * random.rand(len(clip), 3, device=clip.device) - 1) * config.max_angle
    view = rotate(clip, in_plane(angles, planar))
    if config.view_shift:
        shift = (2 * random.rand(len(clip), 3, device=clip.device) - 1) * config.view_shift
        if planar:
            shift = shift * shift.new_tensor([1, 1, 0])
        there = present_bodies(clip) & (clip != 0).flatten(1, 3).any(1)  # an absent body stays where it is
        view = view + shift[:, :, None, None, None] * there[:, None, None, None, :]
    if mirrored is not None:
        flips = random.rand(len(clip), device=clip.device) < config.view_flip
        view = mirror(view, mirrored, flips)
    return view


class SJepa:
    """Predict the hidden tokens' representations, as a momentum teacher sees them. From the paper's text."""

    name: ClassVar[str] = "s-jepa"
    Config: ClassVar[type[BaseModel]] = SJepaConfig
    citations: ClassVar[tuple[Citation, ...]] = (S_JEPA,)
    recipe: ClassVar[Recipe] = S_JEPA_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub: 1,200 epochs of what mamp does with its larger decoder, and one pass of the whole encoder "
            "over all tokens of each clip.",
            (TrainingTime(91, "an RTX 4090", "reported by others"),),
        ),
        "quick": Cost("About twice mamp's under quick."),
    }

    def fit(self, clips: TrainingClips, run: Run[SJepaConfig]) -> SkeletonEncoder:
        """Train on the training part without labels; return the teacher, which the paper evaluates.

        Raises:
            UsageError: Views are to be mirrored, and the dataset's joints are not named in pairs of left and right.
        """
        config = run.config
        mirrored = torch.tensor(mirrored_joints(clips.skeleton), device=run.device) if config.view_flip else None
        planar = clips.skeleton.planar
        steps = config.epochs * (len(clips) // config.batch_size)
        model = LatentPrediction(self.build(config, clips.num_joints), config, steps, planar).to(run.device)

        def encode(rows: Tensor) -> Tensor:
            clip = clips.cropped(rows, config.frames, max_angle=0.0)
            return model.encode(view_of(clip, config, mirrored, planar), clip)

        step = SplitStep(encode, model.loss)
        settings = config.model_dump()
        run.train(masked_stage(model, step, len(clips), config, settings, "s-jepa", model.after_step))
        return cast(SkeletonEncoder, model.teacher.module).requires_grad_(True)

    def build(self, config: SJepaConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
