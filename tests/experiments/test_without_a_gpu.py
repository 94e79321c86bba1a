"""The code for GPUs on a stand-in that holds all in RAM: no operation mixes devices, no step waits for the GPU."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from stars_bench.data import placement
from stars_bench.errors import UsageError
from stars_bench.experiments import runner
from stars_bench.experiments.plan import choose_device, choose_precision
from stars_bench.experiments.request import Request, TrainingOptions
from stars_bench.inspection import gpu
from stars_bench.models.mamp import MampConfig, pretrain
from stars_bench.records.record import Record
from stars_bench.training import checkpoint
from stars_bench.training.loop import Stage
from stars_bench.training.parallel.batch_norm import of_the_whole_batch
from stars_bench.training.stages import StageRun
from tests.evaluation.small_subject import FRAMES, parts
from tests.stand_in_gpu import OnGpu, stand_in_gpu, waits

SIZE = ("frames=8", "dim=16", "depth=2", "heads=2")
TRAINING = ("batch_size=16", "epochs=1", "warmup_epochs=0", "tune_epochs=1", "tune_batch_size=16", "queue_size=40")
EVALUATIONS = {
    "knn": (),
    "linear": ("linear.epochs=2", "linear.batch_size=16"),
    "finetune": ("finetune.epochs=1", "finetune.batch_size=16"),
    "semi": ("semi.epochs=1", "semi.batch_size=4"),
    "clusters": (),
}


def measured(records: list[Record]) -> dict[str, dict[str, float]]:
    return {record.file_name: {metric.name: metric.value for metric in record.metrics} for record in records}


def test_the_stand_in_refuses_what_a_gpu_refuses_and_counts_what_waits() -> None:
    with stand_in_gpu():
        there, here = torch.ones(2, 3, device="cuda"), torch.ones(2, 3)
        assert there.device == torch.device("cuda", 0)
        assert there.is_cuda
        assert not here.is_cuda
        for mixed in (lambda: there + here, lambda: here @ there.T, lambda: here[there[:, 0].long()]):
            with pytest.raises(RuntimeError, match="on cuda:0"):
                mixed()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        numbers = torch.tensor([0, 2]).to("cuda", non_blocking=True)
        assert isinstance(there[:, numbers] * torch.tensor(2.0), OnGpu)
        assert not waits
        assert isinstance(there[:, [0, 2]], OnGpu)
        assert waits == {"index.Tensor": 1}
        waits.clear()
        assert type((there + here.cuda()).cpu()) is torch.Tensor
        assert float(there.sum()) == 6
        assert there[there > 0].shape == (6,)
        assert waits == {"_to_copy": 2, "_local_scalar_dense": 1, "index.Tensor": 1}


def test_the_whole_row_is_that_of_the_cpu(small_data: Path, tmp_path: Path) -> None:
    settings = (*SIZE, *TRAINING, *(item for items in EVALUATIONS.values() for item in items))
    here = Request(
        "stars",
        "xsub",
        small_data,
        tmp_path / "here",
        preset="quick",
        overrides=settings,
        training=TrainingOptions("cpu"),
    )
    here = replace(here, evaluations=tuple(EVALUATIONS))
    expected = measured(runner.run(here))
    with stand_in_gpu():
        request = replace(here, runs_dir=tmp_path / "there", training=TrainingOptions("cuda", "float32"))
        records = runner.run(request)
        assert measured(runner.run(request)) == expected  # once more, from what was saved
    assert measured(records) == expected
    assert {record.environment.device for record in records} == {"stand-in"}


def test_few_shot_episodes_are_those_of_the_cpu(small_data: Path, tmp_path: Path) -> None:
    settings = (*SIZE, "protocol.novel_classes=[9,23]", "fewshot.ways=[2]", "fewshot.queries=2", "fewshot.episodes=20")
    here = Request(
        "untrained",
        "fewshot",
        small_data,
        tmp_path / "a",
        preset="quick",
        overrides=settings,
        training=TrainingOptions("cpu"),
    )
    expected = measured(runner.run(here))
    with stand_in_gpu():
        there = replace(here, runs_dir=tmp_path / "b", training=TrainingOptions("cuda", "float32"))
        assert measured(runner.run(there)) == expected


@pytest.mark.parametrize("share", [1.0, 0.0], ids=["on the device", "in RAM"])
def test_a_step_of_stage_1_waits_for_nothing(share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An epoch of nine steps waits as often as one of three: beside its steps, for the log and for what is saved."""
    monkeypatch.setattr(placement, "SHARE", share)
    counts = []
    for batch in (16, 5):
        config = MampConfig(frames=FRAMES, dim=16, depth=1, heads=2, decoder_depth=1, batch_size=batch, epochs=1)
        with stand_in_gpu():
            clips = parts(48, 4, device="cuda")[0]
            assert isinstance(clips._store.coordinates, placement.InMemory) == (share == 0)
            pretrain(clips, StageRun(config, 0, torch.device("cuda"), tmp_path / f"{batch}", {}), config)
            counts.append(dict(waits))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(("later", "with_peak", "stated"), [(700, True, 900), (1000, True, 1000), (700, False, 700)])
