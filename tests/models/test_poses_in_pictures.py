"""Poses in pictures (x, y, score) through every method: no network sees a score that was moved, none predicts one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from stars_bench import registry
from stars_bench.api import PLANE, Skeleton
from stars_bench.data.clip_store import ClipPart, ClipStore
from stars_bench.datasets.skeletons.layouts import COCO_17
from stars_bench.models.layers.encoder import JointsEmbed, SkeletonEncoder
from stars_bench.models.mamp import MaskedPrediction
from stars_bench.models.raw import Coordinates
from stars_bench.testing.small_config import SMALL
from stars_bench.training.stages import StageRun

POSES = replace(COCO_17, channels=PLANE)
JOINTS = len(POSES.joints)
SCORE = 0.7
FRAMES, CLIPS = 16, 16
SHORT = {**SMALL, "frames": FRAMES, "epochs": 1, "warmup_epochs": 0, "tune_epochs": 1}


def part(skeleton: Skeleton) -> ClipPart:
    """Clips of two bodies, whose scores are all alike."""
    rng = np.random.default_rng(0)
    frames, bodies = rng.integers(18, 30, CLIPS), np.full(CLIPS, 2)
    rows = frames * bodies
    joints = rng.uniform(-1, 1, (rows.sum(), JOINTS, 3)).astype(np.float32)
    joints[..., 2] = SCORE
    store = ClipStore(joints, np.cumsum(rows) - rows, frames, bodies, "zero", skeleton=skeleton)
    return ClipPart(store, np.arange(CLIPS), np.arange(CLIPS) % 4, 4)


def scores_in(module: nn.Module, x: Any) -> Tensor | None:
    """The last channel of what goes into a network: its clips, the first layer of a transformer or a graph network."""
    if not isinstance(x, Tensor):
        return None
    if isinstance(module, JointsEmbed):
        return x[x.flatten(1).any(1)][..., 2]  # a batch has an empty body for those that are absent
    if isinstance(module, nn.BatchNorm1d) and x.ndim == 3 and x.shape[1] == 3 * JOINTS:
        return x[:, 2::3]
    return x[:, 2] if x.ndim == 5 and x.shape[1:4:2] == (3, JOINTS) else None


def seen_by(name: str, skeleton: Skeleton, folder: Path) -> tuple[nn.Module, list[Tensor]]:
    """A trained encoder, and the last channel of all that its networks were given."""
    method = registry.load("methods", name)
    config = method.Config(**{key: value for key, value in SHORT.items() if key in method.Config.model_fields})
    seen: list[Tensor] = []

    def look(module: nn.Module, given: tuple[Any, ...]) -> None:
        seen.extend(found.detach() for x in given if (found := scores_in(module, x)) is not None)

    hook = register_module_forward_pre_hook(look)
    try:
        encoder = method().fit(part(skeleton), StageRun(config, 0, torch.device("cpu"), folder, {})).eval()
        features = encoder(part(skeleton).whole(torch.arange(4), encoder.frames))
    finally:
        hook.remove()
    assert features.shape == (4, encoder.dim)
    assert features.isfinite().all()
    return encoder, seen


@pytest.mark.parametrize("name", registry.names("methods"))
def test_every_method_takes_poses_and_leaves_their_scores_alone(name: str, tmp_path: Path) -> None:
    encoder, seen = seen_by(name, POSES, tmp_path)
    assert seen
    for scores in seen:
        torch.testing.assert_close(scores, torch.full_like(scores, SCORE))
    if isinstance(encoder, Coordinates):  # no network: what goes out is what went in
        whole = part(POSES).whole(torch.arange(4), encoder.frames)
        torch.testing.assert_close(encoder(whole).view(whole.shape)[:, 2], whole[:, 2])


def test_joints_in_space_would_have_been_turned(tmp_path: Path) -> None:
    _, seen = seen_by("mamp", COCO_17, tmp_path)
    assert any(not torch.allclose(scores, torch.full_like(scores, SCORE)) for scores in seen)


@pytest.mark.parametrize("target", ["motion", "joints"])
def test_a_score_is_neither_hidden_for_its_motion_nor_predicted(target: str) -> None:
    torch.manual_seed(0)
    model = MaskedPrediction(SkeletonEncoder(FRAMES, JOINTS, 16, 2, 2), 1, 0.5, target=target, planar=True)
    clips = torch.rand(2, 3, FRAMES, JOINTS, 1)
    uniform = torch.rand(2, FRAMES // 4 * JOINTS)
    others = torch.cat([clips[:, :2], torch.rand_like(clips[:, :1])], 1)
    bodies, other_bodies = (x[..., 0].permute(0, 2, 3, 1) for x in (clips, others))
    _, hidden = model.choose(bodies, uniform)
    assert torch.equal(hidden, model.choose(other_bodies, uniform)[1])
    clips.requires_grad_()
    model(clips, uniform).backward()
    by_token = clips.grad[..., 0].view(2, 3, FRAMES // 4, 4, JOINTS).abs().sum(3).flatten(2)  # (B, 3, tokens)
    at_hidden = by_token.gather(2, hidden[:, None].expand(-1, 3, -1))
    assert not at_hidden[:, 2].any()
    assert at_hidden[:, :2].any()
