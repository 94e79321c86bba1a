"""ST-GCN, SkeletonCLR and AimCLR: network, losses and gradients are those of their definitions, in float64."""

from __future__ import annotations

from copy import copy, deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stars_bench.data.clip_store import ClipPart
from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.models.aimclr import AimClr, AimClrConfig, ExtremeContrast
from stars_bench.models.layers.skeleton_graph import spatial_partitions
from stars_bench.models.networks.stgcn import STGCN
from stars_bench.models.raw import Coordinates
from stars_bench.models.skeletonclr import ContrastConfig, MomentumContrast, SkeletonClr
from stars_bench.models.stgcn import ClassifyingSTGCN, StgcnConfig
from stars_bench.testing.clips import training_part
from stars_bench.training.loop import Stage
from stars_bench.training.optim import step_decay
from tests.evaluation.small_subject import SIX
from tests.models import plain

pytestmark = pytest.mark.usefixtures("float64")
SMALL = {"frames": 12, "channels": 2, "dim": 5, "dropout": 0.0}
CONTRAST = SMALL | {"feature_dim": 4, "queue_size": 11}


def clips(count: int = 4) -> Tensor:
    x = torch.randn(count, 3, 12, 6, 2)
    x[1, ..., 1] = 0
    return x


def loud(module: nn.Module) -> nn.Module:
    """Larger weights than N(0, 0.02), under which nearly nothing passes ten blocks."""
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(parameter + 0.4 * torch.randn_like(parameter))
    return module


def norm(x: Tensor, layer: nn.Module) -> Tensor:
    """BatchNorm in training, of (N, C, ...)."""
    rows = x.transpose(0, 1).flatten(1)
    shape = (1, -1, *[1] * (x.ndim - 2))
    scaled = (x - rows.mean(1).view(shape)) / (rows.var(1, unbiased=False).view(shape) + layer.eps).sqrt()
    return scaled * layer.weight.view(shape) + layer.bias.view(shape)


def network(net: STGCN, x: Tensor) -> Tensor:
    """The last block's maps (B * M, D, T / 4, V) of clips, in single sums."""
    b, c, _, v, m = x.shape
    bodies = torch.stack([x[i, ..., body] for i in range(b) for body in range(m)])  # (N, C, T, V)
    values = torch.stack([bodies[:, channel, :, joint] for joint in range(v) for channel in range(c)], 1)
    values = norm(values, net.data_bn)
    out = torch.stack([torch.stack([values[:, joint * c + k] for joint in range(v)], 2) for k in range(c)], 1)
    for block, importance in zip(net.blocks, net.edge_importance, strict=True):
        conv, weights = block.gcn.conv, net.adjacency * importance
        spread = torch.einsum("oc,nctv->notv", conv.weight[:, :, 0, 0], out) + conv.bias.view(1, -1, 1, 1)
        parts = spread.chunk(3, 1)
        summed = sum(torch.stack([(parts[k] * weights[k, :, joint]).sum(3) for joint in range(v)], 3) for k in range(3))
        hidden, temporal = norm(summed, block.tcn[0]).clamp_min(0), block.tcn[2]
        stride, frames = temporal.stride[0], hidden.shape[2]
        rows = []
        for frame in range(0, frames, stride):
            taps = [(k, frame + k - 4) for k in range(9) if 0 <= frame + k - 4 < frames]
            rows.append(sum(torch.einsum("oc,ncv->nov", temporal.weight[:, :, k, 0], hidden[:, :, f]) for k, f in taps))
        after = norm(torch.stack(rows, 2) + temporal.bias.view(1, -1, 1, 1), block.tcn[3])
        if isinstance(block.residual, nn.Sequential):
            project, bn = block.residual
            short = torch.einsum("oc,nctv->notv", project.weight[:, :, 0, 0], out[:, :, ::stride])
            after = after + norm(short + project.bias.view(1, -1, 1, 1), bn)
        elif block.residual is not None:
            after = after + out
        out = after.clamp_min(0)
    return out


def features(net: STGCN, x: Tensor) -> Tensor:
    return network(net, x).mean((2, 3)).view(len(x), 2, -1).mean(1)


def placed(x: Tensor) -> Tensor:
    return torch.stack([clip - clip[:, :, :1] for clip in x])


def test_parameters_are_those_of_the_published_networks() -> None:
    partitions = spatial_partitions(KINECT_V2)
    counted = [
        sum(parameter.numel() for parameter in model.parameters())
        for model in (ClassifyingSTGCN(StgcnConfig(), partitions, 60), STGCN(50, partitions, channels=16))
    ]
    # Counted in the official programs: st_gcn.Model of yysijie/st-gcn with 60 classes; st_gcn.Model of Levigty/AimCLR
    # with hidden_channels 16, hidden_dim 256 and num_class 128, without its last layer.
    assert counted == [3_098_832, 854_276 - (256 * 128 + 128)]


