"""Small stages of every kind of step, in float64: what divided steps are compared on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from stars_bench.api import Skeleton
from stars_bench.data import random
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.models.ablations.moco_tuning import MocoSettings, MomentumTuning
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.nnclr import NeighbourTuning
from stars_bench.models.layers.supervision import ActionHead, SupervisionConfig, supervised_stage
from stars_bench.models.layers.tuning import tuning_optimizer
from stars_bench.models.mamp import MaskedPrediction
from stars_bench.models.skeletonclr import ContrastConfig, MomentumContrast
from stars_bench.training.loop import Stage, train
from stars_bench.training.step import SplitStep

FRAMES, JOINTS, CLASSES, CLIPS = 16, 5, 3, 16
SKELETON = Skeleton("five", ("hip", "spine", "head", "left hand", "right hand"), (0, 0, 1, 1, 1), 1)


def clips() -> ClipPart:
    """Clips of one and two bodies of different lengths, float64, with labels."""
    rng = np.random.default_rng(0)
    frames, bodies = rng.integers(20, 90, CLIPS), rng.integers(1, 3, CLIPS)
    joints = rng.normal(size=(int((frames * bodies).sum()), JOINTS, 3))
    offset = np.cumsum([0, *(frames * bodies)[:-1]])
    store = ClipStore(joints, offset, frames, bodies, absent="zero")
    return ClipPart(store, np.arange(CLIPS), np.arange(CLIPS) % CLASSES, CLASSES)


def encoder() -> SkeletonEncoder:
    return SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2)


def stage1(batch: int) -> Stage:
    data, model = clips(), MaskedPrediction(encoder(), 1, 0.9, 0.8)

    def losses(rows: Tensor) -> Tensor:
        return model.clip_losses(data.cropped(rows, FRAMES))

    return stage("stage1", model, SplitStep(losses), batch)


def stage2(batch: int) -> Stage:
    """Every step encodes its clips from the first block on."""
    data, model = clips(), NeighbourTuning(encoder(), queue_size=17, predictor_hidden=32)

    def encode(rows: Tensor) -> Tensor:
        return model.encoder.features(data.whole(rows, FRAMES), frozen=model.first_tuned)

    return tuning(data, model, encode, batch)


def stage2_kept(batch: int) -> Stage:
    """As `stars` runs it: what the frozen half gives is computed before the first step and kept."""
    data, model = clips(), NeighbourTuning(encoder(), queue_size=17, predictor_hidden=32)
    half = FrozenHalf(model.encoder, data, model.frozen)
    return tuning(data, model, half.features, batch)


def tuning(data: ClipPart, model: NeighbourTuning, encode: Callable[[Tensor], Tensor], batch: int) -> Stage:
    step = SplitStep(encode, lambda features, rows: model.loss(features, data.ids[rows]))
    made = stage("stage2", model, step, batch)
    made.optimizer = tuning_optimizer(model, 1e-2, 0.5, 0.01)
    made.gradient_scale, made.clip_each = 0.5, 0.05  # small enough to clip: of the sum, not of the shares
    return made


def moco(batch: int) -> Stage:
    """A teacher that follows the student, and the queue of its keys."""
    data, model = clips(), MomentumTuning(encoder(), MocoSettings(queue_size=17, predictor_hidden=32, momentum=0.9))
    model.begin("half", 2, CLIPS // batch)
    made = stage("moco", model, model.step_of(FrozenHalf(model.encoder, data, model.frozen)), batch)
    made.optimizer = tuning_optimizer(model, 1e-2, 0.5, 0.01)
    made.after_step = model.after_step
    return made


def skeletonclr(batch: int) -> Stage:
    """A graph network with BatchNorm and dropout on two augmented views, a copy that follows, a queue of keys."""
    data = clips()
    config = ContrastConfig(
        frames=FRAMES, channels=2, dim=8, feature_dim=4, queue_size=17, batch_size=batch, momentum=0.9, temperature=0.5
    )
    model = MomentumContrast(config, SKELETON)

    def encode(rows: Tensor) -> Tensor:
        return model.encode(data.whole(rows, FRAMES))

    made = stage("skeletonclr", model, SplitStep(encode, lambda features, _: model.loss(features)), batch)
    made.optimizer = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], 0.01, 0.9)
    made.after_step = model.after_step
    return made


def finetune(batch: int) -> Stage:
    """Drop path, dropout and a BatchNorm in the head."""
    data, model = clips(), encoder()
    model.set_drop_path(0.5)
    head = ActionHead(JOINTS * 16, CLASSES, hidden=8, dropout=0.3)
    settings = SupervisionConfig(epochs=2, warmup_epochs=1, batch_size=batch, lr=1e-2)
    both = nn.ModuleList([model, head])

    def pooled(rows: Tensor) -> Tensor:
        return head.pool(model.tokens(data.cropped(rows, FRAMES)))

    return supervised_stage("finetune", both, pooled, data.labels, settings, {}, head=head.classify)


def convolution(batch: int) -> Stage:
    """A plug-in's encoder with BatchNorm and Dropout inside."""
    data, rng = clips(), torch.Generator().manual_seed(2)
    model = nn.Sequential(
        nn.Conv2d(6, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 4, 3),
        nn.BatchNorm2d(4, momentum=None), nn.Flatten(), nn.LazyLinear(CLASSES),
    )  # fmt: skip
    model(torch.randn(2, 6, FRAMES, JOINTS, generator=rng))
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.reset_running_stats()

    def logits(rows: Tensor) -> Tensor:
        x = data.cropped(rows, FRAMES)
        noisy = x + 0.1 * random.rand(len(rows), 1, 1, 1, 1)
        return model(noisy.permute(0, 4, 1, 2, 3).flatten(1, 2))

    return supervised_stage(
        "convolution", model, logits, data.labels, SupervisionConfig(epochs=2, batch_size=batch, lr=1e-2), {}
    )


