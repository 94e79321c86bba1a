"""The training benchmark: the plain baseline gives our losses, gradients, features and clips; the counts are right."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import baseline_train as baseline
from benchmarks import train_device
from benchmarks.flops import Network
from benchmarks.train import NAMES, compare
from benchmarks.train_bench import Bench
from benchmarks.train_data import made_up, padded
from benchmarks.train_device import utilisation
from benchmarks.train_row import whole_row
from stars_bench.data.clip_store import rotate
from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.nnclr import OFFICIAL_GRADIENT_SCALE, NeighbourTuning
from stars_bench.models.mamp import MaskedPrediction
from stars_bench.models.stars import StarsConfig
from stars_bench.training.memory import OutOfMemory
from stars_bench.training.stage import Stage

SIZE = {"frames": 24, "joints": 25, "dim": 32, "depth": 4, "heads": 4}


@pytest.fixture
def clips() -> Tensor:
    """Four clips, one of two bodies."""
    part, _ = made_up(4, two_bodies=0.25, seed=1)
    return part.whole(torch.arange(4), SIZE["frames"]).double()


def encoders() -> tuple[SkeletonEncoder, baseline.Encoder]:
    torch.manual_seed(0)
    ours, theirs = SkeletonEncoder(**SIZE).double(), baseline.Encoder(**SIZE).double()
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def test_equal_features(clips: Tensor) -> None:
    ours, theirs = encoders()
    torch.testing.assert_close(ours(clips), theirs(clips), rtol=0, atol=1e-12)


def test_equal_loss_and_gradients_of_stage_1(clips: Tensor) -> None:
    ours = MaskedPrediction(encoders()[0], 2, 0.9, 0.8).double()
    theirs = baseline.MaskedPrediction(**SIZE, decoder_depth=2).double()
    theirs.load_state_dict({name.removeprefix("encoder."): value for name, value in ours.state_dict().items()})
    uniform = torch.rand(8, 150, dtype=torch.float64)
    losses = ours(clips, uniform), theirs(clips, uniform)
    torch.testing.assert_close(*losses, rtol=0, atol=1e-12)
    for loss in losses:
        loss.backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name.removeprefix("encoder.")], rtol=1e-9, atol=1e-12)


def test_equal_loss_and_gradients_of_stage_2(clips: Tensor) -> None:
    own, plain = encoders()
    ours = NeighbourTuning(own, queue_size=12, predictor_hidden=16).double()
    theirs = baseline.Tuning(plain, dim=32, queue_size=12, hidden=16).double()
    theirs.queue.copy_(ours.queue.vectors)
    theirs.projector.load_state_dict(ours.head.projector[0].state_dict())
    theirs.predictor.load_state_dict(ours.head.predictor.state_dict())
    for ids in (torch.tensor([3, 1, 2, 0]), torch.tensor([1, 3, 0, 2])):
        ours.zero_grad()
        theirs.zero_grad()
        losses = ours(clips, ids), theirs(clips, ids)
        torch.testing.assert_close(*losses, rtol=0, atol=1e-12)
        (losses[0] * OFFICIAL_GRADIENT_SCALE).backward()
        losses[1].backward()
        torch.testing.assert_close(theirs.queue, ours.queue.vectors, rtol=0, atol=1e-12)
        expected = {name: parameter.grad for name, parameter in theirs.encoder.named_parameters()}
        trained = {name: p.grad for name, p in ours.encoder.named_parameters() if p.grad is not None}
        assert {name.split(".")[1] for name in trained if name.startswith("blocks.")} == {"2", "3"}
        for name, gradient in trained.items():
            # In front of BatchNorm the gradient of a bias is zero: what is left of it is rounding.
            atol = 1e-11 if name == "norm.bias" else 1e-12
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=atol, msg=name)
        assert expected["blocks.0.mlp.fc1.weight"] is not None  # the public program goes back through all of it


def test_equal_clips_of_the_feeder() -> None:
    part, store = made_up(12, two_bodies=0.5, seed=2)
    theirs = baseline.PaddedClips(padded(store), (0.95,), 24)
    ours = part.whole(torch.arange(12), 24, 0.95)
    for row in range(12):
        torch.testing.assert_close(theirs[row], ours[row], rtol=1e-5, atol=1e-6)
    angles = torch.tensor([[0.1, -0.2, 0.3]])
    torch.testing.assert_close(baseline.turned(ours[0], angles[0]), rotate(ours[:1], angles)[0], rtol=1e-5, atol=1e-6)
    random_crops = baseline.feeder(baseline.PaddedClips(padded(store), (0.5, 1.0), 24), 4)
    assert next(random_crops).shape == (4, 3, 24, 25, 2)


def test_made_up_clips_have_the_share_of_two_body_clips() -> None:
    _, store = made_up(400, two_bodies=0.24, seed=0)
    assert int((store.bodies == 2).sum()) == 96
    assert 60 < float(store.frames.double().mean()) < 110
    assert np.isfinite(store.coordinates.joints.numpy()).all()


def test_the_counts_are_those_of_the_paper_preset() -> None:
    assert Network(decoder_depth=3).stage1() / 1e9 == pytest.approx(37.6, abs=0.05)
    assert Network(decoder_depth=5).stage1() / 1e9 == pytest.approx(58.6, abs=0.05)
    assert Network().stage1() * 40_091 * 400 == pytest.approx(6.0e17, rel=0.01)


def test_the_counts_are_what_torch_counts() -> None:
    shapes = Network(frames=24, dim=32, depth=4, decoder_depth=2)
    x = torch.randn(1, 3, 24, 25, 2)
    counts = []
    for model in (baseline.MaskedPrediction(**SIZE, decoder_depth=2), MaskedPrediction(encoders()[0].float(), 2, 0.9)):
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted:
            model(x).backward()
        counts.append(counted.get_total_flops())
    no_gradient = 2 * shapes.embedding  # of the two bodies' joints
    assert counts[0] == pytest.approx(shapes.stage1() - no_gradient, rel=1e-6)
    assert 0.90 < counts[1] / counts[0] < 0.95  # what hidden tokens share and visible ones are not asked for
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counted, torch.no_grad():
        encoders()[0].float()(torch.randn(1, 3, 24, 25, 2))
    assert counted.get_total_flops() == pytest.approx(shapes.features(), rel=1e-6)


def small_bench(**changes: object) -> Bench:
    config = StarsConfig.preset("quick", "ntu60").model_copy(update={"dim": 16, "depth": 2, "heads": 2, "frames": 16})
    config = config.model_copy(update={"tune_batch_size": 4, "batch_size": 4, "queue_size": 16})
    return replace(Bench(torch.device("cpu"), config, batch=4, clips=8), **changes)


def test_every_comparison_runs() -> None:
    found = compare(small_bench(), list(NAMES), rounds=1)
    named = {name for name, _ in found}
    assert named == {"stage1", "stage2", "heads", "features", "feeder, train", "feeder, test"}
    assert all(ratio > 0 for ratio in found.values())


def test_what_does_not_fit_into_memory_costs_its_own_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = train_device.train

    def short(stage: Stage, **how: Any) -> object:
        if stage.name == "supervised":
            raise OutOfMemory("supervised: out of GPU memory")
        return real(stage, **how)

    monkeypatch.setattr(train_device, "train", short)
    console = Console(width=150, file=sys.stdout)
    utilisation(small_bench(), [4, 8], None, console)
    rows = [line for line in capsys.readouterr().out.splitlines() if "; float32; " in line]
    assert [line.partition(";")[0] for line in rows] == [
        "features (linear: forward)",
        *["stage 1", "stage 2, half kept", "stage 2, half computed", "fine-tuning"] * 2,
    ]
    assert [line.endswith("out of memory") for line in rows] == [False, *[False, False, False, True] * 2]


@pytest.mark.slow
def test_what_the_next_gpu_runs_runs_on_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(width=150, file=sys.stdout)
    bench = small_bench(steps=2, precisions=("float32", "bf16"))
    table = utilisation(bench, [4], None, console)
    assert table.row_count == 10  # features and four works, in two precisions
    full = whole_row(bench, console, (260, 12)).full
    assert set(full) == {"clips on the device", "stage1", "stage2", "kNN", "linear"}
    assert full["stage1"] > 50 * full["clips on the device"]
    printed = capsys.readouterr().out
    assert "peak of bf16 products, measured" in printed
    assert "fine-tuning, bf16" in printed  # the profiler's table
    assert "extrapolated" in printed