def test_stgcn_with_labels() -> None:
    config = StgcnConfig(**SMALL)
    model, x = loud(ClassifyingSTGCN(config, spatial_partitions(SIX), 3)), clips()
    labels = torch.tensor([0, 2, 1, 2])
    logits = features(model, x) @ model.fc.weight.T + model.fc.bias
    expected = (logits.exp().sum(1).log() - logits[torch.arange(4), labels]).mean()
    loss = nn.functional.cross_entropy(model.classify(x), labels)
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), dict(model.named_parameters()))


def test_features_do_not_depend_on_the_batch_in_evaluation() -> None:
    net, x = loud(STGCN(12, spatial_partitions(SIX), channels=2, dim=5)), clips()
    net(x)
    net.eval()
    torch.testing.assert_close(net(x), torch.cat([net(x[i : i + 1]) for i in range(4)]))


def test_a_root_makes_features_the_same_wherever_a_body_stands() -> None:
    net = loud(STGCN(12, spatial_partitions(SIX), channels=2, dim=5, root=0)).eval()
    x = torch.randn(2, 3, 12, 6, 2)
    torch.testing.assert_close(net(x + torch.randn(2, 3, 12, 1, 2)), net(x))
    free = loud(STGCN(12, spatial_partitions(SIX), channels=2, dim=5)).eval()
    assert not torch.allclose(free(x + 1), free(x))


def project(head: nn.Sequential, h: Tensor) -> Tensor:
    hidden = (h @ head[0].weight.T + head[0].bias).clamp_min(0)
    return plain.unit(hidden @ head[2].weight.T + head[2].bias)


