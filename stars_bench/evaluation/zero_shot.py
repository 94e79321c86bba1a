"""Zero-shot recognition: a linear map from features to text space, learnt on seen classes, asked about unseen ones.

The map is DeViSE's (Frome et al., NeurIPS 2013) on the frozen encoder: a clip's projection must be nearer (cosine) to
the text of its class than to that of any other seen class, by a margin. Two results: unseen-class test clips among
unseen classes (ZSL), and all test clips among all classes (generalised ZSL), where seen classes lose a constant first,
calibrated stacking (arXiv:1605.04253). That constant is chosen on seen classes that are held out; no test clip is read.
SMIE averages the accuracies of batches and keeps the epoch that is best on the unseen clips; here clips count alike,
and the last epoch is the result.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from stars_bench.errors import UsageError
from stars_bench.evaluation.class_texts import KINDS, class_texts
from stars_bench.evaluation.subject import Subject
from stars_bench.records.metrics import harmonic_mean
from stars_bench.records.outcome import Outcome
from stars_bench.training.loop import Stage
from stars_bench.training.optim import warmup_cosine

PENALTIES = np.linspace(0, 1, 101)
"""What seen classes may lose; cosines lie in [-1, 1]."""
HELD_OUT = 0.2
"""Share of the clips of each seen class that is held out while the penalty is chosen."""


class ZeroShotConfig(BaseModel):
    """Settings of the zero-shot baseline.

    Args:
        text: Text of the classes: "descriptions" or "names", which ship, or a file with features of your own, .npy
            (classes, D) or .npz (`names`, `features`). Default: descriptions.
        penalty: What seen classes lose of their cosine in generalised zero-shot. Default: none, it is chosen on seen
            classes that are held out.
        margin: Least distance, in cosine, to the other classes. Default: 0.1, as in DeViSE.
        epochs: Epochs. Default: 50.
        batch_size: Clips a batch. Default: 256.
        lr: Learning rate of Adam at the start of a cosine. Default: 1e-3.
        weight_decay: Weight decay. Default: 1e-4.
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str = Field("descriptions", min_length=1)
    penalty: float | None = Field(None, ge=0, le=2)
    margin: float = Field(0.1, gt=0)
    epochs: int = Field(50, ge=1)
    batch_size: int = Field(256, ge=2)
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    crop: float = Field(0.95, gt=0, le=1)

    shrinks_batch: ClassVar[bool] = True
    """While the penalty is chosen, fewer clips train."""

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - one protocol for all datasets
        """Return a preset: `paper` or `quick` (small batches)."""
        return cls(batch_size=32) if name == "quick" else cls()


class TextMap(nn.Sequential):
    """BatchNorm without affine parameters, then Linear: features (N, D) -> text space (N, E)."""

    def __init__(self, dim: int, width: int) -> None:
        super().__init__(nn.BatchNorm1d(dim, affine=False), nn.Linear(dim, width))

    @torch.no_grad()
    def cosines(self, features: Tensor, texts: Tensor) -> Tensor:
        """Return cosines (N, C) of features (N, D) and texts (C, E) at unit length, in evaluation mode."""
        self.eval()
        return F.normalize(cast(Tensor, self(features)).double(), dim=1) @ texts.double().T


def margin_loss(cosines: Tensor, own: Tensor, margin: float) -> Tensor:
    """Return the hinge rank loss of DeViSE: by how much other classes come nearer than the own one less the margin.

    Args:
        cosines: (B, C) of projections and texts.
        own: (B,) row of each clip's class.
        margin: The margin.

    Returns:
        The mean over clips of the sum over other classes.
    """
    gaps = margin - cosines.gather(1, own[:, None]) + cosines
    others = torch.ones_like(gaps).scatter_(1, own[:, None], 0)
    return (gaps.clamp(min=0) * others).sum(1).mean()


