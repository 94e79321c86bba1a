"""Few labelled clips of classes that training may not have seen: N-way K-shot episodes, and the whole bank at once.

Classifiers, all by cosine: `nearest` takes the class of the nearest labelled clip; `prototype` that of the nearest
prototype, which is the mean of a class's labelled features at unit length (prototypical networks, NeurIPS 2017, with
cosine in place of the Euclidean distance). Products are in float64, so that every device gives the same answer.
"""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, PositiveInt
from torch import Tensor

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.evaluation.nearest import nearest, unit
from stars_bench.evaluation.subject import DrawEpisodes, Subject
from stars_bench.protocols.episodes import Episodes
from stars_bench.records.outcome import Outcome

Classifier = Literal["prototype", "nearest"]
NUMBERS_AT_ONCE = 2**24
"""Of gathered features; limits memory, not results."""


class FewShotConfig(BaseModel):
    """Settings of the episodes.

    Args:
        ways: Classes of an episode. Default: 5 and 20.
        shots: Labelled clips of each class. Default: 1, 2, 5 and 10.
        queries: Test clips of each class. Default: 15.
        episodes: Number of episodes. Default: 1000.
        classifiers: Classifiers, "prototype" or "nearest". Default: both.
        seed: Seed of the draw. It is the same for all encoders, so that all methods get the same episodes. Default: 0.
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ways: tuple[PositiveInt, ...] = Field((5, 20), min_length=1)
    shots: tuple[PositiveInt, ...] = Field((1, 2, 5, 10), min_length=1)
    queries: PositiveInt = 15
    episodes: PositiveInt = 1000
    classifiers: tuple[Classifier, ...] = Field(("prototype", "nearest"), min_length=1)
    seed: int = Field(0, ge=0)
    crop: float = Field(0.95, gt=0, le=1)

    @classmethod
    def preset(cls, name: str, dataset: str) -> Self:  # noqa: ARG003 - one protocol for all datasets
        """Return a preset: `paper` (the usual episodes) or `quick` (fewer and smaller ones, for small datasets)."""
        return cls(**QUICK) if name == "quick" else cls()


QUICK: dict[str, Any] = {"ways": (2, 5), "shots": (1, 5), "queries": 4, "episodes": 200}


class FewShot:
    """N-way K-shot episodes on the protocol's bank and test part."""

    name: ClassVar[str] = "fewshot"
    Config: ClassVar[type[BaseModel]] = FewShotConfig
    source: ClassVar[str] = "prototypical networks (arXiv:1703.05175), with cosine for the Euclidean distance"

    def run(self, subject: Subject[FewShotConfig]) -> list[Outcome]:
        """Return one outcome for each ways, shots and classifier for which enough classes have enough clips.

        Raises:
            UsageError: There is none.
        """
        config = subject.run.config
        draw = subject.draw_episodes
        if draw is None:
            raise StarsBenchError("fewshot: this Subject has no draw_episodes, which is the protocol's to give")
        bank, queries = (unit(subject.features(part, config.crop)) for part in ("train", "test"))
        return [
            Outcome(
                settings={"ways": drawn.ways, "shots": drawn.shots, "classifier": classifier},
                predictions=classify_episodes(bank, queries, drawn, classifier),
                kind="episodes",
                rows=drawn.query.astype(np.int32),
            )
            for drawn in possible_draws(config, draw)
            for classifier in config.classifiers
        ]


def possible_draws(config: FewShotConfig, draw: DrawEpisodes) -> list[Episodes]:
    """Return episodes for each ways and shots for which enough classes have enough clips.

    The fault where there is none.
    """
    possible, faults = [], []
    for ways, shots in product(config.ways, config.shots):
        try:
            possible.append(draw(ways, shots, config.queries, config.episodes, config.seed))
        except UsageError as fault:
            faults.append(fault)
    if not possible:
        raise UsageError(f"fewshot: {faults[0]} (--set fewshot.ways=[2], --set fewshot.queries=4)")
    return possible


def classify_episodes(bank: Tensor, queries: Tensor, drawn: Episodes, classifier: Classifier) -> np.ndarray:
    """Classify the queries of E episodes.

    Args:
        bank: Features (B, D) of the bank at unit length, float64. bank, queries: features (., D) at unit length,
            float64.
        queries: Features (T, D) of the test part at unit length, float64.
        drawn: The episodes.
        classifier: "prototype" or "nearest".

    Returns:
        Classes (E, N * Q) int16.
    """
    episodes, ways, shots = drawn.support.shape
    support, asked = (torch.from_numpy(rows).to(bank.device) for rows in (drawn.support, drawn.query))
    per_episode = (asked.shape[1] + ways * shots) * bank.shape[1]
    winners = []
    for first in range(0, episodes, max(NUMBERS_AT_ONCE // per_episode, 1)):
        part = slice(first, first + max(NUMBERS_AT_ONCE // per_episode, 1))
        known = bank[support[part]]  # (e, N, K, D)
        known = unit(known.mean(2)) if classifier == "prototype" else known.flatten(1, 2)
        best = torch.bmm(queries[asked[part]], known.mT).argmax(2)
        winners.append(best if classifier == "prototype" else best // shots)
    way = torch.cat(winners).cpu().numpy()
    return np.take_along_axis(drawn.classes, way, axis=1).astype(np.int16)


class ExemplarConfig(BaseModel):
    """Settings of the exemplar evaluation.

    Args:
        classifiers: Classifiers, "nearest" or "prototype". Default: both.
        crop: Share of the frames that the centre crop keeps. Default: 0.95.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    classifiers: tuple[Classifier, ...] = Field(("nearest", "prototype"), min_length=1)
    crop: float = Field(0.95, gt=0, le=1)


class Exemplar:
    """The nearest exemplar, or class prototype, of the whole bank: one-shot recognition without episodes."""

    name: ClassVar[str] = "exemplar"
    Config: ClassVar[type[BaseModel]] = ExemplarConfig
    source: ClassVar[str] = "the one-shot split of NTU RGB+D 120 (github shahroudy/NTURGB-D); cosine, as in k-NN"

    def run(self, subject: Subject[ExemplarConfig]) -> list[Outcome]:
        """Return one outcome for each classifier.

        Where every class has one exemplar they are the same, and one is given.
        """
        config = subject.run.config
        bank, queries = subject.features("train", config.crop), subject.features("test", config.crop)
        labels = subject.train.labels
        classes = torch.unique(labels)
        classifiers = config.classifiers[:1] if len(classes) == len(labels) else config.classifiers
        outcomes = []
        for classifier in classifiers:
            if classifier == "prototype":
                found = classes[nearest(prototypes(bank, labels, classes), queries, 1)[:, 0]]
            else:
                found = labels[nearest(bank, queries, 1)[:, 0]]
            outcomes.append(Outcome({"classifier": classifier}, found.cpu().numpy()))
        return outcomes


def prototypes(bank: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    """Return (C, D) float64: of each class the mean of its features (N, D) at unit length."""
    known = unit(bank)
    return torch.stack([known[labels == number].mean(0) for number in classes])
