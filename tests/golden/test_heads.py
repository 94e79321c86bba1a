"""Tokens, pooled features, linear and fine-tuning logits equal those of the official programs."""

from __future__ import annotations

import pytest
import torch
from numpy.testing import assert_allclose

from stars_bench.evaluation.finetune import FinetuneConfig, TunedEncoder
from stars_bench.evaluation.linear import LinearHead
from stars_bench.models.layers.encoder import SkeletonEncoder
from tests.golden.conftest import Arrays, below, tensor

pytestmark = pytest.mark.usefixtures("float64")
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


@pytest.fixture(scope="module")
def heads(golden) -> Arrays:
    return golden("heads.npz")


def small_encoder(arrays: Arrays) -> SkeletonEncoder:
    encoder = SkeletonEncoder(frames=24, joints=25, dim=32, depth=4, heads=4)
    encoder.load_state_dict(below(arrays, "encoder/"))
    return encoder


def test_tokens_features_and_linear_logits(heads: Arrays) -> None:
    encoder = small_encoder(heads)
    head = LinearHead(32, 7)
    weights = below(heads, "linear_head/")
    head[1].load_state_dict({"weight": weights["fc.weight"], "bias": weights["fc.bias"]})
    x = tensor(heads["x"])
    with torch.no_grad():
        features = encoder(x)
        assert_allclose(encoder.tokens(x).numpy(), heads["tokens"], **TOLERANCE)
        assert_allclose(features.numpy(), heads["pooled"], **TOLERANCE)
        assert_allclose(head[1](features).numpy(), heads["linear_logits"], **TOLERANCE)


def test_finetune_logits(heads: Arrays) -> None:
    model = TunedEncoder(
        small_encoder(heads), FinetuneConfig(head_hidden=48), num_joints=25, num_classes=7, test_clips=0
    )
    model.head.load_state_dict(below(heads, "finetune_head/"))
    model.eval()
    with torch.no_grad():
        assert_allclose(model(tensor(heads["x"])).numpy(), heads["finetune_logits"], **TOLERANCE)