class ZeroShot:
    """A linear map to text space, and unseen classes by their texts."""

    name: ClassVar[str] = "zeroshot"
    Config: ClassVar[type[BaseModel]] = ZeroShotConfig
    source: ClassVar[str] = "the loss of DeViSE (NeurIPS 2013); metrics of SynSE (arXiv:2101.11530); the rest is ours"

    def run(self, subject: Subject[ZeroShotConfig]) -> list[Outcome]:
        """Train the map; return unseen among unseen classes, and all among all classes.

        Raises:
            UsageError: No class is unseen, none is seen, or a class has no text.
        """
        config, run = subject.run.config, subject.run
        labels = subject.train.labels
        seen = np.setdiff1d(np.unique(labels.cpu().numpy()), subject.unseen)
        if not len(subject.unseen) or not len(seen):
            raise UsageError(
                "zeroshot: this protocol tests no class that it does not train: --protocol zeroshot, or a published "
                "split such as zeroshot-55-5 (stars-bench list protocols)"
            )
        said = class_texts(config.text, subject.class_names)
        texts = torch.from_numpy(said.features).float().to(run.device)
        kept = torch.from_numpy(np.flatnonzero(np.isin(labels.cpu().numpy(), seen))).to(run.device)
        features, labels = subject.features("train", config.crop)[kept], labels[kept]
        learn = _Learner(subject, texts, said.digest)
        chosen = learn.penalty(features, labels, seen) if config.penalty is None else config.penalty
        cosines = learn("zeroshot", features, labels).cosines(subject.features("test", config.crop), texts)
        scores = cosines.cpu().numpy()
        variant = {} if config.text == "descriptions" else {"text": config.text if config.text in KINDS else said.model}
        extra = {
            "unseen": subject.unseen,
            "penalty": np.array(chosen),
            "text_digest": np.array(said.digest),
            "text_model": np.array(said.model),
        }
        stages = tuple(run.stages)
        among = Outcome(variant, _best(scores, subject.unseen), classes=subject.unseen, extra=extra, stages=stages)
        scores[:, seen] -= chosen
        both = np.union1d(seen, subject.unseen)
        return [among, Outcome(variant | {"classes": "all"}, _best(scores, both), extra=extra, stages=stages)]


class _Learner:
    """Trains maps on features of one subject."""

    def __init__(self, subject: Subject[ZeroShotConfig], texts: Tensor, digest: str) -> None:
        self.subject, self.texts, self.digest = subject, texts, digest

    def __call__(self, stage: str, features: Tensor, labels: Tensor) -> TextMap:
        """Return the map from features (N, D) to the texts of their classes (N,)."""
        config, run = self.subject.run.config, self.subject.run
        torch.manual_seed(run.seed)
        found = TextMap(features.shape[1], self.texts.shape[1]).to(run.device)
        classes, own = torch.unique(labels, return_inverse=True)
        texts = self.texts[classes]

        def step(rows: Tensor) -> Tensor:
            found.train()
            return margin_loss(F.normalize(found(features[rows]), dim=1) @ texts.T, own[rows], config.margin)

        depends_on: dict[str, Any] = {"encoder": self.subject.key, "text": self.digest, "classes": classes.tolist()}
        run.train(
            Stage(
                name=stage,
                config=config.model_dump(exclude={"text", "penalty"}) | depends_on,
                module=found,
                optimizer=torch.optim.Adam(found.parameters(), lr=config.lr, weight_decay=config.weight_decay),
                step=step,
                samples=len(features),
                epochs=config.epochs,
                batch_size=min(config.batch_size, len(features)),
                lr_factor=warmup_cosine(config.epochs, 0, 0),
            )
        )
        return found

    def penalty(self, features: Tensor, labels: Tensor, seen: NDArray[np.int64]) -> float:
        """Return the penalty of the best harmonic mean on training clips: some seen classes play the unseen ones.

        They are as large a share of the seen classes as unseen ones are of all; of other classes, some clips are held
        out. With fewer than three seen classes it is 0.
        """
        unseen = len(self.subject.unseen)
        if len(seen) < 3:
            return 0.0
        rng = np.random.default_rng(self.subject.run.seed)
        count = min(max(round(len(seen) * unseen / (len(seen) + unseen)), 1), len(seen) - 2)
        played = np.sort(rng.permutation(seen)[:count])
        truth = labels.cpu().numpy()
        is_played = np.isin(truth, played)
        tested = is_played | (rng.random(len(truth)) < HELD_OUT)
        if is_played.all() or tested.all() or not (tested & ~is_played).any():
            return 0.0
        learns = torch.from_numpy(np.flatnonzero(~tested)).to(labels.device)
        asked = torch.from_numpy(np.flatnonzero(tested)).to(labels.device)
        trained = self("zeroshot-penalty", features[learns], labels[learns])
        scores = trained.cosines(features[asked], self.texts).cpu().numpy()
        others = np.setdiff1d(seen, played)
        means = []
        for lost in PENALTIES:
            changed = scores.copy()
            changed[:, others] -= lost
            right = _best(changed, seen) == truth[tested]
            shares = right[~is_played[tested]].mean(), right[is_played[tested]].mean()
            means.append(harmonic_mean(*map(float, shares)))
        return float(PENALTIES[int(np.argmax(means))])


def _best(scores: NDArray[np.float64], among: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the class (N,) of the highest score (N, C) among some classes."""
    best: NDArray[np.int64] = among[scores[:, among].argmax(1)]
    return best
