"""What is kept of the frozen half gives the same features, gradients and weights as a plain forward of every batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import Tensor

from stars_bench.models.layers.encoder import SkeletonEncoder
from stars_bench.models.layers.frozen_features import CHUNK, FrozenHalf, memory_share
from stars_bench.models.layers.nnclr import TuningConfig, tune
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import FRAMES, JOINTS, parts
from tests.stand_in_gpu import stand_in_gpu

CLIPS = CHUNK + 10
CONFIG = TuningConfig(tune_epochs=2, tune_batch_size=16, queue_size=40, predictor_hidden=16)


def half_of(limit: int | None, frozen: int = 1) -> FrozenHalf:
    clips = parts(CLIPS, 0)[0]
    clips._store.coordinates.joints = clips._store.coordinates.joints.double()
    torch.manual_seed(0)
    encoder = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2).double()
    return FrozenHalf(encoder, clips, frozen, limit)


def features_and_gradients(half: FrozenHalf, rows: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    half.encoder.zero_grad()
    features = half.features(rows)
    (features * torch.arange(features.numel()).view_as(features)).sum().backward()
    return features.detach(), {n: p.grad.clone() for n, p in half.encoder.named_parameters() if p.grad is not None}


def test_kept_tokens_give_equal_features_and_gradients() -> None:
    kept, plain = half_of(None), half_of(0)
    for rows in (torch.tensor([3, 70, 3, 1]), torch.arange(CLIPS)):
        (ours, gradients), (expected, wanted) = features_and_gradients(kept, rows), features_and_gradients(plain, rows)
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)
        assert gradients.keys() == wanted.keys()
        assert {name.split(".")[1] for name in gradients if name.startswith("blocks.")} == {"1"}
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, wanted[name], rtol=1e-12, atol=1e-9, msg=name)


def test_where_the_heads_learn_alone_features_are_kept() -> None:
    half, rows = half_of(None, frozen=2), torch.tensor([3, 70, 3, 1])
    half.encoder.requires_grad_(False)
    expected = half.encoder(half.clips.whole(rows, FRAMES))
    torch.testing.assert_close(half.features(rows), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(half.encoder.features(half.clips.whole(rows, FRAMES), 2), expected, rtol=0, atol=1e-12)
    assert half.kept is not None
    assert half.kept[0].shape == (int(half.clips._store.bodies.sum()) + 1, 1, 16)


def test_a_last_norm_that_learns_is_not_kept() -> None:
    half, rows = half_of(None, frozen=2), torch.tensor([3, 1])
    features, gradients = features_and_gradients(half, rows)
    assert gradients.keys() == {"norm.weight", "norm.bias"}
    torch.testing.assert_close(features, half.encoder(half.clips.whole(rows, FRAMES)).detach(), rtol=0, atol=1e-12)


def test_the_frozen_part_is_computed_once_for_every_distinct_body() -> None:
    half = half_of(None)
    seen: list[int] = []
    half.encoder.blocks[0].register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    for _ in range(3):
        half.features(torch.arange(20))
    assert sum(seen) == int(half.clips._store.bodies.sum()) + 1  # and one empty body for all


def test_no_more_is_kept_than_allowed() -> None:
    bodies = int(half_of(None).clips._store.bodies.sum()) + 1
    needed = bodies * (FRAMES // 4) * JOINTS * 16 * 8
    for limit, fits in ((needed, True), (needed - 1, False)):
        half = half_of(limit)
        half.features(torch.arange(4))
        assert (half.kept is not None) == fits


def test_a_share_of_the_machine_is_shared_by_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1 << 62))
    alone = memory_share(cpu)
    assert alone > 1 << 24
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_share(cpu) == pytest.approx(alone / 4, abs=1)


def test_a_gpu_keeps_what_leaves_a_step_its_memory() -> None:
    for memory, kept in ((12e9, 0), (25.3e9, 5.3e9), (85e9, 65e9)):  # a step at the paper's size: 9 GB
        with stand_in_gpu(int(memory)):
            assert memory_share(torch.device("cuda")) == int(kept)


def test_where_others_use_the_memory_less_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert memory_share(torch.device("cpu")) == 500
    with stand_in_gpu(int(85e9)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(20e9), int(85e9)))
        assert memory_share(torch.device("cuda")) == int(8e9)
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: int(3e9))  # of it nothing is in use
        assert memory_share(torch.device("cuda")) == int(11e9)


def test_what_does_not_fit_is_told_once_with_what_helps(caplog: pytest.LogCaptureFixture) -> None:
    half = half_of(0)
    for _ in range(2):
        half.features(torch.arange(4))
    (line,) = [record.message for record in caplog.records]
    assert "to keep, and 0 GB may be kept: each step computes it again" in line


class Stopped(Exception):
    """Stands for a kill."""


def tuned(
    folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int | None = None, stop_at: int | None = None
) -> Tensor:
    """The first tuned weight after stage 2; `stop_at`: the run is killed at that step, and then run again."""
    original, calls = FrozenHalf.features, 0

    def features(self: FrozenHalf, rows: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == stop_at:
            raise Stopped
        self.limit = self.limit if limit is None else limit
        return original(self, rows)

    monkeypatch.setattr(FrozenHalf, "features", features)

    def once() -> Tensor:
        torch.manual_seed(0)
        encoder = SkeletonEncoder(FRAMES, JOINTS, dim=16, depth=2, heads=2)
        run = StageRun(CONFIG, 0, torch.device("cpu"), folder, {}, checkpoint_seconds=0)
        clips = parts(CLIPS, 0)[0]
        clips._store.coordinates.joints = clips._store.coordinates.joints.to(torch.get_default_dtype())
        return tune(clips, run, encoder, CONFIG).blocks[1].mlp.fc1.weight.detach()

    if stop_at is not None:
        with pytest.raises(Stopped):
            once()
    return once()


def test_a_killed_run_fills_again_and_goes_on_to_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed = tuned(tmp_path / "a", monkeypatch)
    monkeypatch.undo()
    assert torch.equal(tuned(tmp_path / "b", monkeypatch, stop_at=6), undisturbed)


@pytest.fixture
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64")
def test_stage_2_gives_the_same_weights_with_and_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuned(tmp_path / "a", monkeypatch)
    monkeypatch.undo()
    torch.testing.assert_close(tuned(tmp_path / "b", monkeypatch, limit=0), kept, rtol=0, atol=1e-9)
