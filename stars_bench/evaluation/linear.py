"""Linear probe: BatchNorm (not affine) and a linear layer on features of the frozen encoder, as in MAMP and STARS.

Training clips are cropped and turned at random as in stage 1, test clips are centre crops of 0.95. The last epoch is
the result; the best test accuracy over the epochs, which the official programs print, is kept under its own name.
Other papers probe otherwise (CrosSCLR: no BatchNorm, no augmentation, a rate that falls in steps): their settings are
part of their methods' recipes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.evaluation.subject import Subject
from stars_bench.records.outcome import Outcome
from stars_bench.training.loop import Stage
from stars_bench.training.optim import step_decay, warmup_cosine
from stars_bench.training.step import SplitStep


class LinearConfig(BaseModel):
    """Settings of the linear probe. The defaults are the official ones for NTU; `preset` knows PKU-MMD.

    Args:
        epochs: Epochs. Default: 100.
        batch_size: Clips a batch. Default: 256.
        lr: Learning rate at the start. Default: 0.1.
        momentum: Momentum of SGD. Default: 0.9.
        milestones: Epochs from which the learning rate is a tenth of what it was. Default: none, half a cosine to 0.
        augment: Whether training clips are cropped and rotated at random. Without, all clips are the same centre crop
            in every epoch. Default: True.
        max_angle: Largest rotation of a training clip about each axis, in radians. Default: 0.3.
        crop: Share of the frames that a centre crop keeps. Default: 0.95.
        batch_norm: Whether features are normalised by BatchNorm first. Default: True.
        init_std: Standard deviation of the weights at the start. Default: 0.01.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(100, ge=1)
    batch_size: int = Field(256, ge=2)
    lr: float = Field(0.1, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    milestones: tuple[int, ...] = ()
    augment: bool = True
    max_angle: float = Field(0.3, ge=0)
    crop: float = Field(0.95, gt=0, le=1)
    batch_norm: bool = True
    init_std: float = Field(0.01, gt=0)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:
        """Return a preset: `paper` (the official settings for the dataset) or `quick` (fewer epochs, small batches)."""
        by_dataset: dict[str, dict[str, Any]] = {"pku1": {"batch_size": 128}, "pku2": {"batch_size": 32, "lr": 0.01}}
        return cls(**QUICK) if name == "quick" else cls(**by_dataset.get(dataset, {}))


QUICK: dict[str, Any] = {"epochs": 15, "batch_size": 32}


class LinearHead(nn.Sequential):
    """BatchNorm1d without affine parameters (eps 1e-6), or nothing, then Linear with weights N(0, init_std)."""

    def __init__(self, dim: int, num_classes: int, batch_norm: bool = True, init_std: float = 0.01) -> None:
        fc = nn.Linear(dim, num_classes)
        nn.init.trunc_normal_(fc.weight, std=init_std)
        nn.init.zeros_(fc.bias)
        super().__init__(nn.BatchNorm1d(dim, affine=False, eps=1e-6) if batch_norm else nn.Identity(), fc)


class Probe(nn.Module):
    """The head and what it said of the test clips: `by_epoch` (E, N). Scores are not kept: checkpoints would grow."""

    by_epoch: Tensor

    def __init__(
        self,
        dim: int,
        num_classes: int,
        test_clips: int,
        epochs: int,
        batch_norm: bool = True,
        init_std: float = 0.01,
    ) -> None:
        super().__init__()
        self.head = LinearHead(dim, num_classes, batch_norm, init_std)
        self.register_buffer("by_epoch", torch.zeros(epochs, test_clips, dtype=torch.int16))

    @torch.no_grad()
    def logits(self, features: Tensor) -> Tensor:
        """Return logits (N, classes) of features (N, D), in evaluation mode."""
        self.head.eval()
        return cast(Tensor, self.head(features))

    def look(self, features: Tensor, epoch: int) -> None:
        """Keep predictions for test features (N, D) after `epoch` epochs; no label is involved."""
        self.by_epoch[epoch - 1] = self.logits(features).argmax(1).to(torch.int16)


def probe_stage(
    probe: Probe,
    encode: Callable[[Tensor], Tensor],
    labels: Tensor,
    config: LinearConfig,
    encoder_key: str,
    test_features: Tensor,
    looked_at: Tensor | None = None,
) -> Stage:
    """Return the stage that trains a probe, which looks at the test features after every epoch.

    Args:
        probe: What is trained.
        encode: From row numbers (B,) to features (B, D), without gradient.
        labels: (N,) int64.
        config: Settings of the evaluation.
        encoder_key: Names the encoder, for the stage's key.
        test_features: (T, D).
        looked_at: (L, D) features of the clips that choose the epoch. The test features are then not looked at.
            Default: None, the last epoch is the result.
    """

    def loss(features: Tensor, rows: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):  # as `look` has it
            return F.cross_entropy(probe.head(features), labels[rows])

    return Stage(
        name="linear",
        config=config.model_dump() | {"encoder": encoder_key},
        module=probe,
        optimizer=torch.optim.SGD(probe.parameters(), lr=config.lr, momentum=config.momentum),
        step=SplitStep(encode, loss),
        samples=len(labels),
        epochs=config.epochs,
        batch_size=config.batch_size,
        lr_factor=step_decay(config.milestones) if config.milestones else warmup_cosine(config.epochs, 0, 0),
        after_epoch=None if looked_at is not None else lambda epoch: probe.look(test_features, epoch),
        classify=None if looked_at is None else lambda: probe.logits(looked_at),
    )


class Linear:
    """A linear classifier on the frozen encoder's features."""

    name: ClassVar[str] = "linear"
    Config: ClassVar[type[BaseModel]] = LinearConfig
    source: ClassVar[str] = "MAMP (arXiv:2308.07092) and its official program"
    selects: ClassVar[tuple[str, ...]] = ("validation", "best-on-test")

    def run(self, subject: Subject[LinearConfig]) -> list[Outcome]:
        """Train the probe on the training part; one outcome, with the predictions after every epoch.

        Where the epoch is chosen, the outcome has that epoch's predictions alone.
        """
        config, run, encoder = subject.run.config, subject.run, subject.encoder
        frames, dim = subject.frames, subject.dim
        test_features = subject.features("test", config.crop)
        kept = None if config.augment else subject.features("train", config.crop)
        start = (config.batch_norm, config.init_std)
        looked_at = None if subject.looked_at is None else subject.features(subject.looked_at, config.crop)
        looks = config.epochs if looked_at is None else 0
        probe = Probe(dim, subject.num_classes, len(subject.test), looks, *start).to(run.device)
        encoder.eval()

        @torch.no_grad()
        def encode(rows: Tensor) -> Tensor:
            if kept is not None:
                return kept[rows]
            return cast(Tensor, encoder(subject.train.cropped(rows, frames, config.max_angle)).float())

        run.train(probe_stage(probe, encode, subject.train.labels, config, subject.key, test_features, looked_at))
        scores = probe.logits(test_features).cpu().numpy()
        return [
            Outcome(
                settings={},
                predictions=scores.argmax(1),
                scores=scores,
                by_epoch=probe.by_epoch.cpu().numpy() if looks else None,
                stages=tuple(run.stages),
            )
        ]
