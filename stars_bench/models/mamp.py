"""MAMP (arXiv:2308.07092; github maoyunyao/MAMP): stage 1 of STARS, masked prediction of motion.

A random crop, turned at random, loses 90 % of its tokens, more often where it moves; the encoder sees the rest and a
small decoder predicts the motion inside the hidden tokens. As a method of its own: stage 1 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Protocol, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips, TrainingTime
from stars_bench.data import random
from stars_bench.errors import UsageError
from stars_bench.models.layers.encoder import (
    SEGMENT,
    Block,
    SkeletonEncoder,
    bodies_of,
    initialise,
    patchify,
    present_bodies,
)
from stars_bench.storage.pictures import SCORE
from stars_bench.training.loop import Stage
from stars_bench.training.numerics.compile import step_graph
from stars_bench.training.optim import decay_matrices_only, warmup_cosine
from stars_bench.training.step import SplitStep

MAMP = Citation(
    "mao2023mamp",
    "Masked Motion Predictors are Strong 3D Action Representation Learners",
    authors="Mao, Yunyao and Deng, Jiajun and Zhou, Wengang and Fang, Yao and Ouyang, Wanli and Li, Houqiang",
    venue="ICCV",
    year=2023,
    arxiv="2308.07092",
)
MAMP_RECIPE = Recipe("MAMP (arXiv:2308.07092; github maoyunyao/MAMP)")
"""The common recipe: nothing in it is otherwise."""

LARGE_DATASETS = ("ntu120", "pku1", "pku2")
"""Datasets on which the official configurations use a decoder of 5 blocks instead of 3."""


class EncoderConfig(BaseModel):
    """Size of the encoder. The defaults are those of the papers.

    Args:
        frames: T, the frames of a clip; a multiple of 4. Default: 120.
        dim: D, the width of the tokens and features. Default: 256.
        depth: Number of blocks. Default: 8.
        heads: Attention heads of a block. Default: 8.
        mlp_ratio: Hidden width of the blocks' MLPs as a multiple of D. Default: 4.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    frames: int = Field(120, ge=SEGMENT, multiple_of=SEGMENT)
    dim: int = Field(256, ge=8)
    depth: int = Field(8, ge=1)
    heads: int = Field(8, ge=1)
    mlp_ratio: float = Field(4.0, gt=0)

    @model_validator(mode="after")
    def _heads_divide_dim(self) -> Self:
        if self.dim % self.heads:
            raise ValueError(f"heads must divide dim ({self.dim})")
        return self

    def build(self, joints: int) -> SkeletonEncoder:
        """Return a freshly initialised encoder for skeletons of `joints` joints."""
        return SkeletonEncoder(self.frames, joints, self.dim, self.depth, self.heads, self.mlp_ratio)


class MaskedConfig(EncoderConfig):
    """Settings of masked prediction, for any target. The defaults are the official ones of MAMP for NTU-60.

    Args:
        decoder_depth: Number of blocks of the decoder. Default: 3.
        mask_ratio: Share of the tokens that is hidden. Default: 0.9.
        max_angle: Largest rotation about each axis, in radians. Default: 0.3.
        epochs: Epochs. Default: 400.
        warmup_epochs: Epochs in which the learning rate rises from 0. Default: 20.
        batch_size: Clips a batch. Default: 128.
        lr: Largest learning rate. Default: 1e-3.
        min_lr: Learning rate at the end of the cosine. Default: 5e-4.
        weight_decay: Weight decay of AdamW. Default: 0.05.
    """

    decoder_depth: int = Field(3, ge=1)
    mask_ratio: float = Field(0.9, gt=0, lt=1)
    max_angle: float = Field(0.3, ge=0, description="largest rotation about each axis, in radians")
    epochs: int = Field(400, ge=1)
    warmup_epochs: float = Field(20, ge=0)
    batch_size: int = Field(128, ge=2)
    lr: float = Field(1e-3, gt=0)
    min_lr: float = Field(5e-4, ge=0)
    weight_decay: float = Field(0.05, ge=0)


