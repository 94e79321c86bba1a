"""STARS+flip: the ablation of STARS (arXiv:2407.10935) with augmentation, each of two views mirrored at random.

Which augmentation the paper's ablation used is not published with its settings; the official program (github
TaatiTeam/STARS, feeder) has this one: with probability 1/2 a view is mirrored, x negated, left and right joints
changed. All else is as in stage 2, where two views are one. The neighbour of each view must be predicted by the other;
in the official program the second view's prediction carries no gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import Tensor

from stars_bench.api import Citation, Cost, Recipe, Run, TrainingClips
from stars_bench.data import random
from stars_bench.models.layers.augment import mirror
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import OFFICIAL_GRADIENT_SCALE, NeighbourTuning, TuningConfig
from stars_bench.models.layers.skeleton_graph import mirrored_joints
from stars_bench.models.layers.tuning import tune_stages
from stars_bench.models.mamp import MAMP_RECIPE, first_stage
from stars_bench.models.stars import STARS, Stars, StarsConfig
from stars_bench.training.step import SplitStep

PROBABILITY = 0.5
"""Of mirroring a view."""


class FlipTuning(NeighbourTuning):
    """Stage 2 on two views of every clip.

    Args:
        encoder: The pre-trained encoder.
        mirrored: (V,) the joint that takes the place of each joint in a mirror.
        config: Settings of stage 2.
        share: Share of the blocks, from the last, that is tuned. Default: 0.5.
    """

    mirrored: Tensor

    def __init__(
        self, encoder: SkeletonEncoder, mirrored: Sequence[int], config: TuningConfig, share: float = 0.5
    ) -> None:
        sizes = config.queue_size, config.temperature, config.predictor_hidden
        super().__init__(encoder, *sizes, share=share)
        self.register_buffer("mirrored", torch.tensor(mirrored), persistent=False)

    def forward(self, x: Tensor, ids: Tensor) -> Tensor:
        """Return the loss of clips (B, 3, T, V, M) with dataset indices (B,); each view is mirrored at random."""
        return self.loss(self.views(x), ids)

    def views(self, x: Tensor) -> Tensor:
        """Return features (B, 2, D) of two views of clips (B, 3, T, V, M); the second view's have no gradient."""
        flipped = (random.rand(len(x), 2, device=x.device) < PROBABILITY).unbind(1)
        first = self.encoder.features(mirror(x, self.mirrored, flipped[0]), self.frozen)
        with torch.no_grad():
            second = self.encoder.features(mirror(x, self.mirrored, flipped[1]), self.frozen)
        return torch.stack([first, second], 1)

    def loss(self, features: Tensor, ids: Tensor) -> Tensor:
        """Return the mean of both views' losses; then enqueue the first view's z.

        Only the first loss has a gradient, so the mean has half of it. The official program back-propagates the same
        half in stage 2.
        """
        first, second = features.to(self.queue.vectors.dtype).unbind(1)
        with torch.autocast(features.device.type, enabled=False):
            z_first, p_first = self.head(first)
            with torch.no_grad():
                z_second, p_second = self.head(second)
            first_loss = self.neighbour_loss(self.queue.nearest(z_second, ids), p_first)
            second_loss = self.neighbour_loss(self.queue.nearest(z_first.detach(), ids), p_second)
            self.queue.enqueue(z_first.detach(), ids)
        return first_loss + (second_loss - first_loss).detach() / 2


class StarsFlipConfig(StarsConfig):
    """Settings of `stars`."""


class StarsFlip(Stars):
    """Train as STARS, with two views of every clip in the tuning, each mirrored at random."""

    name: ClassVar[str] = "stars+flip"
    Config: ClassVar[type[BaseModel]] = StarsFlipConfig
    citations: ClassVar[tuple[Citation, ...]] = (STARS,)
    recipe: ClassVar[Recipe] = MAMP_RECIPE
    costs: ClassVar[Mapping[str, Cost]] = {
        "paper": Cost(
            "Stage 1 of mamp, and twice the stage 2 of stars, computed: nothing of the frozen half can be kept, "
            "as views differ in every step, and both go through the whole encoder. NTU-60 x-sub: 42.2 GFLOP in "
            "every epoch for each of 50,000 distinct bodies (7.0 a half and pass: four forward, two back), "
            "4.2e16 FLOP."
        ),
        "paper-10-epochs": Cost("Half of the tuning of paper."),
        "paper-one-body": Cost("As paper, with the one-body stage 1 of mamp."),
        "quick": Cost("As stars."),
    }
    official_checkpoints: ClassVar[tuple[str, ...]] = ("mamp",)

    def fit(self, clips: TrainingClips, run: Run[StarsConfig]) -> SkeletonEncoder:
        """Train as `Stars.fit` does.

        Raises:
            UsageError: The dataset's joints are not named in pairs of left and right.
        """
        config = run.config
        mirrored = mirrored_joints(clips.skeleton)
        model = FlipTuning(first_stage(self, clips, run), mirrored, config, config.tune_share).to(run.device)

        step = SplitStep(
            lambda rows: model.views(clips.whole(rows, config.frames)),
            lambda features, rows: model.loss(features, clips.ids[rows]),
        )
        return tune_stages(
            clips, run, model, lambda _: step, config, TuningConfig, gradient_scale=OFFICIAL_GRADIENT_SCALE
        )
