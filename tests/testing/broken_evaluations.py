"""An evaluation that conforms, and evaluations that are broken in one way each."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import ClassVar

import numpy as np
import torch
from pydantic import BaseModel

from stars_bench.api import Outcome, Stage, StarsBenchError, Subject


class Config(BaseModel):
    crop: float = 0.95


class Good:
    """The nearest labelled clip."""

    name: ClassVar[str] = "good"
    Config: ClassVar[type[BaseModel]] = Config

    def run(self, subject: Subject) -> list[Outcome]:
        return [Outcome(settings={}, predictions=self.predictions(subject))]

    def predictions(self, subject: Subject) -> np.ndarray:
        crop = subject.run.config.crop
        nearest = torch.cdist(subject.features("test", crop), subject.features("train", crop)).argmin(1)
        return subject.train.labels[nearest].numpy()


class SelectsByMood(Good):
    selects = ("mood",)


class Trained(Good):
    """A linear probe of two epochs."""

    def predictions(self, subject: Subject) -> np.ndarray:
        head = torch.nn.Linear(subject.dim, subject.num_classes)
        features, labels = subject.features("train"), subject.train.labels

        def step(rows: torch.Tensor) -> torch.Tensor:
            return self.loss(head, features[rows], labels[rows])

        optimizer = torch.optim.SGD(head.parameters(), lr=1.0)
        subject.run.train(Stage("probe", {}, head, optimizer, step, len(labels), 2, 8))
        return head(subject.features("test")).argmax(1).numpy()

    def loss(self, head, features, labels):
        return torch.nn.functional.cross_entropy(head(features), labels)

    def run(self, subject: Subject) -> list[Outcome]:
        return [Outcome({}, self.predictions(subject), stages=tuple(subject.run.stages))]


class NoName(Good):
    name = ""


class NoRun:
    name = "no-run"
    Config = Config


class PlainConfig(Good):
    Config = dict


class ReadsTestLabels(Good):
    def predictions(self, subject):
        return subject.test.labels.numpy()


class ReadsTestLabelsQuietly(Good):
    def predictions(self, subject):
        with suppress(StarsBenchError):
            print(subject.test.labels)
        return super().predictions(subject)


class ReadsNames(Good):
    def predictions(self, subject):
        return np.array([int(name[-3:]) - 1 for name in subject.names["test"]])


class ReadsOtherClips(Good):
    def predictions(self, subject):
        every_row = subject.test._store.coordinates.joints
        return (super().predictions(subject) + int(every_row[-1].abs().mean() > 0.5)) % subject.num_classes


class NotReproducible(Good):
    def predictions(self, subject):
        return np.array([random.randrange(4) for _ in range(len(subject.test))])


class Sorted(Good):
    def predictions(self, subject):
        return np.sort(super().predictions(subject))


class ChangesTheEncoder(Good):
    def predictions(self, subject):
        with torch.no_grad():
            subject.encoder.norm.weight += 1
        return super().predictions(subject)


class NoList(Good):
    def run(self, subject):
        return super().run(subject)[0]


class TooFew(Good):
    def predictions(self, subject):
        return super().predictions(subject)[1:]


class Scores(Good):
    def predictions(self, subject):
        return subject.features("test").numpy()[:, 0]


class NoSuchClass(Good):
    def predictions(self, subject):
        return super().predictions(subject) + 4


class WrongScores(Good):
    def run(self, subject):
        return [Outcome({}, self.predictions(subject), scores=np.zeros((24, 3)))]


class ScoresAreNaN(Good):
    def run(self, subject):
        return [Outcome({}, self.predictions(subject), scores=np.full((24, 4), np.nan))]


class WrongEpochs(Good):
    def run(self, subject):
        return [Outcome({}, self.predictions(subject), by_epoch=np.zeros((24, 2), int))]


class EpisodesWithoutRows(Good):
    def run(self, subject):  # noqa: ARG002
        return [Outcome({}, np.zeros((2, 3), int), kind="episodes")]


class RowsBeyond(Good):
    def run(self, subject):  # noqa: ARG002
        return [Outcome({}, np.zeros(2, int), kind="episodes", rows=np.array([0, 24]))]


class TwiceTheSame(Good):
    def run(self, subject):
        return 2 * super().run(subject)


class SettingsAreNotJson(Good):
    def run(self, subject):
        return [Outcome({"k": torch.ones(1)}, self.predictions(subject))]


class CannotResume(Trained):
    """Its loss depends on what is in no module."""

    def loss(self, head, features, labels):
        self.steps = getattr(self, "steps", 0) + 1
        return super().loss(head, features, labels) * (30 if self.steps == 1 else -1)