def undivided(batch: int) -> Stage:
    """A step that knows nothing of being divided: BatchNorm, dropout and torch's own draws over the whole batch."""
    data = clips()
    model = nn.Sequential(nn.Linear(3 * JOINTS, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1))

    def step(rows: Tensor) -> Tensor:
        x = data.cropped(rows, FRAMES).mean((2, 4)).flatten(1)
        return model(x + 0.1 * torch.randn_like(x)).square().mean()

    return stage("undivided", model, step, batch)


def stage(name: str, model: nn.Module, step, batch: int) -> Stage:
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return Stage(name, {}, model, optimizer, step, samples=CLIPS, epochs=2, batch_size=batch)


KINDS = {
    make.__name__: make for make in (stage1, stage2, stage2_kept, moco, skeletonclr, finetune, convolution, undivided)
}


def outcome(kind: str, batch: int, **settings) -> dict[str, Tensor]:
    """All that a stage leaves, its losses and its optimiser's state included, in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(0)
        made = KINDS[kind](batch)
        for group in made.optimizer.param_groups:  # a bias in front of a BatchNorm has no true gradient: with the
            group["eps"] = 1e-3  # usual eps Adam would make whole steps of its rounding error
        at = train(made, seed=3, device=torch.device("cpu"), **settings)
    finally:
        torch.set_default_dtype(before)
    left = {f"module.{name}": value.clone() for name, value in made.module.state_dict().items()}
    for number, state in made.optimizer.state_dict()["state"].items():
        left |= {f"optimizer.{number}.{key}": torch.as_tensor(value).clone() for key, value in state.items()}
    return left | {"losses": torch.tensor([line["loss"] for line in at.log])}


def check_equal(got: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """Equal to 1e-9, number by number."""
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(got[name], value, rtol=1e-9, atol=1e-9, msg=lambda m, n=name: f"{n}: {m}")
