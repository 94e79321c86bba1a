"""CMD: the network runs forward frame by frame as in the program; the loss is that of its definition, in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from stars_bench.api import Skeleton
from stars_bench.errors import UsageError
from stars_bench.models.cmd import MODALITIES, Cmd, CmdConfig, Modality, MutualDistillation
from stars_bench.models.networks.gru import ForwardGRU
from stars_bench.testing.clips import training_part
from tests.evaluation.small_subject import SIX
from tests.models import plain
from tests.models.test_graph_methods import clips, norm

pytestmark = pytest.mark.usefixtures("float64")
CONFIG = CmdConfig(frames=12, width=4, depth=2, feature_dim=3, queue_size=10, neighbour_share=0.4)


def rows(x: Tensor) -> Tensor:
    """Clips as rows of frames: joint, then x y z, then body."""
    return torch.stack([torch.stack([clip[:, t].transpose(0, 1).flatten() for t in range(x.shape[2])]) for clip in x])


def features(net: ForwardGRU, x: Tensor) -> Tensor:
    """The last frame, by the equations of a GRU, frame by frame."""
    out = norm(rows(x).transpose(1, 2), net.norm).transpose(1, 2)
    for pair in net.layers:
        both = []
        for gru in pair:
            state, states = torch.zeros(len(x), gru.hidden_size), []
            for frame in out.unbind(1):
                r, z, n = (frame @ gru.weight_ih_l0.T + gru.bias_ih_l0).chunk(3, 1)
                hr, hz, hn = (state @ gru.weight_hh_l0.T + gru.bias_hh_l0).chunk(3, 1)
                r, z = 1 / (1 + (-(r + hr)).exp()), 1 / (1 + (-(z + hz)).exp())
                state = (1 - z) * (n + r * hn).tanh() + z * state
                states.append(state)
            both.append(torch.stack(states, 1))
        out = torch.cat(both, 2)
    return out[:, -1]


def project(head: nn.Sequential, h: Tensor) -> Tensor:
    return plain.unit((h @ head[0].weight.T + head[0].bias).clamp_min(0) @ head[2].weight.T + head[2].bias)


def model_of(config: CmdConfig = CONFIG, skeleton: Skeleton = SIX) -> MutualDistillation:
    model = MutualDistillation(config, skeleton).double()
    with torch.no_grad():  # copies that have moved
        for name, parameter in model.named_parameters():
            parameter.add_((0.3 if "key_" in name else 0.1) * torch.randn_like(parameter))
    return model


def test_the_loss_is_that_of_the_definition_clip_by_clip_and_pair_by_pair() -> None:
    model, seen = model_of(), torch.stack([clips(), clips()], 1)
    queues = {name: model.of(name).queue.vectors.clone() for name in MODALITIES}
    loss = model.loss(model.encode(seen))
    query, key, expected = {}, {}, torch.zeros(())
    for name in MODALITIES:
        views = []
        for joints in seen.unbind(1):
            view = joints - joints[:, :, :, list(SIX.parents)] if name == "bone" else joints
            if name == "motion":
                view = torch.cat([view[:, :, 1:] - view[:, :, :-1], torch.zeros_like(view[:, :, :1])], 2)
            views.append(view)
        one = model.of(name)
        query[name] = project(one.head, features(one.encoder, views[0]))
        with torch.no_grad():
            key[name] = project(one.key_head.module, features(one.key_encoder.module, views[1]))
        expected = expected + plain.info_nce(query[name], key[name], queues[name], 0.07)
    for teacher in MODALITIES:
        for student in MODALITIES:
            if teacher == student:
                continue
            for clip in range(4):
                similar = key[teacher][clip] @ queues[teacher]
                nearest = sorted(range(10), key=lambda entry, near=similar: -float(near[entry]))[:4]
                p = (similar[nearest] / 0.05).exp()
                r = ((query[student][clip] @ queues[student])[nearest] / 0.1).exp()
                p, r = p / p.sum(), r / r.sum()
                expected = expected + (p * (p.log() - r.log())).sum() / 4
    torch.testing.assert_close(loss, expected)
    ours = plain.gradients(model, loss)
    learns = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert learns
    assert not any("key_" in name for name in learns)
    plain.assert_same_gradients(ours, plain.gradients(model, expected), learns)


def test_the_network_is_the_programs_bidirectional_one_that_sees_one_frame_after_the_other() -> None:
    net = ForwardGRU(12, 6, 4, 2).double().eval()
    theirs = nn.GRU(36, 4, num_layers=2, bidirectional=True, batch_first=True).double()
    state = {}
    for layer, pair in enumerate(net.layers):
        for gru, ending in zip(pair, ("", "_reverse"), strict=True):
            state |= {f"{name[:-1]}{layer}{ending}": value for name, value in gru.state_dict().items()}
    theirs.load_state_dict(state)
    x = clips()
    out, hidden = [], None
    for frame in net.norm(rows(x).transpose(1, 2)).transpose(1, 2).unbind(1):
        step, hidden = theirs(frame[:, None], hidden)
        out.append(step[:, 0])
    torch.testing.assert_close(net.dense(x), torch.stack(out, 1))
    torch.testing.assert_close(net(x), out[-1])
    at_once, _ = theirs(net.norm(rows(x).transpose(1, 2)).transpose(1, 2))
    assert not torch.allclose(at_once[:, -1], out[-1])


def test_parameters_are_those_counted_in_the_program() -> None:
    with torch.device("meta"):
        model = Modality(CmdConfig(), 25)
    counts = {name: sum(p.numel() for p in getattr(model, name).parameters()) for name in ("encoder", "head")}
    assert counts == {"encoder": 44_998_656 + 300, "head": 4_196_352 + 262_272}
    assert sum(counts.values()) == 49_457_580


def test_modalities_that_agree_have_nothing_to_teach() -> None:
    model = model_of(CONFIG.model_copy(update={"teacher_temperature": 0.1}))
    similar = torch.randn(4, 10)
    assert model.distillation(similar, similar).abs() < 1e-12
    assert model.distillation(similar, -similar) > 0.1


def test_entries_of_the_queues_are_of_the_same_clips_after_a_round() -> None:
    model, keys = model_of(), {name: [] for name in MODALITIES}
    for step in range(4):  # 16 keys in queues of 10
        encoded = model.encode(torch.stack([clips(), clips()], 1))
        with torch.no_grad():
            for number, name in enumerate(MODALITIES):
                keys[name].append(model.of(name).project(encoded[:, number])[1])
        model.loss(encoded)
        model.after_step(step)
    for name in MODALITIES:
        queue, given = model.of(name).queue, torch.cat(keys[name])
        assert int(queue.pointer) == 6
        torch.testing.assert_close(queue.vectors.T, torch.cat([given[10:], given[6:10]]))


def test_a_stream_that_it_does_not_learn_is_refused() -> None:
    part = training_part(SIX, labelled=False)
    part._store.stream = "bone-motion"

    class Run:
        config, device = CONFIG, torch.device("cpu")

    with pytest.raises(UsageError, match="cmd learns joint, motion, bone, not bone-motion"):
        Cmd().fit(part, Run())


def test_a_score_is_that_of_the_joint_in_every_modality() -> None:
    model = model_of(skeleton=replace(SIX, channels=("x", "y", "score")))
    seen: list[Tensor] = []
    for name in MODALITIES:
        model.of(name).encoder.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    joints = torch.randn(3, 2, 3, 12, 6, 2)
    model.encode(joints)
    assert len(seen) == 3
    assert all(torch.equal(one[:, 2], joints[:, 0, 2]) for one in seen)
