"""A method that conforms, and methods that are broken in one way each."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import ClassVar

import torch
from pydantic import BaseModel
from torch import nn

from stars_bench.api import Recipe
from stars_bench.training.loop import Stage


class Config(BaseModel):
    width: int = 4
    lr: float = 0.01


class Encoder(nn.Module):
    frames = 16

    def __init__(self, width: int) -> None:
        super().__init__()
        self.dim = width
        self.layer = nn.Linear(3, width)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x):
        return self.layer(x.mean((2, 3, 4)))


class Good:
    name: ClassVar[str] = "good"
    Config: ClassVar[type[BaseModel]] = Config
    Encoder: ClassVar[type[Encoder]] = Encoder

    def fit(self, clips, run):
        encoder = self.Encoder(run.config.width)

        def step(rows: torch.Tensor) -> torch.Tensor:
            return self.loss(encoder, clips, rows)

        optimizer = torch.optim.AdamW(encoder.parameters(), lr=run.config.lr)
        run.train(Stage("only", run.config.model_dump(), encoder, optimizer, step, len(clips), 2, 16))
        return encoder

    def loss(self, encoder, clips, rows):
        encoder.steps += 1
        x = clips.whole(rows, encoder.frames)
        return (encoder(x + 0.1 * torch.randn_like(x)) - x.std((2, 3, 4)).sum(1, keepdim=True)).square().mean()

    def build(self, config, num_joints):  # noqa: ARG002
        return self.Encoder(config.width)


class NoName(Good):
    name = ""


class NoRecipe(Good):
    recipe = "as MAMP"


class RecipeWithoutSetting(Good):
    recipe = Recipe("a paper", settings={"depth": 3})


class RecipeWithAWrongValue(Good):
    recipe = Recipe("a paper", evaluations={"linear": {"lr": -1}})


class RecipeWithoutEvaluation(Good):
    recipe = Recipe("a paper", evaluations={"linera": {}})


class NoFit:
    name = "no-fit"
    Config = Config


class PlainConfig(Good):
    Config = dict


class WrongPreset(Good):
    class Config(Config):
        presets: ClassVar[tuple[str, ...]] = ("paper", "huge")

        @classmethod
        def preset(cls, name, dataset):  # noqa: ARG003
            return {"paper": cls()}[name]


class ReadsLabels(Good):
    def loss(self, encoder, clips, rows):
        return super().loss(encoder, clips, rows) + clips.labels[rows].float().mean()


class ReadsLabelsQuietly(Good):
    def fit(self, clips, run):
        with suppress(Exception):
            clips.labels  # noqa: B018
        return super().fit(clips, run)


class BeyondItsPart(Good):
    def loss(self, encoder, clips, rows):
        return super().loss(encoder, clips, rows + len(clips))


class AsksForTheStore(Good):
    def loss(self, encoder, clips, rows):
        return super().loss(encoder, clips, rows) + len(clips.store)


class SeesTestClips(Good):
    def loss(self, encoder, clips, rows):
        every_row = clips._store.coordinates.joints
        return super().loss(encoder, clips, rows) + encoder(every_row.mean() + clips.whole(rows, 16)).square().mean()


class NoEncoder(Good):
    def fit(self, clips, run):  # noqa: ARG002
        return nn.Linear(3, 4)


class WrongShape(Good):
    class Encoder(Encoder):
        def forward(self, x):
            return super().forward(x)[:, :, None]

    def loss(self, encoder, clips, rows):
        return encoder(clips.whole(rows, encoder.frames)).square().mean()


class WrongDim(Good):
    class Encoder(Encoder):
        def __init__(self, width):
            super().__init__(width)
            self.dim = width + 1


class ReturnsNaN(Good):
    class Encoder(Encoder):
        def forward(self, x):
            features = super().forward(x)
            return features if self.training else features / 0.0 - features / 0.0


class LossIsNaN(Good):
    def loss(self, encoder, clips, rows):
        return super().loss(encoder, clips, rows) * float("nan")


class SeesItsNeighbours(Good):
    class Encoder(Encoder):
        def forward(self, x):
            features = super().forward(x)
            return features - features.mean(0) + 1


class FailsOnClips(Good):
    class Encoder(Encoder):
        def forward(self, x):
            if not self.training:
                raise KeyError("eval")
            return super().forward(x)


class WrongTokens(Good):
    class Encoder(Encoder):
        def tokens(self, x):
            return self.forward(x)


class NoClassify(Good):
    evaluations = ("classifier",)


class WrongClassify(NoClassify):
    class Encoder(Encoder):
        def classify(self, x):
            return self.forward(x)[:, :2]


class WrongBuild(Good):
    def build(self, config, num_joints):  # noqa: ARG002
        return self.Encoder(config.width + 1)


class OtherBuild(Good):
    def build(self, config, num_joints):  # noqa: ARG002
        class Other(Encoder):
            def forward(self, x):
                return 2 * super().forward(x)

        return Other(config.width)


class NotReproducible(Good):
    def loss(self, encoder, clips, rows):
        return super().loss(encoder, clips, rows) * random.random()


class CannotResume(Good):
    """Counts steps outside the module, so a continued run begins to count anew."""

    def fit(self, clips, run):
        self.count = 0
        return super().fit(clips, run)

    def loss(self, encoder, clips, rows):
        self.count += 1
        return super().loss(encoder, clips, rows) * self.count


class FailsWhenResumed(Good):
    def fit(self, clips, run):
        if list(run.folder.path.rglob("*.resume.pt")):
            raise ValueError("something is there")
        return super().fit(clips, run)
