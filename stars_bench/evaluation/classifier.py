"""The predictions of an encoder that has learnt to classify, on centre crops of 0.95 of the test clips."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipPart
from stars_bench.errors import UsageError
from stars_bench.evaluation.subject import Subject, extract
from stars_bench.records.outcome import Outcome
from stars_bench.training.loop import Progress


class ClassifierConfig(BaseModel):
    """Settings of the evaluation; the default is the official crop.

    Args:
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: float = Field(0.95, gt=0, le=1)


class OwnLogits(nn.Module):
    """An encoder's own `classify` as a module: clips (B, 3, T, V, M) -> logits (B, classes)."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.frames = encoder, int(cast(int, encoder.frames))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, classes) of clips (B, 3, T, V, M)."""
        return cast(Tensor, cast(Any, self.encoder).classify(x))


def own_logits(
    encoder: nn.Module, clips: ClipPart, crop: float, precision: str, progress: Progress | None = None
) -> Tensor:
    """Return logits (N, classes) of centre crops of clips, by the encoder's own `classify`."""
    return extract(OwnLogits(encoder), clips, crop, precision, progress, "predictions")


class Classifier:
    """The predictions of a method that was trained with labels."""

    name: ClassVar[str] = "classifier"
    Config: ClassVar[type[BaseModel]] = ClassifierConfig

    def run(self, subject: Subject[ClassifierConfig]) -> list[Outcome]:
        """Return one outcome; nothing is trained.

        Raises:
            UsageError: The encoder has no `classify`, or its classes are not the dataset's.
        """
        if not hasattr(subject.encoder, "classify"):
            raise UsageError(
                "classifier: this method's encoder has no classify(x); evaluate it with finetune or linear"
            )
        config, run = subject.run.config, subject.run
        logits = own_logits(subject.encoder, subject.test, config.crop, run.precision, run.progress)
        if logits.shape[1] != subject.num_classes:
            raise UsageError(
                f"classifier: the encoder knows {logits.shape[1]} classes, the dataset has {subject.num_classes}; "
                "evaluate it with finetune or linear"
            )
        scores = logits.cpu().numpy()
        return [Outcome(settings={}, predictions=scores.argmax(1), scores=scores)]
