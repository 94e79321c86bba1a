"""Fine-tuning: the encoder and a new head trained together on the labelled clips, as in MAMP (arXiv:2308.07092).

Training clips are cropped and turned at random as in stage 1, test clips are centre crops of 0.95. The last epoch is
the result; the best test accuracy over the epochs, which the official program prints, is kept under its own name. The
encoder that is given stays as it was: a copy is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipPart
from stars_bench.evaluation.subject import Subject, extract
from stars_bench.models.layers.supervision import QUICK_SUPERVISION, ActionHead, SupervisionConfig, supervised_stage
from stars_bench.records.outcome import Outcome
from stars_bench.training.loop import seed_step
from stars_bench.training.stages import StageRun

OPTIONAL = ("tokens", "layer_of", "set_drop_path")
"""Parts of an encoder that fine-tuning uses where they are there."""


class FinetuneConfig(SupervisionConfig):
    """Settings of fine-tuning. The defaults are the official ones, on every dataset.

    Args:
        crop: Share of the frames that the centre crop of test clips keeps. Default: 0.95.
        test_every: Epochs between two predictions of the test part; the last epoch always predicts. Where the epoch is
            chosen (`--select`), every epoch is looked at. Default: 1.
    """

    crop: float = Field(0.95, gt=0, le=1)
    test_every: int = Field(1, ge=1)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the official settings) or `quick` (few epochs and a small head)."""
        return cls(**QUICK) if name == "quick" else cls()


QUICK: dict[str, Any] = QUICK_SUPERVISION | {"test_every": 4}


class TunedEncoder(nn.Module):
    """An encoder under a new head, and what they say of the test clips: `by_epoch` (E, N), `scores` (N, classes).

    The scores are no part of its state, so that checkpoints do not grow with the test part; None: not computed yet.

    An encoder without `tokens` gets a head on its features (B, D); one without `layer_of` has one learning rate for all
    layers; one without `set_drop_path` has no drop path.
    """

    by_epoch: Tensor
    scores: Tensor | None

    def __init__(
        self,
        encoder: nn.Module,
        settings: FinetuneConfig,
        num_joints: int,
        num_classes: int,
        test_clips: int,
        looks: int | None = None,
    ) -> None:
        super().__init__()
        self.encoder = deepcopy(encoder).requires_grad_(True)
        if hasattr(self.encoder, "set_drop_path"):
            cast(Any, self.encoder).set_drop_path(settings.drop_path)
        self.frames, dim = int(cast(int, encoder.frames)), int(cast(int, encoder.dim))
        width = num_joints * dim if hasattr(encoder, "tokens") else dim
        self.head = ActionHead(width, num_classes, settings.head_hidden, settings.dropout)
        looks = -(-settings.epochs // settings.test_every) if looks is None else looks
        self.register_buffer("by_epoch", torch.zeros(looks, test_clips, dtype=torch.int16))
        self.scores = None

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        return self.head.classify(self.pooled(x))

    def pooled(self, x: Tensor) -> Tensor:
        """Return what the head makes of each clip on its own, (B, width), from clips (B, 3, T, V, M)."""
        encode: Callable[[Tensor], Tensor] = getattr(self.encoder, "tokens", self.encoder)
        return self.head.pool(encode(x))

    def layers(self) -> Callable[[str], int] | None:
        """The function from a parameter's name to its layer, where the head is in the last; None without layers."""
        of_encoder: Callable[[str], int] | None = getattr(self.encoder, "layer_of", None)
        if of_encoder is None:
            return None
        top = max(of_encoder(name) for name, _ in self.encoder.named_parameters())
        return lambda name: of_encoder(name.removeprefix("encoder.")) if name.startswith("encoder.") else top

    def keep(self, scores: Tensor, look: int) -> None:
        """Keep scores (N, classes) and predictions of the test clips, the `look`-th (from 0)."""
        self.scores = scores
        self.by_epoch[look] = scores.argmax(1).to(torch.int16)


def fine_tune(
    name: str,
    subject: Subject[BaseModel],
    clips: ClipPart,
    settings: FinetuneConfig,
    run: StageRun[BaseModel],
    depends_on: dict[str, str],
) -> TunedEncoder:
    """Train a copy of the subject's encoder on labelled clips; predict the test part, without labels, as set.

    Where the epoch is chosen, the clips that choose it are looked at after every epoch, and the test part is predicted
    by the chosen one.

    Args:
        name: Name of the stage.
        subject: Encoder and test part.
        clips: The labelled clips.
        settings: Epochs, rates, batch size and crop.
        run: Runs and keeps the stage.
        depends_on: What decides the outcome beside settings and the run's context.

    Returns:
        The encoder under its head, with the predictions.
    """
    seed_step(run.seed, name, "head")  # the new head depends on the seed and the stage, not on what ran before
    looks = 0 if subject.looked_at else None
    model = TunedEncoder(subject.encoder, settings, clips.num_joints, subject.num_classes, len(subject.test), looks)
    model.to(run.device)

    def pooled(rows: Tensor) -> Tensor:
        return model.pooled(clips.cropped(rows, model.frames, settings.max_angle))

    def look(epoch: int) -> None:
        if epoch % settings.test_every == 0 or epoch == settings.epochs:
            scores = extract(model, subject.test, settings.crop, run.precision)
            model.keep(scores, -(-epoch // settings.test_every) - 1)

    config = settings.model_dump(include=set(FinetuneConfig.model_fields)) | depends_on
    layers, head, chosen_by = model.layers(), model.head.classify, subject.looked_at
    after_epoch = look if chosen_by is None else None
    stage = supervised_stage(name, model, pooled, clips.labels, settings, config, layers, after_epoch, head)
    if chosen_by is not None:
        stage.classify = lambda: extract(model, subject.part(chosen_by), settings.crop, run.precision)
    run.train(stage)
    if chosen_by is not None or model.scores is None:  # None: the stage was there
        model.scores = extract(model, subject.test, settings.crop, run.precision)
    return model


def tuned_outcome(
    model: TunedEncoder,
    run: StageRun[BaseModel],
    settings: Mapping[str, object],
    extra: Mapping[str, np.ndarray] | None = None,
) -> Outcome:
    """Return the outcome of a tuned encoder. `extra` gets `encoder_lacks` where the encoder lacks some of OPTIONAL."""
    assert model.scores is not None  # `fine_tune` has computed them
    scores, by_epoch = model.scores.cpu().numpy(), model.by_epoch.cpu().numpy()
    lacks = [part for part in OPTIONAL if not hasattr(model.encoder, part)]
    return Outcome(
        settings=settings,
        predictions=scores.argmax(1),
        scores=scores,
        by_epoch=by_epoch if len(by_epoch) > 1 else None,
        extra=dict(extra or {}) | ({"encoder_lacks": np.array(lacks)} if lacks else {}),
        stages=tuple(run.stages),
    )


class Finetune:
    """The whole encoder fine-tuned with labels, under a two-layer head."""

    name: ClassVar[str] = "finetune"
    Config: ClassVar[type[BaseModel]] = FinetuneConfig
    source: ClassVar[str] = "MAMP (arXiv:2308.07092) and its official program"
    selects: ClassVar[tuple[str, ...]] = ("validation", "best-on-test")

    def run(self, subject: Subject[FinetuneConfig]) -> list[Outcome]:
        """Train on the labelled part; one outcome, with the predictions after every epoch that was looked at."""
        settings = subject.run.config
        model = fine_tune("finetune", subject, subject.train, settings, subject.run, {"encoder": subject.key})
        return [tuned_outcome(model, subject.run, {})]
