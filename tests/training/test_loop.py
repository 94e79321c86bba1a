"""The loop: a stopped stage goes on as if it had not been stopped, one seed gives one result, faults say what to do."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.io import files
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.source import closure
from stars_bench.training import checkpoint, loop
from stars_bench.training.loop import Stage, set_precision, train
from stars_bench.training.optim import clip_each, warmup_cosine
from stars_bench.training.stages import StageRun
from tests.training.small_steps import outcome

CPU = torch.device("cpu")


class Stopped(Exception):
    """Stands for a kill."""


def small_stage(stop_at: int | None = None, epochs: int = 3, **changes) -> Stage:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
    data = torch.randn(22, 4, generator=torch.Generator().manual_seed(1))
    steps = 0

    def step(rows: Tensor) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == stop_at:
            raise Stopped
        return (model(data[rows] + 0.1 * torch.randn(len(rows), 4)) - data[rows].sum(1, keepdim=True)).square().mean()

    settings = {"name": "s", "config": {}, "samples": 22, "epochs": epochs, "batch_size": 4} | changes
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    schedule = warmup_cosine(epochs, 1, 0.1)
    return Stage(module=model, optimizer=optimizer, step=step, lr_factor=schedule, **settings)


@pytest.mark.parametrize("stop_at", [1, 2, 5, 6, 7, 14, 15])
def test_a_killed_stage_goes_on_to_the_same_weights(tmp_path: Path, stop_at: int) -> None:
    undisturbed = small_stage()
    log = train(undisturbed, seed=7, device=CPU).log
    resume_file = tmp_path / "s.resume.pt"
    with pytest.raises(Stopped):
        train(small_stage(stop_at), seed=7, device=CPU, resume_file=resume_file, checkpoint_seconds=0)
    torch.rand(3)  # the state of the global generators must not matter
    again = small_stage()
    resumed = train(again, seed=7, device=CPU, resume_file=resume_file, checkpoint_seconds=0)
    for name, value in undisturbed.module.state_dict().items():
        assert torch.equal(value, again.module.state_dict()[name]), name
    assert resumed.log == log


def test_after_step_is_called_once_after_each_update_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    def hooked(stop_at: int | None = None) -> tuple[Stage, list[int], list[Tensor]]:
        stage, steps, weights = small_stage(stop_at), [], []

        def after_step(step: int) -> None:
            steps.append(step)
            weights.append(stage.module[0].weight.detach().clone())

        stage.after_step = after_step
        return stage, steps, weights

    stage, steps, weights = hooked()
    train(stage, seed=7, device=CPU)
    assert steps == list(range(1, 16))
    assert all(not torch.equal(one, other) for one, other in pairwise(weights))
    assert torch.equal(weights[-1], stage.module[0].weight)
    killed, before, _ = hooked(stop_at=7)
    how = {"seed": 7, "device": CPU, "resume_file": tmp_path / "s.resume.pt", "checkpoint_seconds": 0}
    with pytest.raises(Stopped):
        train(killed, **how)
    again, after, _ = hooked()
    train(again, **how)
    assert before + after == steps


@pytest.mark.parametrize("kind", ["stage1", "stage2", "moco", "finetune", "undivided"])
@pytest.mark.parametrize("micro_batches", [1, 2])
def test_a_killed_stage_goes_on_to_the_same_bits_and_says_from_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, micro_batches: int
) -> None:
    micro_batches = 1 if kind == "undivided" else micro_batches
    undisturbed = outcome(kind, 7, micro_batches=micro_batches)
    save, said = checkpoint.save, []

    def save_and_die(path: Path, state: dict[str, Any]) -> None:
        save(path, state)
        raise Stopped

    monkeypatch.setattr(checkpoint, "save", save_and_die)
    how = {"resume_file": tmp_path / "killed.resume.pt", "checkpoint_seconds": 0, "tell": said.append}
    for _ in range(3):  # one step, and all but the file is forgotten
        with pytest.raises(Stopped):
            outcome(kind, 7, micro_batches=micro_batches, **how)
        torch.rand(3)
    resumed = outcome(kind, 7, micro_batches=micro_batches, **how)
    assert undisturbed.keys() == resumed.keys()  # weights, queue, statistics, optimiser, losses
    assert all(torch.equal(value, resumed[name]) for name, value in undisturbed.items())
    places = ((1, 1), (2, 2), (3, 2))
    assert [line.split(",")[0] for line in said] == [
        f"{kind}: resumes from its checkpoint after step {step} of 4 (epoch {epoch} of 2" for step, epoch in places
    ]


@pytest.mark.parametrize("left", [b"", b"half a file"])
def test_a_damaged_checkpoint_is_set_aside_and_the_stage_starts_anew(tmp_path: Path, left: bytes) -> None:
    undisturbed, said = outcome("stage1", 7), []
    file = tmp_path / "stage1.resume.pt"
    file.write_bytes(left)
    again = outcome("stage1", 7, resume_file=file, checkpoint_seconds=0, tell=said.append)
    assert all(torch.equal(value, again[name]) for name, value in undisturbed.items())
    aside = tmp_path / "stage1.resume.pt.damaged"
    assert said == [f"stage1: starts anew, for its checkpoint is damaged (kept as {aside})"]
    assert aside.read_bytes() == left
    assert checkpoint.load(file)["position"]["step"] == 3  # after the last step there is nothing to go on from


def test_every_step_draws_numbers_and_every_epoch_an_order_of_its_own() -> None:
    stage, drawn, rows_of = small_stage(), [], []

    def step(rows: Tensor) -> Tensor:
        rows_of.append(rows.tolist())
        drawn.append(torch.rand(1).item())
        return stage.module(torch.ones(len(rows), 4)).sum()

    stage.step = step
    train(stage, seed=0, device=CPU)
    steps = stage.steps_per_epoch
    assert len(set(drawn)) == len(drawn) == stage.epochs * steps
    epochs = np.array(rows_of).reshape(stage.epochs, steps * stage.batch_size)
    assert len(np.unique(epochs, axis=0)) == stage.epochs
    assert all(len(set(epoch)) == len(epoch) for epoch in epochs.tolist())


def test_the_seed_decides_the_result() -> None:
    def weights(seed: int) -> Tensor:
        stage = small_stage()
        train(stage, seed=seed, device=CPU)
        return stage.module[0].weight

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_incomplete_batches_are_dropped_and_a_batch_too_large_is_an_error() -> None:
    assert train(small_stage(), seed=0, device=CPU).step == 3 * 5
    with pytest.raises(UsageError, match="batch of 32 is larger than the 22 training clips"):
        train(small_stage(batch_size=32), seed=0, device=CPU)


def test_a_loss_that_is_no_number_stops_with_a_reason() -> None:
    stage = small_stage()
    stage.gradient_scale = float("nan")
    with pytest.raises(StarsBenchError, match="the loss is nan in epoch 1"):
        train(stage, seed=0, device=CPU)


def test_schedule_warms_up_and_falls_to_its_final_rate() -> None:
    factor = warmup_cosine(400, 20, 0.5)
    assert [factor(0), factor(10), factor(20)] == [0, 0.5, 1]
    assert factor(210) == pytest.approx(0.75)
    assert factor(400) == pytest.approx(0.5)


def test_the_rate_is_that_of_each_step_and_not_of_its_epoch() -> None:
    stage, epochs = small_stage(epochs=2), []
    stage.lr_factor = lambda epoch: epochs.append(epoch) or 1.0
    train(stage, seed=0, device=CPU)
    assert epochs == pytest.approx([step / 5 for step in range(10)])


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, fsync, replace = [], os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: done.append("synced") or fsync(descriptor))
    monkeypatch.setattr(Path, "replace", lambda path, name: done.append("renamed") or replace(path, name))
    checkpoint.save(tmp_path / "s.pt", {"module": {}})
    assert done == ["synced", "renamed"]


def test_each_parameter_is_clipped_by_its_own_norm() -> None:
    a, b = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    a.grad, b.grad = torch.full((4,), 10.0), torch.full((4,), 0.5)
    clip_each([a, b], 3.0)
    assert a.grad.norm().item() == pytest.approx(3.0, rel=1e-5)
    assert b.grad.tolist() == [0.5] * 4
    alone = nn.Parameter(torch.zeros(4))
    alone.grad = torch.full((4,), 10.0)
    nn.utils.clip_grad_norm_(alone, 3.0)
    assert torch.equal(a.grad, alone.grad)
    clip_each([alone, nn.Parameter(torch.zeros(1))], 100.0)  # what has no gradient is passed over
    assert torch.equal(a.grad, alone.grad)


def stage_run(folder: Path, seed: int = 0, **context: str) -> StageRun:
    return StageRun({}, seed, CPU, folder, context, reuse=True)


def test_a_finished_stage_is_taken_over_wherever_it_was_made(tmp_path: Path) -> None:
    first = stage_run(tmp_path / "xsub/mamp/k/seed0")
    stage = small_stage()
    first.train(stage)
    torch.manual_seed(5)
    second, again = stage_run(tmp_path / "xsub/stars/k/seed0"), small_stage(stop_at=1)
    second.train(again)
    assert second.stages[0].reused
    assert not first.stages[0].reused
    assert torch.equal(stage.module[0].weight, again.module[0].weight)
    assert second.stages[0].checkpoint_digest == first.stages[0].checkpoint_digest


@pytest.mark.parametrize("change", ["config", "seed", "context", "parent"])
def test_a_stage_is_not_taken_over_when_what_it_depends_on_differs(tmp_path: Path, change: str) -> None:
    stage_run(tmp_path / "xsub/a/k/seed0").train(small_stage())
    seed = 1 if change == "seed" else 0
    context = {"data": "other"} if change == "context" else {}
    other = stage_run(tmp_path / "xsub/b/k/seed0", seed, **context)
    if change == "parent":
        other.train(small_stage(name="before"))
    other.train(small_stage(config={"a": 1}) if change == "config" else small_stage())
    assert not other.stages[-1].reused


def other_rate(stage: Stage) -> None:
    stage.optimizer.param_groups[0]["weight_decay"] = 0.5


def other_weight(stage: Stage) -> None:
    stage.module[0].weight.data[0, 0] += 1e-6


def not_imported_here(module: str, name: str) -> Any:
    """An object of a module that is not in the import closure of this file."""
    return getattr(import_module(module), name)


GIVEN, EPISODES = "stars_bench.experiments.public.given_encoder", "stars_bench.protocols.episodes"
CHANGES: dict[str, Callable[[Stage], object]] = {
    "optimizer": lambda stage: setattr(stage, "optimizer", torch.optim.Adam(stage.module.parameters(), lr=1e-2)),
    "settings of the optimizer": other_rate,
    "weights": other_weight,
    "code of the module": lambda stage: stage.module.append(not_imported_here(GIVEN, "CallableEncoder")(torch.relu)),
    "plain attribute": lambda stage: setattr(stage.module, "scale", 2.0),
    "hook": lambda stage: setattr(stage, "after_step", abs),
}
FIELDS = {
    "name": "t",
    "config": {"a": 1},
    "samples": 21,
    "epochs": 4,
    "batch_size": 5,
    "gradient_scale": 2.0,
    "clip_each": 1.0,
}


@pytest.mark.parametrize("change", [*FIELDS, *CHANGES, "parent", "code", "caller"])
def test_the_key_of_a_stage_has_all_that_it_depends_on(tmp_path: Path, change: str) -> None:
    run, stage, caller = stage_run(tmp_path / "seed0"), small_stage(), "stars_bench.data.random"
    before = run._stage_key(stage, caller)[0]
    assert stage_run(tmp_path / "seed1")._stage_key(small_stage(), caller)[0] == before
    if change in FIELDS:
        setattr(stage, change, FIELDS[change])
    elif change in CHANGES:
        CHANGES[change](stage)
    elif change == "parent":
        run.key = "another"
    elif change == "code":
        run.code = [not_imported_here(EPISODES, "draw_episodes")]
    else:
        caller = EPISODES
    assert run._stage_key(stage, caller)[0] != before


def test_the_code_that_calls_train_is_a_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callers = []

    def key(_: Stage, caller: str) -> None:
        callers.append(caller)
        raise Stopped

    run = stage_run(tmp_path / "seed0")
    monkeypatch.setattr(run, "_stage_key", key)
    with pytest.raises(Stopped):
        run.train(small_stage())
    assert callers == [__name__]


def turned(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)


def test_a_damaged_finished_stage_is_set_aside_said_and_made_again(tmp_path: Path) -> None:
    first = stage_run(tmp_path / "xsub/mamp/k/seed0")
    stage = small_stage()
    first.train(stage)
    file = next((tmp_path / "xsub/mamp/k/seed0/stages").glob("*.pt"))
    whole = file.read_bytes()
    turned(file)
    lines: list[str] = []
    second, again = stage_run(tmp_path / "xsub/mamp/k/seed0"), small_stage()
    second.tell = lines.append
    second.train(again)
    assert lines == [f"s: {file} is damaged: kept as {file.name}.damaged, and made again"]
    assert not second.stages[0].reused
    assert torch.equal(stage.module[0].weight, again.module[0].weight)
    assert file.with_name(f"{file.name}.damaged").read_bytes() != whole
    checkpoint.load(file)


def test_a_damaged_finished_stage_of_another_run_is_passed_over_and_stays(tmp_path: Path) -> None:
    stage_run(tmp_path / "xsub/mamp/k/seed0").train(small_stage())
    file = next((tmp_path / "xsub/mamp/k/seed0/stages").glob("*.pt"))
    turned(file)
    lines: list[str] = []
    second = stage_run(tmp_path / "xsub/stars/k/seed0")
    second.tell = lines.append
    second.train(small_stage())
    assert lines == [f"s: {file} is damaged and passed over: its own run makes it again"]
    assert not second.stages[0].reused
    assert file.exists()


def test_a_stage_under_the_name_of_another_is_damage(tmp_path: Path) -> None:
    folder = tmp_path / "xsub/mamp/k/seed0"
    for name in ("s", "t"):
        stage_run(folder).train(small_stage(name=name))
    own, other = (next((folder / "stages").glob(f"{name}-*.pt")) for name in ("s", "t"))
    own.write_bytes(other.read_bytes())
    lines: list[str] = []
    again = stage_run(folder)
    again.tell = lines.append
    again.train(small_stage())
    assert lines == [f"s: {own} is damaged: kept as {own.name}.damaged, and made again"]
    assert not again.stages[0].reused


def test_a_checkpoint_under_the_name_of_another_is_damage(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.resume.pt" for name in ("one", "other")]
    with pytest.raises(Stopped):
        train(small_stage(stop_at=2), seed=0, device=CPU, resume_file=files[0], checkpoint_seconds=0)
    files[0].rename(files[1])
    lines: list[str] = []
    train(small_stage(), seed=0, device=CPU, resume_file=files[1], tell=lines.append)
    assert lines == [f"s: starts anew, for its checkpoint is damaged (kept as {files[1]}.damaged)"]


def test_a_stage_that_was_trained_with_other_packages_is_taken_over_with_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage_run(tmp_path / "xsub/mamp/k/seed0").train(small_stage())
    (file,) = (tmp_path / "xsub/mamp/k/seed0/stages").glob("*.pt")
    monkeypatch.setattr(closure, "distribution", lambda name: (name, "0.1"))
    lines: list[str] = []
    again = stage_run(tmp_path / "xsub/mamp/k/seed0")
    again.tell = lines.append
    again.train(small_stage())
    assert again.stages[0].reused
    assert lines[0].startswith(f"s: was finished before, {file} (with ")
    assert f"torch {torch.__version__} instead of 0.1" in lines[0]
    assert lines[0].endswith(": delete it to train the stage again)")


def test_a_damaged_log_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    folder = tmp_path / "xsub/mamp/k/seed0"
    stage_run(folder).train(small_stage())
    whole = (folder / "log.jsonl").read_bytes()
    turned(folder / "log.jsonl")
    lines: list[str] = []
    second = stage_run(folder)
    second.tell = lines.append
    second.train(small_stage())
    assert [line for line in lines if "log.jsonl is damaged: kept as log.jsonl.damaged" in line]
    assert (folder / "log.jsonl").read_bytes() == whole
    assert (folder / "log.jsonl.damaged").exists()


def test_checkpoints_hold_no_code(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self):
            return (print, ("pwned",))

    torch.save({"schema_version": 1, "x": Attack()}, tmp_path / "bad.pt")
    with pytest.raises(StarsBenchError, match="cannot be read as a checkpoint"):
        checkpoint.load(tmp_path / "bad.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "bad.pt").read_bytes()[:100])
    with pytest.raises(StarsBenchError, match="cut"):
        checkpoint.load(tmp_path / "cut.pt")


def test_the_loss_is_read_from_the_device_once_an_epoch_and_when_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = 0

    def counted(tensor: Tensor) -> float:
        nonlocal reads
        reads += 1
        return tensor.tolist()  # type: ignore[no-any-return]

    for name in ("item", "__float__"):
        monkeypatch.setattr(Tensor, name, counted)
    shown: list[str] = []
    stage = small_stage(samples=20, epochs=4)
    stage.optimizer = torch.optim.SGD(stage.module.parameters(), lr=1e-3)  # AdamW reads its counters, which lie in RAM
    train(stage, seed=0, device=CPU, progress=lambda *call: shown.append(call[3]))
    assert shown[-1].startswith("epoch 4/4  loss ")
    assert reads <= 4 + len(shown) < 4 * 5


@pytest.mark.parametrize("precision", ["tf32", "float32", "bf16"])
def test_tf32_is_allowed_where_it_is_asked_for_in_products_and_convolutions_alike(precision: str) -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    set_precision(precision)
    found = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32 = before[1]
    assert found == (("high", True) if precision == "tf32" else ("highest", False))


# ------------------------------------------------------------- what a stage costs, and who trains it


@pytest.mark.parametrize(
    ("seconds", "steps", "said"),
    [
        (1.0, 599, None),
        (1.0, 7200, "s: about 2.0 h on cpu: 7,200 steps of 1.00 s, measured by 3"),
        (30.0, 125_200, "s: about 43.5 days on cpu: 125,200 steps of 30.00 s"),
    ],
)
def test_a_long_stage_says_what_it_costs(seconds: float, steps: int, said: str | None) -> None:
    lines: list[str] = []
    loop._tell_cost(small_stage(), seconds, steps, CPU, lines.append)
    assert len(lines) == (said is not None)
    assert all(line.startswith(said or "") for line in lines)
    assert all(("--preset quick" in line) == ("days" in line) for line in lines)


def test_the_cost_is_measured_by_the_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, int]] = []
    monkeypatch.setattr(loop, "_tell_cost", lambda _, seconds, steps, *__: told.append((seconds, steps)))
    train(small_stage(), seed=7, device=CPU, tell=lambda _: None)
    ((seconds, steps),) = told
    assert steps == 15 - 4
    assert 0 < seconds < 1


def shared_run(folder: Path, **options: Any) -> StageRun:
    return StageRun({}, 0, CPU, folder, {}, reuse=True, **options)


def test_a_stage_that_another_run_trains_is_waited_for_and_taken_over(tmp_path: Path) -> None:
    first, second = (tmp_path / "d" / "p" / "m" / key / "seed0" for key in "ab")
    key, _ = shared_run(first)._stage_key(small_stage(), __name__)
    lock = RunFolder(first).stage_lock("s", key)
    lock.parent.mkdir(parents=True)
    with files.locked(lock, None), pytest.raises(files.Busy, match="another process holds it") as busy:
        shared_run(second, wait=False).train(small_stage())
    assert busy.value.lock == lock
    assert not files.is_locked(lock)
    told: list[str] = []
    with files.locked(lock, None):
        waits = threading.Thread(target=lambda: shared_run(second, tell=told.append).train(small_stage()))
        waits.start()
        while not told:
            time.sleep(0.01)
        assert files.is_locked(lock)
        # What the process that holds the lock does: its training is not hindered by its own lock.
        holder = StageRun({}, 0, CPU, first, {})
        holder.train(small_stage())
    waits.join()
    assert told[0] == "s: another run trains it; waits for it, to take it over"
    assert told[1].startswith(f"s: was finished before, {first}")
    assert not list((tmp_path / "d").glob(".*.lock"))