def test_the_peak_of_a_stage_that_went_on_is_that_of_all_of_it(
    later: int, with_peak: bool, stated: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint from before peaks were kept in it (`with_peak` False) is gone on from all the same."""

    def train_with(peak: int, steps: float) -> StageRun:
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: peak)
        run = StageRun({}, 0, torch.device("cuda"), tmp_path / "seed0", {}, checkpoint_seconds=0, tell=said.append)
        run.train(interrupted(steps))
        return run

    said: list[str] = []
    with stand_in_gpu():
        with pytest.raises(KeyboardInterrupt):
            train_with(900, 5)
        file = next(tmp_path.rglob("*.resume.pt"))
        if not with_peak:
            state = checkpoint.load(file)
            del state["position"]["peak_bytes"]
            checkpoint.save(file, state)
        assert train_with(later, np.inf).stages[0].peak_bytes == stated
    assert "s: resumes from its checkpoint after step 5 of 8" in said[0]


def interrupted(after: float) -> Stage:
    """A stage of eight steps, interrupted after so many; weights in RAM, for no file holds tensors of the stand-in."""
    model, done = nn.Linear(4, 1), 0

    def step(_: torch.Tensor) -> torch.Tensor:
        nonlocal done
        if done == after:
            raise KeyboardInterrupt
        done += 1
        return model(torch.ones(4, 4)).square().mean()

    return Stage("s", {}, model, torch.optim.SGD(model.parameters(), 0.1), step, samples=16, epochs=2, batch_size=4)


def test_batches_from_ram_are_those_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = parts(48, 4)[0].whole(torch.arange(40), FRAMES)
    monkeypatch.setattr(placement, "SHARE", 0.0)
    with stand_in_gpu():
        clips, order = parts(48, 4, device="cuda")[0], torch.from_numpy(np.random.default_rng(0).permutation(40))
        rows = placement.with_host_copy(order, torch.device("cuda"))
        waits.clear()
        assert torch.equal(placement.on_host(rows[8:24][4:12]), order[12:20])  # a slice of a slice
        assert not waits
        found = torch.cat([clips.whole(some, FRAMES) for some in rows.split(16)]).cpu()
    assert torch.equal(found, expected[order])


@pytest.mark.parametrize(
    ("asked", "found"), [(None, "cuda:0"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cpu", "cpu")]
)
def test_a_gpu_is_chosen_by_its_number(asked: str | None, found: str) -> None:
    with stand_in_gpu():
        assert str(choose_device(asked)) == found


def test_what_a_gpu_has_no_unit_for_is_neither_the_default_nor_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in_gpu():
        gpu = choose_device("cuda")
        assert choose_precision(None, gpu) == "tf32"
        assert choose_precision("bf16", gpu) == "bf16"
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (7, 5))
        assert choose_precision(None, gpu) == "float32"
        assert choose_precision("float32", gpu) == "float32"
        for name in ("bf16", "tf32"):
            with pytest.raises(UsageError, match=f"--precision {name}: stand-in has none; use float32"):
                choose_precision(name, gpu)


def test_gpus_are_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be")

    with stand_in_gpu():
        texts = [finding.text for finding in gpu.examine()]
        monkeypatch.setattr(torch.cuda, "mem_get_info", full)
        *_, last = gpu.examine()
    assert texts[-1] == "stand-in, 32.0 of 32.0 GiB free, bf16"
    assert (last.state, last.text) == ("problem", "stand-in cannot be used (RuntimeError: CUDA error: out of memory)")


def test_a_batch_norm_of_several_processes_asks_the_gpu_nothing() -> None:
    layer, x = torch.nn.BatchNorm1d(3), torch.randn(5, 3)
    expected = copy.deepcopy(layer)(x)
    with stand_in_gpu():
        layer.cuda()
        there = x.cuda()
        waits.clear()
        with of_the_whole_batch(layer):
            found = layer(there)
        assert not waits
        torch.testing.assert_close(found.cpu(), expected)


def test_a_gpu_that_is_not_there_is_said() -> None:
    with stand_in_gpu(), pytest.raises(UsageError, match="--device cuda:3: only cuda:0 is there"):
        choose_device("cuda:3")
