"""The linear probe is what scikit-learn's logistic regression is, and never sees a test label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.evaluation.finetune import FinetuneConfig, TunedEncoder
from stars_bench.evaluation.linear import Linear, LinearConfig, LinearHead, Probe
from stars_bench.evaluation.subject import Subject
from stars_bench.training.loop import epoch_order, seed_step
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import JOINTS, small_encoder, subject_for

CLASSES = 4


class Mean(nn.Module):
    """Features that augmentation does not change: each clip's mean distance of six joints from the origin."""

    dim, frames = 6, 8

    def forward(self, x: Tensor) -> Tensor:
        return x.norm(dim=1).mean((1, 3))


def clips_of(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Clips (count, 8 frames, 6 joints, 3) that stand still; each class has its own mean radii, with overlap."""
    labels = rng.integers(0, CLASSES, count)
    radii = 2 + 0.35 * rng.normal(size=(count, 6)) + 0.4 * np.eye(CLASSES, 6)[labels]
    directions = rng.normal(size=(count, 6, 3))
    joints = radii[..., None] * directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    return np.repeat(joints[:, None], 8, axis=1).astype(np.float32), labels


def test_within_noise_of_logistic_regression(tmp_path: Path) -> None:
    joints, labels = clips_of(np.random.default_rng(0), 1600)
    store = ClipStore(joints.reshape(-1, 6, 3), np.arange(1600) * 8, np.full(1600, 8), np.ones(1600), absent="zero")
    train_ids, test_ids = np.arange(1000), np.arange(1000, 1600)
    config = LinearConfig(epochs=40, batch_size=100)
    run = StageRun(config, 0, torch.device("cpu"), tmp_path, {})
    names = np.array([f"clip{i}" for i in range(1600)])
    subject = Subject(
        encoder=Mean(),
        train=ClipPart(store, train_ids, labels[train_ids]),
        test=ClipPart(store, test_ids),
        num_classes=CLASSES,
        run=run,
        names={"train": names[train_ids], "test": names[test_ids]},
        key="mean",
    )
    outcome = Linear().run(subject)[0]
    ours = (outcome.predictions == labels[test_ids]).mean()
    scaler = StandardScaler().fit(subject.features("train").numpy())
    features = {part: scaler.transform(subject.features(part).numpy()) for part in ("train", "test")}
    theirs = (
        LogisticRegression(C=100).fit(features["train"], labels[train_ids]).score(features["test"], labels[test_ids])
    )
    assert abs(ours - theirs) < 0.03
    assert 0.5 < theirs < 0.95
    assert outcome.by_epoch is not None
    assert outcome.by_epoch.shape == (40, 600)
    assert np.array_equal(outcome.by_epoch[-1], outcome.predictions)
    assert outcome.scores is not None
    assert np.array_equal(outcome.scores.argmax(1), outcome.predictions)


def test_the_probe_is_trained_as_it_is_read_in_float32_whatever_the_encoder(tmp_path: Path) -> None:
    found = []
    for precision in ("float32", "bf16"):
        config = LinearConfig(epochs=3, batch_size=16)
        subject, _ = subject_for(Mean(), config, tmp_path / precision, precision=precision)
        found.append(Linear().run(subject)[0].scores)
    assert np.array_equal(*found)


def test_official_head() -> None:
    head = LinearHead(16, 5)
    norm, fc = head
    assert isinstance(norm, nn.BatchNorm1d)
    assert (norm.affine, norm.eps) == (False, 1e-6)
    assert isinstance(fc, nn.Linear)
    assert fc.bias.abs().max() == 0
    assert 0.005 < float(fc.weight.detach().std()) < 0.02


def test_crossclr_probe_is_a_linear_layer_on_the_same_features_in_every_epoch(tmp_path: Path) -> None:
    settings = {"augment": False, "batch_norm": False, "init_std": 0.02, "crop": 1.0, "milestones": (2,), "lr": 3.0}
    config = LinearConfig(epochs=3, batch_size=20, **settings)
    subject, _ = subject_for(Mean(), config, tmp_path)
    outcome = Linear().run(subject)[0]
    features, labels = subject.features("train", 1.0), subject.train.labels
    seed_step(0, "start", 0)
    fc = nn.Linear(features.shape[1], subject.num_classes)
    nn.init.trunc_normal_(fc.weight, std=0.02)
    nn.init.zeros_(fc.bias)
    velocity = [torch.zeros_like(fc.weight), torch.zeros_like(fc.bias)]
    for epoch in range(3):
        for rows in epoch_order(0, "linear", epoch, len(labels)).split(20)[: len(labels) // 20]:
            loss = nn.functional.cross_entropy(features[rows] @ fc.weight.T + fc.bias, labels[rows])
            for parameter, speed, slope in zip(
                fc.parameters(), velocity, torch.autograd.grad(loss, list(fc.parameters())), strict=True
            ):
                speed.mul_(0.9).add_(slope)
                parameter.data -= (3.0 if epoch < 2 else 0.3) * speed
    with torch.no_grad():
        expected = fc(subject.features("test", 1.0))
    assert torch.allclose(torch.from_numpy(outcome.scores), expected, atol=1e-4 * expected.abs().max())


def test_no_score_of_a_test_clip_is_in_a_checkpoint() -> None:
    tuned = TunedEncoder(small_encoder(), FinetuneConfig(epochs=3), JOINTS, CLASSES, test_clips=5000)
    for state in (Probe(16, CLASSES, 5000, 3).state_dict(), tuned.state_dict()):
        assert [name for name, value in state.items() if 5000 in value.shape] == [
            "by_epoch"
        ]  # 2 bytes a clip and epoch
