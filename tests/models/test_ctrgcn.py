"""CTR-GCN: the network is that of its definition, sum by sum in float64; parameters, start and rates are published."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stars_bench.datasets.skeletons.kinect import KINECT_V2
from stars_bench.models.ctrgcn import ClassifyingCTRGCN, CtrgcnConfig
from stars_bench.models.layers.skeleton_graph import directed_partitions
from stars_bench.models.networks.ctrgcn import CTRGCN, Block, RefinedGraphConv
from tests.evaluation.small_subject import SIX
from tests.models import plain
from tests.models.test_graph_methods import clips, loud, norm

pytestmark = pytest.mark.usefixtures("float64")


def graph(layer: RefinedGraphConv, x: Tensor) -> Tensor:
    """A refined graph convolution, pair of joints by pair of joints."""
    n, _, t, v = x.shape
    after, r = len(layer.norm.weight), len(layer.receiver.weight) // 3
    out = torch.zeros(n, after, t, v)
    for part in range(3):
        a, b = (conv.weight[part * r : part * r + r, :, 0] for conv in (layer.receiver, layer.sender))
        a_bias, b_bias = (conv.bias[part * r : part * r + r] for conv in (layer.receiver, layer.sender))
        own = slice(part * after, part * after + after)
        values = torch.einsum("oc,nctv->notv", layer.value.weight[own, :, 0, 0], x)
        values = values + layer.value.bias[own].view(1, -1, 1, 1)
        p = (torch.einsum("rc,nctv->nrtv", a, x) + a_bias.view(1, -1, 1, 1)).mean(2)
        q = (torch.einsum("rc,nctv->nrtv", b, x) + b_bias.view(1, -1, 1, 1)).mean(2)
        columns = []
        for u in range(v):
            pairs = [(p[:, :, u] - q[:, :, w]).tanh() for w in range(v)]
            refined = [pair @ layer.refine.weight[own, :, 0, 0].T + layer.refine.bias[own] for pair in pairs]
            weights = [layer.graph[part, u, w] + layer.alpha * refined[w] for w in range(v)]
            columns.append(sum(weights[w][:, :, None] * values[:, :, :, w] for w in range(v)))
        out = out + torch.stack(columns, 3)
    short = x
    if isinstance(layer.down, nn.Sequential):
        short = norm(convolved(x, layer.down[0]), layer.down[1])
    return (norm(out, layer.norm) + short).clamp_min(0)


def convolved(x: Tensor, conv: nn.Conv2d) -> Tensor:
    """A convolution over time, tap by tap."""
    kernel, stride, dilation = conv.kernel_size[0], conv.stride[0], conv.dilation[0]
    half, frames = (kernel - 1) * dilation // 2, x.shape[2]
    rows = []
    for frame in range(0, frames, stride):
        taps = [(k, frame + k * dilation - half) for k in range(kernel)]
        taps = [(k, at) for k, at in taps if 0 <= at < frames]
        rows.append(sum(torch.einsum("oc,ncv->nov", conv.weight[:, :, k, 0], x[:, :, at]) for k, at in taps))
    return torch.stack(rows, 2) + conv.bias.view(1, -1, 1, 1)


def block(layer: Block, x: Tensor) -> Tensor:
    """A block, branch by branch."""
    seen, outs = graph(layer.gcn, x), []
    for branch in layer.tcn.branches[:3]:
        first, before, _, middle, after = branch
        narrow = norm(convolved(seen, first), before).clamp_min(0)
        if isinstance(middle, nn.MaxPool2d):
            frames, stride = narrow.shape[2], middle.stride[0]
            at = [narrow[:, :, max(f - 1, 0) : f + 2].amax(2) for f in range(0, frames, stride)]
            outs.append(norm(torch.stack(at, 2), after))
        else:
            outs.append(norm(convolved(narrow, middle), after))
    conv, after = layer.tcn.branches[3]
    outs.append(norm(convolved(seen, conv), after))
    out = torch.cat(outs, 1)
    if isinstance(layer.residual, nn.Sequential):
        out = out + norm(convolved(x, layer.residual[0]), layer.residual[1])
    elif layer.residual is not None:
        out = out + x
    return out.clamp_min(0)


def test_the_loss_is_that_of_the_definition() -> None:
    model = loud(ClassifyingCTRGCN(CtrgcnConfig(frames=8, width=4), directed_partitions(SIX), 3))
    x, labels = clips()[:, :, :8], torch.tensor([0, 2, 1, 2])
    b, _, t, v, m = x.shape
    values = torch.stack([x[:, c, :, j, k] for k in range(m) for j in range(v) for c in range(3)], 1)
    values = norm(values, model.data_bn).view(b, m, v, 3, t)
    out = torch.stack([values[i, k].permute(1, 2, 0) for i in range(b) for k in range(m)])
    for layer in model.blocks:
        out = block(layer, out)
    features = torch.stack([out[2 * i : 2 * i + 2].mean((2, 3)).mean(0) for i in range(b)])
    logits = features @ model.fc.weight.T + model.fc.bias
    expected = (logits.exp().sum(1).log() - logits[torch.arange(4), labels]).mean()
    loss = nn.functional.cross_entropy(model.classify(x), labels)
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), dict(model.named_parameters()))


def test_parameters_are_those_counted_in_the_official_program() -> None:
    partitions = directed_partitions(KINECT_V2)
    model = ClassifyingCTRGCN(CtrgcnConfig(), partitions, 60)

    def count(module: nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert [count(one) for one in model.blocks] == [
        12_052, *[26_308] * 3, 78_084, *[97_844] * 2, 301_748, *[382_228] * 2
    ]  # fmt: skip
    assert (count(model.fc), count(model.data_bn), count(model)) == (15_420, 300, 1_446_672)
    assert count(ClassifyingCTRGCN(CtrgcnConfig(), partitions, 120)) == 1_462_092


def test_the_graph_gives_a_joint_itself_its_children_and_its_parent() -> None:
    own, inward, outward = directed_partitions(KINECT_V2)
    np.testing.assert_array_equal(own, np.eye(25))
    for child, parent in enumerate(KINECT_V2.parents):
        if child != parent:
            assert inward[parent, child] == 1
            assert outward[child, parent] == np.float32(
                1 / sum(p == parent != c for c, p in enumerate(KINECT_V2.parents))
            )
    assert (np.count_nonzero(inward), np.count_nonzero(outward)) == (24, 24)


def test_at_the_start_a_unit_passes_its_input_and_its_graph_is_the_skeletons() -> None:
    layer = RefinedGraphConv(8, 8, directed_partitions(SIX)).double()
    x = torch.randn(2, 8, 4, 6)
    torch.testing.assert_close(layer(x), x.clamp_min(0), rtol=0, atol=1e-4)
    with torch.no_grad():
        nn.init.ones_(layer.norm.weight)
    values = layer.value(x).view(2, 3, 8, 4, 6)
    summed = sum(torch.einsum("uv,nctv->nctu", layer.graph[k], values[:, k]) for k in range(3))
    torch.testing.assert_close(layer(x), (norm(summed, layer.norm) + x).clamp_min(0))
    wide = RefinedGraphConv(64, 64, directed_partitions(SIX))
    stds = [float(conv.weight.detach().std()) for conv in (wide.value, wide.refine, wide.receiver)]
    assert stds == pytest.approx([0.177, 0.177, 0.5], rel=0.1)  # Kaiming, of 64 and of 8 channels


def test_joints_in_another_order_give_the_same_features() -> None:
    net, x = loud(CTRGCN(12, directed_partitions(SIX), 4)).eval(), clips()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    other = CTRGCN(12, directed_partitions(SIX), 4).double().eval()
    state = net.state_dict()
    for name, value in state.items():
        if name.endswith(".graph"):
            state[name] = value[:, order][:, :, order]
        elif name.startswith("data_bn.") and value.ndim:
            state[name] = value.view(2, 6, 3)[:, order].flatten()
    other.load_state_dict(state)
    torch.testing.assert_close(other(x[:, :, :, order]), net(x))
    assert not torch.allclose(net(x[:, :, :, order]), net(x))


def test_the_rate_rises_over_five_epochs_and_falls_at_35_and_55() -> None:
    schedule = CtrgcnConfig().schedule
    got = [schedule(epoch) for epoch in (0, 0.9, 1, 4, 5, 34.9, 35, 55)]
    assert got == pytest.approx([0.2, 0.2, 0.4, 1, 1, 1, 0.1, 0.01])