class MampConfig(MaskedConfig):
    """Settings of stage 1. The defaults are the official ones for NTU-60; `preset` knows the other datasets.

    Args:
        mask_tau: Temperature of the motion-aware mask. Default: 0.8.
        skip_absent: Whether stage 1 leaves absent bodies out. Default: False, as published.
    """

    mask_tau: float = Field(0.80, gt=0, description="temperature of the motion-aware mask")
    skip_absent: bool = Field(False, description="leave absent bodies out of stage 1; published: they are in")
    presets: ClassVar[tuple[str, ...]] = ("paper", "paper-one-body", "quick")

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset for the dataset: `paper`, `paper-one-body` or `quick`."""
        return cls(**stage1_preset(name, dataset))


def stage1_preset(name: str, dataset: str) -> dict[str, Any]:
    """Return the settings of stage 1 under a preset, as keyword arguments."""
    paper: dict[str, Any] = {
        "mask_tau": 0.75 if dataset == "ntu120" else 0.80,
        "decoder_depth": 5 if dataset in LARGE_DATASETS else 3,
    }
    if name == "paper-one-body":
        return paper | {"skip_absent": True}
    return paper | QUICK_STAGE1 if name == "quick" else paper


QUICK_STAGE1: dict[str, Any] = {
    "frames": 32,
    "dim": 64,
    "depth": 4,
    "heads": 4,
    "decoder_depth": 1,
    "epochs": 100,
    "warmup_epochs": 10,
    "batch_size": 16,
}
"""Minutes on two CPU cores for some 300 clips. Chosen on held-out training scenes: docs/first-results.md."""


def motion_of(x: Tensor) -> Tensor:
    """Return the motion m[t] = x[t+1] - x[t] of x (B, T, V, 3), of the same shape; the last frame's is 0."""
    return torch.cat([x[:, 1:] - x[:, :-1], torch.zeros_like(x[:, :1])], dim=1)


def motion_aware_scores(patches: Tensor, uniform: Tensor, tau: float) -> Tensor:
    """Return scores (B, S * V) of the motion-aware mask; the tokens with high scores are hidden.

    Tokens that move much get high scores more often.

    Args:
        patches: (B, S, V, P), the joints: P = 12, or 8 without scores.
        uniform: (B, S * V), draws from [0, 1).
        tau: Temperature; a smaller one follows the motion more closely.
    """
    change = (patches[:, 1:] - patches[:, :-1]).abs().mean(-1)
    intensity = torch.cat([change[:, :1], change], dim=1).flatten(1)
    probability = (intensity / (intensity.amax(1, keepdim=True) * tau + 1e-10)).softmax(1)
    return probability.log() - (-(uniform + 1e-10).log() + 1e-10).log()


def choose(scores: Tensor, ratio: float) -> tuple[Tensor, Tensor]:
    """Return the numbers of the visible and of the hidden tokens by scores (B, L); the lowest stay visible.

    int(L * (1 - ratio)) tokens stay visible: in floating point 74 of 750 at 0.9, as published.
    """
    order = scores.argsort(1)
    visible = int(scores.shape[1] * (1 - ratio))
    return order[:, :visible], order[:, visible:]