def test_skeletonclr(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = loud(MomentumContrast(ContrastConfig(**CONTRAST), SIX)), clips()
    shifts = iter([0.1, -0.2])
    monkeypatch.setattr(model, "view", lambda given: given * (1 + next(shifts)))  # two views that differ
    queue = model.queue.vectors.clone()
    loss = model.loss(model.encode(x))
    query = project(model.head, features(model.encoder, placed(x) * 1.1))
    with torch.no_grad():
        key = project(model.key_head.module, features(model.key_encoder.module, placed(x) * 0.8))
    expected = plain.info_nce(query, key, queue, 0.07)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(model.queue.vectors[:, :4], key.T)
    ours = plain.gradients(model, loss)
    learns = [name for name, _ in model.named_parameters() if not name.startswith("key_")]
    plain.assert_same_gradients(ours, plain.gradients(model, expected), learns)


@pytest.mark.parametrize("stream", ["bone", "motion"])
@pytest.mark.parametrize("method", [SkeletonClr, AimClr])
def test_bones_and_motion_are_made_of_augmented_joints(stream: str, method: type, monkeypatch) -> None:
    store = copy(training_part(SIX, labelled=False)._store)
    store.stream, seen = stream, []
    monkeypatch.setattr(STGCN, "features", lambda net, x: seen.append(x) or torch.zeros(len(x), net.dim))

    def nothing(_: object, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        seen.append(x)
        return torch.zeros(len(x), 5), torch.zeros(len(x), 5), torch.ones(len(x), 2)

    monkeypatch.setattr(ExtremeContrast, "attended", nothing)
    monkeypatch.setattr("stars_bench.models.aimclr.extreme_view", lambda joints, *_: joints.square())
    monkeypatch.setattr(MomentumContrast, "view", lambda _, joints: joints.square())  # commutes with no stream
    part = ClipPart(store, np.arange(8))

    class Run:
        config, device = method.Config(**CONTRAST, batch_size=8), torch.device("cpu")

        def train(self, stage: Stage) -> None:
            stage.step.encode(torch.arange(8))

    method().fit(part, Run())
    joints = placed(part.whole(torch.arange(8), 12, stream="joint")).square()
    parents = list(SIX.parents)
    wanted = joints - joints[:, :, :, parents] if stream == "bone" else torch.zeros_like(joints)
    if stream == "motion":
        wanted[:, :, :-1] = joints[:, :, 1:] - joints[:, :, :-1]
    assert len(seen) == (2 if method is SkeletonClr else 3)
    for x in seen:
        torch.testing.assert_close(x, wanted)


def test_the_key_encoder_starts_as_a_copy_or_on_its_own() -> None:
    for start in ("copy", "own"):
        model = MomentumContrast(ContrastConfig(**CONTRAST, key_start=start), SIX)
        for student, teacher in ((model.encoder, model.key_encoder), (model.head, model.key_head)):
            pairs = list(zip(student.parameters(), teacher.module.parameters(), strict=True))
            drawn = [pair for pair in pairs if pair[0].detach().std() > 0]  # biases and edges start alike everywhere
            assert all(torch.equal(*pair) == (start == "copy") for pair in drawn)
            assert {pair[1].requires_grad for pair in pairs} == {False}
            weights = [teacher for _, teacher in drawn if teacher.ndim > 1 and teacher.numel() > 50]
            assert all(0.01 < weight.std() < 0.03 for weight in weights)


def test_parts_of_a_batch_are_normalised_one_by_one_and_the_first_keeps_the_statistics() -> None:
    model, x = loud(ClassifyingSTGCN(StgcnConfig(**SMALL), spatial_partitions(SIX), 3)), clips()
    alone = [deepcopy(model) for _ in range(2)]
    logits = model.classify_in_parts(x, 2)
    expected = [one.classify(part) for one, part in zip(alone, x.chunk(2), strict=True)]
    torch.testing.assert_close(logits, torch.cat(expected))
    assert not torch.allclose(logits, deepcopy(model).classify(x))
    ours, first, second = (dict(one.named_buffers()) for one in (model, *alone))
    assert all(torch.allclose(ours[name], first[name]) for name in ours)
    assert not all(torch.allclose(ours[name], second[name]) for name in ours)


def test_after_a_step_the_key_encoder_follows() -> None:
    model = loud(MomentumContrast(ContrastConfig(**CONTRAST, momentum=0.9), SIX))
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    model.after_step(1)
    for name, parameter in model.named_parameters():
        own = before[name]
        if name.startswith("key_"):
            student = before[name.removeprefix("key_").replace("module.", "", 1)]
            torch.testing.assert_close(parameter, 0.9 * own + 0.1 * student)
        else:
            assert torch.equal(parameter, own)


@pytest.mark.parametrize("mined", [False, True])
def test_aimclr(mined: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = loud(ExtremeContrast(AimClrConfig(**CONTRAST, keep=0.66), SIX, mine_from=3))
    model.done.fill_(3 if mined else 2)
    x = clips()
    factors = iter([0.1, -0.2])
    monkeypatch.setattr(model, "view", lambda given: given * (1 + next(factors)))
    monkeypatch.setattr("stars_bench.models.aimclr.extreme_view", lambda given, *_: given * 1.5)
    queue = model.queue.vectors.clone()
    loss = model.loss(model.encode(x))

    x = placed(x)
    maps = network(model.encoder, x * 1.5)
    keep_joint, keep_value = torch.zeros(8, 6), torch.zeros_like(maps)
    attended = torch.zeros_like(maps)
    for n in range(8):
        for c in range(5):
            away = (maps[n, c] - maps[n, c].mean()).detach().square()
            energy = away / (4 * (away.sum() / (away.numel() - 1) + 1e-4)) + 0.5
            attended[n, c] = 1 / (1 + (-energy).exp())
        keep_joint[n] = (attended[n].mean((0, 1)) < 0.66).double()
        keep_value[n] = (attended[n] < 0.66).double()
    assert 0 < keep_joint.mean() < 1  # otherwise nothing is shown
    dropped = maps * keep_joint[:, None, None] * (keep_joint.numel() / keep_joint.sum())
    dropped = dropped * keep_value * (keep_value.numel() / keep_value.sum())
    pooled = [each.mean((2, 3)).view(4, 2, -1).mean(1) for each in (maps, dropped)]
    views = [project(model.head, h) for h in (features(model.encoder, x * 1.1), *pooled)]
    with torch.no_grad():
        key = project(model.key_head.module, features(model.key_encoder.module, x * 0.8))
    logits = [torch.cat([(q * key).sum(1, keepdim=True), q @ queue], 1) / 0.07 for q in views]
    log = [one - one.exp().sum(1, keepdim=True).log() for one in logits]
    target = log[0].detach().exp()
    first = torch.zeros(())
    for clip in range(4):
        positives = {0} | ({1 + int(one[clip, 1:].argmax()) for one in logits} if mined else set())
        first = first - sum(log[0][clip, column] for column in positives) / len(positives) / 4
    expected = first - ((log[1] * target).sum(1).mean() + (log[2] * target).sum(1).mean()) / 2
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    learns = [name for name, _ in model.named_parameters() if not name.startswith("key_")]
    plain.assert_same_gradients(ours, plain.gradients(model, expected), learns)
    torch.testing.assert_close(model.queue.vectors[:, :4], key.T)


def test_rates_fall_to_a_tenth_at_the_published_epochs() -> None:
    schedule = step_decay(StgcnConfig().milestones)
    assert [schedule(epoch) for epoch in (0, 9.99, 10, 49.99, 50, 79)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert [step_decay(ContrastConfig().milestones)(epoch) for epoch in (249.9, 250)] == pytest.approx([1, 0.1])


def test_raw_is_the_coordinates_from_where_the_first_body_begins() -> None:
    x = torch.randn(2, 3, 4, 6, 2)
    x[1, ..., 1] = 0
    got = Coordinates(frames=4, joints=6, centre=3)(x).view(2, 3, 4, 6, 2)
    for clip in range(2):
        torch.testing.assert_close(got[clip, ..., 0], x[clip, ..., 0] - x[clip, :, 0, 3, 0].view(3, 1, 1))
    torch.testing.assert_close(got[0, ..., 1], x[0, ..., 1] - x[0, :, 0, 3, 0].view(3, 1, 1))
    assert (got[1, ..., 1] == 0).all()
    moved = x + torch.tensor([1.0, -2.0, 3.0]).view(1, 3, 1, 1, 1) * (x != 0)
    torch.testing.assert_close(Coordinates(4, 6, 3)(moved).view_as(x), got)
