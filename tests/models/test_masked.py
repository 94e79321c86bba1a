"""Masked prediction of joints (MAE): loss and gradients are those of the definition, token by token."""

from __future__ import annotations

import torch

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.mamp import MaskedPrediction
from tests.models import plain


def test_mae_predicts_the_hidden_joints() -> None:
    torch.manual_seed(0)
    encoder = SkeletonEncoder(frames=8, joints=6, dim=8, depth=2, heads=2)
    model = MaskedPrediction(encoder, decoder_depth=1, mask_ratio=0.6, target="joints").double()
    x, uniform = torch.randn(2, 3, 8, 6, 2, dtype=torch.float64), torch.rand(4, 12, dtype=torch.float64)
    errors = []
    for body, draws in enumerate(uniform):
        joints = x[body // 2, :, :, :, body % 2].permute(1, 2, 0)  # (T, V, 3)
        visible = sorted(range(12), key=lambda token, draws=draws: float(draws[token]))[: int(12 * (1 - 0.6))]
        tokens = model.encoder.embed(joints[None])[0]
        encoded = tokens[visible][None]
        for block in model.encoder.blocks:
            encoded = block(encoded)
        encoded = model.decoder_embed(model.encoder.norm(encoded))[0]
        rows = [encoded[visible.index(token)] if token in visible else model.mask_token[0, 0] for token in range(12)]
        places = [model.decoder_temp_embed[0, t // 6, 0] + model.decoder_pos_embed[0, 0, t % 6] for t in range(12)]
        full = torch.stack([row + place for row, place in zip(rows, places, strict=True)])[None]
        for block in model.decoder_blocks:
            full = block(full)
        predicted = model.decoder_pred(model.decoder_norm(full))[0]
        for token in set(range(12)) - set(visible):
            segment, joint = divmod(token, 6)
            patch = joints[4 * segment : 4 * segment + 4, joint].flatten()
            target = (patch - patch.mean()) / (patch.var() + 1e-6).sqrt()
            errors.append((predicted[token] - target).square().mean())
    expected = torch.stack(errors).mean()
    loss = model(x, uniform)
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), dict(model.named_parameters()))
