"""The encoder: what is encoded once gives the same features and gradients as what is encoded every time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from stars_bench.models.layers.encoder import Block, SkeletonEncoder, bodies_of, distinct_bodies, stochastic_depth


def plain_features(encoder: SkeletonEncoder, x: Tensor) -> Tensor:
    """Every body of every clip encoded, then one mean: the definition."""
    tokens = encoder.blocks_from(encoder.embed(bodies_of(x)))
    return tokens.view(x.shape[0], -1, encoder.dim).mean(1)


@pytest.fixture
def clips() -> Tensor:
    """Two bodies; one and empty; one and its copy; empty and one; both empty."""
    x = torch.randn(5, 3, 8, 25, 2, dtype=torch.float64)
    x[1, ..., 1] = 0
    x[2, ..., 1] = x[2, ..., 0]
    x[3, ..., 0] = 0
    x[4] = 0
    return x


@pytest.mark.parametrize("frozen", [0, 1])
def test_absent_bodies_are_encoded_once_with_equal_features_and_gradients(clips: Tensor, frozen: int) -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=2, heads=2).double()
    features = encoder.features(clips, frozen)
    expected = plain_features(encoder, clips)
    torch.testing.assert_close(features, expected, rtol=0, atol=1e-12)
    weights = torch.randn_like(features)
    (features * weights).sum().backward()
    ours = {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}
    encoder.zero_grad()
    (expected * weights).sum().backward()
    for name, parameter in encoder.named_parameters():
        if frozen and not name.startswith(("blocks.1", "norm")):
            assert name not in ours
        else:
            torch.testing.assert_close(ours[name], parameter.grad, rtol=0, atol=1e-11)


def test_only_distinct_bodies_are_encoded(clips: Tensor) -> None:
    bodies, which = distinct_bodies(clips)
    assert len(bodies) == 6  # 2 + 1 + 1 + 1 and one empty body for all
    torch.testing.assert_close(bodies[which.flatten()], bodies_of(clips), rtol=0, atol=0)


def test_tokens_keep_their_places(clips: Tensor) -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=2, heads=2).double()
    tokens = encoder.tokens(clips)
    assert tokens.shape == (5, 2, 2, 25, 16)
    torch.testing.assert_close(tokens.flatten(1, 3).mean(1), encoder(clips))


def test_layers_for_decay() -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=2, heads=2)
    names = ["pos_embed", "joints_embed.proj.weight", "blocks.0.norm1.weight", "blocks.1.mlp.fc1.bias", "norm.weight"]
    assert [encoder.layer_of(name) for name in names] == [0, 0, 1, 2, 3]


def test_drop_path_leaves_out_whole_sequences_and_keeps_the_expectation() -> None:
    branch = torch.randn(20_000, 2, 3, dtype=torch.float64)
    factors = stochastic_depth(branch, 0.3)
    assert factors is not None
    kept = branch * factors
    left_out = (kept == 0).all((1, 2))
    assert float(left_out.double().mean()) == pytest.approx(0.3, abs=0.02)
    torch.testing.assert_close(kept[~left_out], branch[~left_out] / 0.7)
    assert stochastic_depth(branch, 0.0) is None


def test_drop_path_rises_linearly_over_the_blocks_and_a_seed_decides_it() -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=4, heads=2)
    assert [block.drop_path for block in encoder.blocks] == [0] * 4
    encoder.set_drop_path(0.3)
    assert [block.drop_path for block in encoder.blocks] == pytest.approx([0, 0.1, 0.2, 0.3])
    x = torch.randn(4, 3, 8, 25, 2)
    first, again, other = (torch.manual_seed(seed) and encoder(x) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_drop_path_is_for_training_alone() -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=2, heads=2)
    x = torch.randn(4, 3, 8, 25, 2)
    expected = encoder(x)
    encoder.set_drop_path(0.5)
    assert torch.equal(encoder.eval()(x), expected)
    encoder.train().set_drop_path(0)
    assert torch.equal(encoder(x), expected)


def test_drop_path_draws_for_every_body_on_its_own(clips: Tensor) -> None:
    encoder = SkeletonEncoder(frames=8, dim=16, depth=2, heads=2).double()
    encoded = []
    first = encoder.blocks[0]
    assert isinstance(first, Block)
    first.register_forward_hook(lambda _, inputs, __: encoded.append(len(inputs[0])))
    encoder.set_drop_path(0.5)
    encoder.tokens(clips)
    encoder.eval().tokens(clips)
    assert encoded == [10, 6]
    torch.manual_seed(0)
    same = encoder.train().tokens(clips[[1] * 8])[:, 1]  # one empty body in eight clips
    assert len(torch.unique(same.flatten(1), dim=0)) > 1


def test_coordinates_are_embedded_in_float32_under_bf16() -> None:
    encoder, bodies = SkeletonEncoder(frames=8, dim=16, depth=1, heads=2), torch.randn(3, 8, 25, 3)
    expected = encoder.embed(bodies)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.embed(bodies), expected)
        assert encoder.blocks[0].mlp(expected).dtype == torch.bfloat16
