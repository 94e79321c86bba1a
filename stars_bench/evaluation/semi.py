"""Semi-supervised: fine-tuning on the few training clips that keep their labels, 1 % and 10 %, five lists of each.

The settings are those of fine-tuning, as in MAMP and STARS; the lists are ours (`protocols/semi.py` says why). Each is
a result of its own, which tables average as they do seeds. A batch that is larger than a list shrinks to the list.
"""

from __future__ import annotations

from copy import copy
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, Field

from stars_bench.evaluation.finetune import QUICK, FinetuneConfig, fine_tune, tuned_outcome
from stars_bench.evaluation.subject import Subject
from stars_bench.io.files import digest_lines
from stars_bench.protocols.semi import Drawing, semi_rows
from stars_bench.records.outcome import Outcome


class SemiConfig(FinetuneConfig):
    """Settings of fine-tuning, and which lists it uses.

    Args:
        percents: Percentages of the training clips that keep their labels. Default: 1 and 10.
        lists: Number of lists for each percentage. Default: 5.
        drawing: Balanced over classes, or at random as published: by one process, as STARS shows it (with `batch_size`
            24), or by each of two, as MAMP's script does.
        test_every: As in fine-tuning, but rarer: here the test part is much larger than what is trained on.
    """

    shrinks_batch: ClassVar[bool] = True
    """Lists may be smaller than a batch, which is then as large as the list."""

    percents: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field((1, 10), min_length=1)
    lists: int = Field(5, ge=1)
    drawing: Drawing = "balanced"
    test_every: int = Field(10, ge=1)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - the official settings are one for all datasets
        """Return a preset: `paper` (the official settings) or `quick` (few epochs and a small head)."""
        return cls(**QUICK_SEMI) if name == "quick" else cls()


QUICK_SEMI: dict[str, Any] = QUICK | {"epochs": 12, "test_every": 12}
"""An epoch is a step or two here."""


class Semi:
    """Fine-tuning on 1 % and 10 % of the labels."""

    name: ClassVar[str] = "semi"
    Config: ClassVar[type[BaseModel]] = SemiConfig
    source: ClassVar[str] = "MAMP (arXiv:2308.07092); the lists of clips are ours"
    selects: ClassVar[tuple[str, ...]] = ("best-on-test",)
    """A validation part would have more labels than the lists."""

    def run(self, subject: Subject[SemiConfig]) -> list[Outcome]:
        """Return one outcome for each percentage and list; `extra` holds the names, their digest and the batch size."""
        config = subject.run.config
        return [
            self._one(subject, config, percent, number) for percent in config.percents for number in range(config.lists)
        ]

    def _one(self, subject: Subject[SemiConfig], config: SemiConfig, percent: float, number: int) -> Outcome:
        part, all_names = subject.train, subject.names["train"]
        labels = part.labels.cpu().numpy()
        rows = semi_rows(labels, all_names, percent, number, config.drawing)
        clips = part.subset(rows)
        names = all_names[rows]
        settings = config.model_copy(update={"batch_size": min(config.batch_size, len(rows))})
        run = copy(subject.run)  # each list stands alone: its stage does not depend on the lists before
        run.stages = []
        depends_on = {"encoder": subject.key, "clips": digest_lines(names)}
        model = fine_tune(f"semi-{percent:g}-{number}", subject, clips, settings, run, depends_on)
        variant: dict[str, Any] = {"percent": int(percent) if percent == int(percent) else percent, "list": number}
        if config.drawing != "balanced":
            variant["drawing"] = config.drawing
        extra = {
            "train_names": names.astype(str),
            "train_digest": np.array(depends_on["clips"]),
            "batch_size": np.array(settings.batch_size),
        }
        return tuned_outcome(model, run, variant, extra)