def take(tokens: Tensor, numbers: Tensor) -> Tensor:
    """Take tokens (B, K, D) by their numbers (B, K) out of (B, L, D)."""
    return tokens.gather(1, numbers.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def normalised_patches(patches: Tensor) -> Tensor:
    """Normalise each patch by its own mean and (unbiased) variance."""
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


class MaskedPrediction(nn.Module):
    """The encoder, the decoder and the loss of stage 1.

    Args:
        encoder: The encoder to train.
        decoder_depth: Number of blocks of the decoder.
        mask_ratio: Share of the tokens that is hidden.
        mask_tau: Temperature of the motion-aware mask. Default: 0.8.
        target: "motion" (MAMP) or "joints" (MAE, with a plain random mask, which has no temperature). Default:
            "motion".
        skip_absent: Whether the loss leaves absent bodies out. Default: False.
        predicted: Numbers that are predicted for a hidden token. Default: None, its joints: 12, or 8 without scores.
        planar: Whether the last channel is a score, which has no motion: the encoder sees it, but neither the mask nor
            the target does. Default: False.
    """

    def __init__(
        self,
        encoder: SkeletonEncoder,
        decoder_depth: int,
        mask_ratio: float,
        mask_tau: float = 0.80,
        target: str = "motion",
        skip_absent: bool = False,
        predicted: int | None = None,
        planar: bool = False,
    ) -> None:
        super().__init__()
        dim, heads = encoder.dim, cast(Block, encoder.blocks[0]).attn.heads
        mlp_ratio = cast(Block, encoder.blocks[0]).mlp.fc1.out_features / dim
        self.mask_ratio, self.mask_tau, self.target, self.skip_absent = mask_ratio, mask_tau, target, skip_absent
        self.places = SCORE if planar else 3
        self.mask_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.decoder_embed = nn.Linear(dim, dim)
        self.decoder_temp_embed = nn.Parameter(torch.zeros_like(encoder.temp_embed))
        self.decoder_pos_embed = nn.Parameter(torch.zeros_like(encoder.pos_embed))
        self.decoder_blocks = nn.ModuleList(Block(dim, heads, mlp_ratio) for _ in range(decoder_depth))
        self.decoder_norm = nn.LayerNorm(dim)
        self.decoder_pred = nn.Linear(dim, SEGMENT * self.places if predicted is None else predicted)
        initialise(self)
        self.encoder = encoder  # after initialise: it has initialised itself

    def forward(self, x: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Return the loss of clips (B, 3, T, V, M); `uniform` (B * M, tokens) replaces the random draws of the mask."""
        return self.clip_losses(x, uniform).mean()

    def clip_losses(self, x: Tensor, uniform: Tensor | None = None) -> Tensor:
        """Return the loss of each clip (B,): the mean over its hidden tokens, which are equally many in every clip."""
        if self.skip_absent:
            return self._losses_of_present(x, uniform)
        joints = bodies_of(x)
        return self._body_losses(joints, uniform).view(len(x), -1).mean(1)

    def _losses_of_present(self, x: Tensor, uniform: Tensor | None) -> Tensor:
        """Return losses (B,) over the bodies that are present; a clip without any keeps its first."""
        joints = bodies_of(x)
        if uniform is None:
            uniform = random.rand(len(joints), self.encoder.temp_embed.shape[1] * x.shape[3], device=x.device)
        present = present_bodies(x)
        losses = joints.new_zeros(len(joints))
        losses[present.flatten()] = self._body_losses(joints[present.flatten()], uniform[present.flatten()]).to(losses)
        return losses.view_as(present).sum(1) / present.sum(1)

    def _body_losses(self, joints: Tensor, uniform: Tensor | None) -> Tensor:
        """Return the loss of each body (K,) of bodies (K, T, V, 3): the mean over its hidden tokens."""
        prediction, hidden = self.predict(joints, uniform)
        places = joints[..., : self.places]
        target = normalised_patches(patchify(motion_of(places) if self.target == "motion" else places)).flatten(1, 2)
        return (prediction - take(target, hidden)).square().mean((1, 2))

    def predict(self, bodies: Tensor, uniform: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return predictions (K, H, P) at the hidden tokens of bodies (K, T, V, 3), and their numbers (K, H).

        The result is as published, with less work. Attention does not depend on the order of tokens, so the visible
        ones stand first and nothing is put back. In front of the first block a hidden token is the same in every body,
        so its query, key and value are computed once. The last block computes hidden tokens only.
        """
        visible, hidden = self.choose(bodies, uniform)
        positions = (self.decoder_temp_embed + self.decoder_pos_embed).flatten(0, 2)
        encoded = self.decoder_embed(self.encoder.blocks_from(take(self.encoder.embed(bodies), visible)))
        seen, unseen = encoded + F.embedding(visible, positions), self.mask_token[0] + positions
        first, *middle = [cast(Block, block) for block in self.decoder_blocks]
        shared = F.embedding(hidden, first.attn.qkv(first.norm1(unseen)))
        q, k, v = torch.cat([first.attn.qkv(first.norm1(seen)), shared], 1).chunk(3, -1)
        x, left_out = torch.cat([seen, F.embedding(hidden, unseen)], 1), 0 if middle else visible.shape[1]
        x = first.after_attention(x[:, left_out:], first.attn.attend(q[:, left_out:], k, v))
        for block in middle:
            x = block(x, visible.shape[1] if block is middle[-1] else 0)
        return self.decoder_pred(self.decoder_norm(x)), hidden

    def choose(self, bodies: Tensor, uniform: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the numbers of the visible and of the hidden tokens of bodies (K, T, V, 3)."""
        patches = patchify(bodies[..., : self.places])
        if uniform is None:
            uniform = random.rand(len(bodies), patches.shape[1] * patches.shape[2], device=bodies.device)
        moving = self.target == "motion"
        return choose(motion_aware_scores(patches, uniform, self.mask_tau) if moving else uniform, self.mask_ratio)


def pretrain(clips: TrainingClips, run: Run[BaseModel], config: MampConfig) -> SkeletonEncoder:
    """Run stage 1 on the training part; return the encoder after the last epoch."""
    encoder = config.build(clips.num_joints)
    model = MaskedPrediction(
        encoder,
        config.decoder_depth,
        config.mask_ratio,
        config.mask_tau,
        skip_absent=config.skip_absent,
        planar=clips.skeleton.planar,
    )
    return train_masked(clips, run, model, config, MampConfig)


class _Named(Protocol):
    name: ClassVar[str]


def first_stage(method: _Named, clips: TrainingClips, run: Run[MampConfig]) -> SkeletonEncoder:
    """Run stage 1 on the training part; where `run.start` is given, return a copy of it instead.

    Raises:
        UsageError: The encoder to start from does not have the size that the config states.
    """
    config, start = run.config, cast(SkeletonEncoder | None, run.start)
    if start is None:
        return pretrain(clips, run, config)
    if start.size != config.build(clips.num_joints).size:
        size = " ".join(f"--set {name}={value}" for name, value in start.size.items())
        raise UsageError(f"{method.name}: the encoder to start from is of another size than asked for; say {size}")
    return deepcopy(start)


def train_masked(
    clips: TrainingClips, run: Run[BaseModel], model: MaskedPrediction, config: MaskedConfig, fields: type[BaseModel]
) -> SkeletonEncoder:
    """Train a masked prediction on random crops.

    Args:
        clips: The training part.
        run: Device, seed and stages.
        model: Encoder, decoder and loss.
        config: Epochs, rates and batch size.
        fields: The config class whose fields decide what is computed (those of later stages do not).

    Returns:
        The encoder after the last epoch.
    """
    model.to(run.device)

    def losses(rows: Tensor) -> Tensor:
        return cropped_losses(model, clips, rows, config.frames, config.max_angle)

    settings = config.model_dump(include=set(fields.model_fields)) | {"target": model.target}
    run.train(masked_stage(model, SplitStep(losses), len(clips), config, settings))
    return model.encoder


@step_graph
def cropped_losses(
    model: MaskedPrediction, clips: TrainingClips, rows: Tensor, frames: int, max_angle: float
) -> Tensor:
    """Return the losses (B,) of random crops of clips by their rows (B,): all that a step draws and computes."""
    return model.clip_losses(clips.cropped(rows, frames, max_angle))


def masked_stage(
    module: nn.Module,
    step: SplitStep,
    samples: int,
    settings: MaskedConfig,
    config: Mapping[str, Any],
    name: str = "stage1",
    after_step: Callable[[int], None] | None = None,
) -> Stage:
    """Make the stage that trains `module` with MAMP's optimiser and schedule.

    Args:
        module: Everything that learns.
        step: The step of the stage.
        samples: Number of training clips.
        settings: Epochs, rates and batch size.
        config: Everything that decides the outcome, for the stage's key.
        name: Name of the stage. Default: "stage1".
        after_step: What follows the parameters, as in `Stage`. Default: None.
    """
    groups = decay_matrices_only(module.named_parameters(), settings.weight_decay)
    return Stage(
        name=name,
        config=config,
        module=module,
        optimizer=torch.optim.AdamW(groups, lr=settings.lr, betas=(0.9, 0.95), fused=True),
        step=step,
        samples=samples,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        lr_factor=warmup_cosine(settings.epochs, settings.warmup_epochs, settings.min_lr / settings.lr),
        after_step=after_step,
    )


class Mamp:
    """Pre-train by masked motion prediction: stage 1 of STARS alone."""

    name: ClassVar[str] = "mamp"
    Config: ClassVar[type[BaseModel]] = MampConfig
    citations: ClassVar[tuple[Citation, ...]] = (MAMP,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "NTU-60 x-sub, 40,091 clips: 400 epochs, 37.6 GFLOP a clip and step (58.6 with the decoder of "
            "NTU-120 and PKU-MMD), 6.0e17 FLOP in all.",
            (
                TrainingTime(20.5, "an RTX 4090", "reported of the official code"),
                TrainingTime(29.9, "an L20", "reported of the official code"),
                TrainingTime(0.6, "an H100", "computed for 35 % of the speed of its bf16 products, not measured"),
            ),
        ),
        "paper-one-body": Cost(
            "Bodies that are absent are left out of stage 1, which the published method keeps in: where 24 % of "
            "the clips show two bodies, 62 % of the work. Not the paper's numbers."
        ),
        "quick": Cost("Minutes on two CPU cores for some 300 clips."),
    }
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[MampConfig]) -> SkeletonEncoder:
        """Pre-train on the training part without labels."""
        return pretrain(clips, run, run.config)

    def build(self, config: MampConfig, num_joints: int) -> SkeletonEncoder:
        """Return the encoder without its weights, for a checkpoint."""
        return config.build(num_joints)
