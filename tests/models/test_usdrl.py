"""USDRL: encoder and loss are those of the definition in float64; parameters are those counted in the program."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stars_bench.models.networks.usdrl import DSTE, DenseLayer, sine_positions
from stars_bench.models.usdrl import Decorrelation, UsdrlConfig
from tests.models import plain
from tests.models.test_graph_methods import clips, loud, norm

pytestmark = pytest.mark.usefixtures("float64")
CONFIG = UsdrlConfig(frames=12, width=6, drop_path=0.0)


def attention(layer: nn.MultiheadAttention, x: Tensor) -> Tensor:
    """One head, clip by clip."""
    out = []
    for rows in x:
        q, k, v = (rows @ layer.in_proj_weight.T + layer.in_proj_bias).chunk(3, 1)
        weights = (q @ k.T / q.shape[1] ** 0.5).softmax(1)
        out.append(weights @ v @ layer.out_proj.weight.T + layer.out_proj.bias)
    return torch.stack(out)


def dense_layer(layer: DenseLayer, x: Tensor) -> Tensor:
    """Half convolutional attention, half the mean of two branches: the shifted tokens and the tokens themselves."""
    first, second, attend = layer.convolutional, layer.dense, layer.dense.attention
    seen = x + (x @ layer.conv.weight[:, :, 0].T + layer.conv.bias).clamp_min(0)
    convolved = first.mlp(first.norm2(attention(first.attention, first.norm1(seen)) + x))
    w1, _, w2 = layer.shift
    shifted = torch.stack(
        [(w2.weight @ (w1.weight @ one + w1.bias[:, None]).clamp_min(0)) + w2.bias[:, None] for one in x]
    )
    shifted = shifted + x
    for place in range(0, x.shape[1], 4):
        shifted[:, place] = x[:, place]
    branches = []
    for tokens in (shifted, x):
        out = attention(attend, second.norm1(tokens)) + tokens
        branches.append(out + second.mlp(second.norm2(out)))
    return 0.5 * convolved + 0.5 * (branches[0] + branches[1]) / 2


def features(net: DSTE, x: Tensor) -> tuple[Tensor, Tensor]:
    """The largest values over frames and over joints."""
    _, _, t, v, m = x.shape
    frames = torch.stack([torch.stack([clip[:, f].permute(2, 1, 0).flatten() for f in range(t)]) for clip in x])
    joints = torch.stack(
        [torch.stack([clip[:, :, j, body].T.flatten() for body in range(m) for j in range(v)]) for clip in x]
    )
    frames, joints = net.embed_frames(frames), net.embed_joints(joints)
    for layer in net.over_frames:
        frames = dense_layer(layer, frames + net.positions)
    for layer in net.over_joints:
        joints = dense_layer(layer, joints + net.places)
    return frames.amax(1), joints.amax(1)


def project(head: nn.Sequential, x: Tensor) -> Tensor:
    for linear, layer in ((0, 1), (3, 4)):
        x = norm(x @ head[linear].weight.T + head[linear].bias, head[layer]).clamp_min(0)
    return x @ head[6].weight.T + head[6].bias


def domain(z: list[Tensor]) -> Tensor:
    """The loss of four projections, channel by channel and pair by pair."""
    centre, mean = (z[0] + z[1] + z[2]) / 3, lambda a, b: (a - b).square().mean()
    agree = sum(mean(z[i], z[3]) for i in range(3)) + sum(mean(z[i], centre) for i in range(3))
    rows, channels = z[0].shape
    spread = torch.zeros(())
    for one in z:
        away = one - one.mean(0)
        products = away.T @ away / (rows - 1)
        std = (products.diagonal() + 1e-4).sqrt()
        spread = spread + 5 * sum((1 - s).clamp_min(0) for s in std) / channels
        spread = (
            spread + sum(products[j, k] ** 2 for j in range(channels) for k in range(channels) if j != k) / channels
        )
    crossed = torch.zeros(())
    for i in range(4):
        for j in range(i + 1, 4):
            a, b = (
                (one - one.mean(0)) / ((one - one.mean(0)).square().sum(0) / (rows - 1)).sqrt() for one in (z[i], z[j])
            )
            c = a.T @ b / rows
            crossed = crossed + ((c.diagonal() - 1) ** 2).sum()
            crossed = crossed + 0.005 * ((c**2).sum() - (c.diagonal() ** 2).sum())
    return 5 * agree + spread + 0.001 * crossed


def test_the_loss_is_that_of_the_definition() -> None:
    model = loud(Decorrelation(DSTE(12, 6, 6, 0.0), CONFIG))
    seen = torch.stack([clips(5) for _ in range(4)], 1)
    loss = model.loss(model.encode(seen))
    pooled = [features(model.encoder, seen[:, view]) for view in range(4)]
    time, space = ([project(head, one[part]) for one in pooled] for part, head in ((0, model.time), (1, model.space)))
    instance = [project(model.instance, torch.cat(one, 1)) for one in pooled]
    expected = domain(instance) + 0.5 * (domain(time) + domain(space))
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    theirs = plain.gradients(model, expected)
    for name, _ in model.named_parameters():
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-8, atol=1e-9, msg=name)


def test_parameters_are_those_counted_in_the_program() -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        encoder = DSTE(64, 25)
        assert (count(encoder), count(Decorrelation(encoder, UsdrlConfig()))) == (57_137_368, 94_931_160)


def test_a_layer_that_shifts_nothing_has_two_equal_branches() -> None:
    layer = loud(DenseLayer(12, 6, 0.0))
    x = torch.randn(2, 12, 6)
    with torch.no_grad():
        for part in layer.shift[2].parameters():
            part.zero_()
    out = layer._branch(x, 0.0)
    seen = x + layer.conv(x.transpose(1, 2)).clamp_min(0).transpose(1, 2)
    half = layer.convolutional
    torch.testing.assert_close(layer(x), 0.5 * half.refine(half.attend(seen) + x) + 0.5 * out)


def test_frames_have_features_of_their_own() -> None:
    net, x = loud(DSTE(12, 6, 6)).eval(), clips()
    dense, (frames, joints) = net.dense(x), net.both(x)
    assert dense.shape == (4, 12, 12)
    torch.testing.assert_close(dense[:, :, :6], frames)
    torch.testing.assert_close(dense[:, 5, 6:], joints[:, 5])  # 12 joints of two bodies to 12 frames
    torch.testing.assert_close(net(x)[:, :6], dense[:, :, :6].amax(1))


def test_positions_are_sines_and_cosines() -> None:
    got = sine_positions(5, 4)
    for at in range(5):
        angle = torch.tensor([at, at, at / 100, at / 100], dtype=got.dtype)
        expected = torch.where(torch.tensor([True, False, True, False]), angle.sin(), angle.cos())
        torch.testing.assert_close(got[at], expected, rtol=1e-6, atol=1e-7)
