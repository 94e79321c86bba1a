"""What a long run meets: losses that are no numbers, memory and disks that do not suffice. Nothing good is lost."""

from __future__ import annotations

import errno
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io import disk
from stars_bench.training import checkpoint, loop
from stars_bench.training.loop import Stage, train
from stars_bench.training.memory import OutOfMemory
from stars_bench.training.numerics.nan_guard import TOGETHER, Diverged, Watch
from stars_bench.training.parallel import distributed
from stars_bench.training.stages import StageRun
from stars_bench.training.step import SplitStep
from tests.training.small_steps import KINDS, outcome

CPU = torch.device("cpu")
BATCH = 4


def regression(bad_from: int | None = None, bad: float = math.nan, epochs: int = 3, samples: int = 20) -> Stage:
    """Five steps an epoch; from a step on the loss is `bad`."""
    torch.manual_seed(0)
    model, x = nn.Linear(4, 1), torch.randn(samples, 4)
    steps = 0

    def step(rows: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        return model(x[rows]).square().mean() * (bad if bad_from is not None and steps >= bad_from else 1)

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return Stage("s", {"tune_lr": 1e-2, "min_lr": 0.0}, model, optimizer, step, samples, epochs, BATCH)


def is_finite(state: Any) -> bool:
    if isinstance(state, Tensor):
        return bool(state.isfinite().all())
    return all(map(is_finite, state.values())) if isinstance(state, dict) else True


# --------------------------------------------------------------------------------------------- divergence


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_divergence_says_where_and_leaves_the_checkpoint_before_it(tmp_path: Path, bad: float) -> None:
    file = tmp_path / "s.resume.pt"
    with pytest.raises(Diverged) as told:
        train(regression(8, bad), seed=0, device=CPU, resume_file=file, checkpoint_seconds=0, precision="bf16")
    line = str(told.value)
    assert line.startswith(f"s: diverged: the loss is {bad} in epoch 2 of 3, step 8 (the last finite loss was 0.")
    assert f"the last good checkpoint is kept ({file})" in line
    assert line.endswith(
        "a lower learning rate, --set tune_lr=N (it was 0.01 there) or --precision float32 (it was bf16)"
    )
    kept = checkpoint.load(file)
    assert kept["position"]["step"] == 7
    assert is_finite(kept["module"])
    assert is_finite(kept["optimizer"]["state"])


def test_weights_that_diverge_before_the_loss_does_are_never_saved(tmp_path: Path) -> None:
    file, stage = tmp_path / "s.resume.pt", regression()
    steps = 0

    def spoil(gradient: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        return gradient * math.nan if steps == 6 else gradient

    stage.module.weight.register_hook(spoil)
    with pytest.raises(Diverged, match=r"the weights or the optimiser's state are not finite in epoch 2 of 3, step 6 "):
        train(stage, seed=0, device=CPU, resume_file=file, checkpoint_seconds=0)
    assert checkpoint.load(file)["position"]["step"] == 5
    assert is_finite(checkpoint.load(file)["module"])


def test_a_stage_whose_very_last_step_spoils_the_weights_is_not_finished(tmp_path: Path) -> None:
    stage = regression()
    stage.lr_factor = lambda epoch: math.nan if epoch > 2.75 else 1.0
    run = StageRun({}, 0, CPU, tmp_path / "seed0", {})
    with pytest.raises(Diverged, match="step 15"):
        run.train(stage)
    assert not list(tmp_path.rglob("*.pt"))


def test_the_device_is_waited_for_once_in_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    look = Watch.look

    def counted(self: Watch, step: int) -> None:
        looks.append(step)
        look(self, step)

    monkeypatch.setattr(Watch, "look", counted)
    train(regression(epochs=1, samples=1000), seed=0, device=CPU)
    assert looks == [TOGETHER, 2 * TOGETHER, 3 * TOGETHER, 250, 250]  # the last two: the epoch's end, the stage's end


def test_a_mask_that_is_infinite_by_intent_is_no_divergence(tmp_path: Path) -> None:
    stage = regression()
    stage.module.register_buffer("mask", torch.full((2,), -math.inf))
    train(stage, seed=0, device=CPU, resume_file=tmp_path / "s.resume.pt", checkpoint_seconds=0)
    assert (tmp_path / "s.resume.pt").exists()


# ------------------------------------------------------------------------------------------------- memory


def short_of_memory(monkeypatch: pytest.MonkeyPatch, rows: int, where: str = "encode", after: int = 0) -> list[int]:
    """Makes divided steps fail as a GPU does that has room for so many clips; gives the sizes that were tried."""
    tried: list[int] = []
    make = SplitStep.__init__

    def init(self: SplitStep, encode, loss=None) -> None:
        def limited(part: Tensor) -> Tensor:
            tried.append(len(part))
            if where == "encode" and len(part) > rows and len(tried) > after:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return encode(part)

        def loss_and_fail(encoded: Tensor, whole: Tensor) -> Tensor:
            value = loss(encoded, whole)  # the queue has moved on
            if where == "loss" and tried[-1] > rows:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return value

        make(self, limited, loss_and_fail if loss is not None else None)

    monkeypatch.setattr(SplitStep, "__init__", init)
    return tried


@pytest.mark.parametrize(("kind", "where"), [("stage1", "encode"), ("stage2", "encode"), ("stage2", "loss")])
def test_fit_batch_gives_the_bits_that_grad_accum_gives(monkeypatch: pytest.MonkeyPatch, kind: str, where: str) -> None:
    expected = outcome(kind, 7, micro_batches=4)
    said: list[str] = []
    tried = short_of_memory(monkeypatch, 2, where)
    got = outcome(kind, 7, fit_batch=True, tell=said.append)
    assert said == [f"{kind}: out of memory; goes on in {parts} micro-batches" for parts in (2, 4)]
    assert max(tried) == 7
    assert got.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in got.items())


def test_fit_batch_goes_on_from_the_last_checkpoint_and_remembers(monkeypatch, tmp_path: Path) -> None:
    file = tmp_path / "stage1.resume.pt"
    short_of_memory(monkeypatch, 4, after=2)  # the first two steps of four find room
    said: list[str] = []
    how = {"fit_batch": True, "tell": said.append, "resume_file": file, "checkpoint_seconds": 0}
    outcome("stage1", 7, **how)
    assert said[0] == "stage1: out of memory; goes on in 2 micro-batches"
    assert said[1].startswith("stage1: resumes from its checkpoint after step 2 of 4")
    assert checkpoint.load(file)["position"]["micro_batches"] == 2


NO_MEMORY = [
    torch.OutOfMemoryError("no"),
    MemoryError(),
    RuntimeError("can't allocate memory"),
    torch.AcceleratorError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("error", NO_MEMORY)
def test_without_fit_batch_the_setting_to_lower_is_named(error: Exception) -> None:
    stage = KINDS["stage1"](7)
    stage.config = {"tune_batch_size": 7}

    def encode(_: Tensor) -> Tensor:
        raise error

    stage.step = SplitStep(encode)
    with pytest.raises(OutOfMemory) as told:
        train(stage, seed=0, device=CPU, micro_batches=2)
    assert "stage1: out of memory with a batch of 7 in 2 micro-batches: --grad-accum 4 gives the same" in str(
        told.value
    )
    assert "--set tune_batch_size=N" in str(told.value)
    with pytest.raises(OutOfMemory, match="clip by clip"):
        train(stage, seed=0, device=CPU, fit_batch=True)


def test_a_step_that_cannot_be_divided_and_other_errors_are_left_as_they_are() -> None:
    stage = regression()

    def refuse(_: Tensor) -> Tensor:
        raise torch.OutOfMemoryError("no")

    stage.step = refuse
    with pytest.raises(OutOfMemory, match=r"cannot be divided .*: a smaller one, --set batch_size=N"):
        train(stage, seed=0, device=CPU, fit_batch=True)

    def broken(_: Tensor) -> Tensor:
        raise RuntimeError("shapes differ")

    stage.step = broken
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(stage, seed=0, device=CPU, fit_batch=True)


def test_fit_batch_is_for_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(UsageError, match="--fit-batch: only for one process; of several, give all the same"):
        train(regression(), seed=0, device=CPU, fit_batch=True)


def test_the_number_of_micro_batches_that_was_found_is_recorded(monkeypatch, tmp_path: Path) -> None:
    short_of_memory(monkeypatch, 2)
    run = StageRun({}, 0, CPU, tmp_path / "seed0", {}, fit_batch=True)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        run.train(KINDS["stage1"](7))
    finally:
        torch.set_default_dtype(before)
    assert run.stages[0].micro_batches == 4


# -------------------------------------------------------------------------------------------------- disks


def test_a_full_disk_costs_a_checkpoint_not_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    undisturbed = regression()
    train(undisturbed, seed=0, device=CPU)
    file, said = tmp_path / "s.resume.pt", []
    saved, save = 0, torch.save

    def full_after_two(state: dict[str, Any], stream: Any) -> None:
        nonlocal saved
        saved += 1
        if saved > 2:
            stream.write(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, stream)

    monkeypatch.setattr(torch, "save", full_after_two)
    stage = regression()
    train(stage, seed=0, device=CPU, resume_file=file, checkpoint_seconds=0, tell=said.append)
    assert torch.equal(stage.module.weight, undisturbed.module.weight)
    assert checkpoint.load(file)["position"]["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    assert said[0] == (
        f"s: goes on without a checkpoint of step 3: {file}: could not be written, the disk is full; what was there "
        "before is kept"
    )


def test_room_is_asked_for_before_a_checkpoint_is_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1_000_000})())
    checkpoint.save(tmp_path / "small.pt", {"x": {"y": [torch.zeros(100_000)]}})
    with pytest.raises(disk.NoRoom, match=r"large\.pt: needs 1.1 MB, 1.0 MB are free in"):
        checkpoint.save(tmp_path / "large.pt", {"x": {"y": [torch.zeros(250_000)]}})
    assert [path.name for path in tmp_path.iterdir()] == ["small.pt"]


def test_a_finished_stage_that_finds_no_room_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StarsBenchError, match=r"s-[0-9a-f]{16}\.pt: needs 0.0 MB"):
        StageRun({}, 0, CPU, tmp_path / "seed0", {}).train(regression())


def test_unfinished_stages_of_former_settings_are_kept_three_at_most(tmp_path: Path) -> None:
    def run(config: str) -> None:
        stage = regression(8)
        stage.config = {"config": config}
        with pytest.raises(Diverged):
            StageRun({}, 0, CPU, tmp_path / "seed0", {}, checkpoint_seconds=0).train(stage)

    for config in "abcdef":
        run(config)
    files = sorted((tmp_path / "seed0/stages").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    assert len(files) == checkpoint.KEPT
    run("d")  # the oldest that is left: its own checkpoint, which it goes on from, must stay
    assert {file.name for file in (tmp_path / "seed0/stages").iterdir()} == {file.name for file in files}
    assert loop._resume(regression(), files[0]).step == 7 + 7
