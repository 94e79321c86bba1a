"""Tokens, pooled features and linear logits equal those of the official programs."""

from __future__ import annotations

import pytest
import torch
from numpy.testing import assert_allclose

from stars_bench.evaluation.linear import LinearHead
from stars_bench.models.encoder import SkeletonEncoder
from tests.golden.conftest import below, tensor

pytestmark = pytest.mark.usefixtures("float64")
TOLERANCE = {"rtol": 1e-6, "atol": 1e-6}


def test_tokens_features_and_linear_logits(golden) -> None:
    arrays = golden("heads.npz")
    encoder = SkeletonEncoder(frames=24, joints=25, dim=32, depth=4, heads=4)
    encoder.load_state_dict(below(arrays, "encoder/"))
    head = LinearHead(32, 7)
    weights = below(arrays, "linear_head/")
    head[1].load_state_dict({"weight": weights["fc.weight"], "bias": weights["fc.bias"]})
    x = tensor(arrays["x"])
    with torch.no_grad():
        features = encoder(x)
        assert_allclose(encoder.tokens(x).numpy(), arrays["tokens"], **TOLERANCE)
        assert_allclose(features.numpy(), arrays["pooled"], **TOLERANCE)
        assert_allclose(head[1](features).numpy(), arrays["linear_logits"], **TOLERANCE)
