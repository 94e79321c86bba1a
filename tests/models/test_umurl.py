"""UmURL: encoder and loss are those of the definition in float64; parameters are those counted in the program."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from stars_bench.errors import UsageError
from stars_bench.models.networks.umurl import MODALITIES, FusedEncoder
from stars_bench.models.umurl import Umurl, UmurlConfig, Unified
from stars_bench.testing.clips import training_part
from tests.evaluation.small_subject import SIX
from tests.models import plain
from tests.models.test_graph_methods import clips, loud
from tests.models.test_usdrl import attention, project

pytestmark = pytest.mark.usefixtures("float64")
CONFIG = UmurlConfig(frames=12, width=6)


def encoder(planar: bool = False) -> FusedEncoder:
    return FusedEncoder(12, 6, 6, SIX.parents, planar)


def transformer(layer: nn.TransformerEncoderLayer, x: Tensor) -> Tensor:
    """A layer with its norms behind the branches."""
    x = layer.norm1(x + attention(layer.self_attn, x))
    return layer.norm2(x + layer.linear2(layer.linear1(x).clamp_min(0)))


def embedded(net: FusedEncoder, name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens of frames and of joints, one by one."""
    if name == "bone":
        x = x - x[:, :, :, list(SIX.parents)]
    elif name == "motion":
        x = torch.cat([x[:, :, 1:] - x[:, :, :-1], torch.zeros_like(x[:, :, :1])], 2)
    frames = torch.stack([torch.stack([clip[:, t].permute(2, 1, 0).flatten() for t in range(12)]) for clip in x])
    joints = torch.stack(
        [torch.stack([clip[:, :, j, m].T.flatten() for m in range(2) for j in range(6)]) for clip in x]
    )
    return net.embed_frames[name](frames), net.embed_joints[name](joints)


def pooled(net: FusedEncoder, frames: Tensor, joints: Tensor) -> Tensor:
    frames, joints = transformer(net.over_frames, frames + net.positions), transformer(net.over_joints, joints)
    return torch.cat([frames.amax(1), joints.amax(1)], 1)


def spread(z: Tensor) -> Tensor:
    """Five times the missing deviation and the squared covariances, channel by channel."""
    rows, channels = z.shape
    away = z - z.mean(0)
    products = away.T @ away / (rows - 1)
    missing = sum((1 - (products[j, j] + 1e-4).sqrt()).clamp_min(0) for j in range(channels)) / channels
    return 5 * missing + (products.square().sum() - products.diagonal().square().sum()) / channels


def test_the_loss_is_that_of_the_definition() -> None:
    model = loud(Unified(encoder(), CONFIG))
    net, seen = model.encoder, torch.stack([clips(5) for _ in range(4)], 1)
    loss = model.loss(model.encode(seen))
    single = [pooled(net, *embedded(net, name, seen[:, view])) for view, name in enumerate(MODALITIES)]
    frames, joints = (sum(parts) / 3 for parts in zip(*(embedded(net, m, seen[:, 3]) for m in MODALITIES), strict=True))
    fused = pooled(net, frames @ net.fuse_frames.weight.T, joints @ net.fuse_joints.weight.T)
    z = [project(model.projectors[name], one) for name, one in zip(MODALITIES, single, strict=True)]
    u = [project(model.projectors[name], fused) for name in MODALITIES]
    centre = (z[0] + z[1] + z[2]) / 3
    agree = sum((z[m] - u[m]).square().mean() + (z[m] - centre).square().mean() for m in range(3))
    expected = 5 * agree + sum(spread(one) for one in (*z, *u))
    torch.testing.assert_close(loss, expected)
    ours, theirs = plain.gradients(model, loss), plain.gradients(model, expected)
    for name, _ in model.named_parameters():
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-8, atol=1e-9, msg=name)


def test_parameters_are_those_counted_in_the_program() -> None:
    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device("meta"):
        net = FusedEncoder(64, 25)
        assert (count(net), count(Unified(net, UmurlConfig()))) == (22_067_200, 72_448_000)


def test_the_features_of_joints_are_those_of_all_three_modalities() -> None:
    net, x = loud(encoder()).eval(), clips()
    frames, joints = (sum(parts) / 3 for parts in zip(*(embedded(net, m, x) for m in MODALITIES), strict=True))
    torch.testing.assert_close(net(x), pooled(net, net.fuse_frames(frames), net.fuse_joints(joints)))


def test_a_score_is_that_of_the_joint_in_every_modality() -> None:
    net, seen = encoder(planar=True), []
    x = torch.randn(2, 3, 12, 6, 2)
    for name in MODALITIES:
        net.embed_frames[name].register_forward_pre_hook(lambda _, given: seen.append(given[0].view(2, 12, 2, 6, 3)))
    net(x)
    assert len(seen) == 3
    assert all(torch.equal(one[..., 2], x[:, 2].transpose(2, 3)) for one in seen)
    assert not torch.equal(seen[0][..., :2], seen[1][..., :2])


def test_another_stream_than_joints_is_refused() -> None:
    part = training_part(SIX, labelled=False)
    part._store.stream = "bone"

    class Run:
        config, device = CONFIG, torch.device("cpu")

    with pytest.raises(UsageError, match="leave --stream bone out"):
        Umurl().fit(part, Run())
