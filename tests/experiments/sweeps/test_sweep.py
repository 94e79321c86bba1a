"""A sweep in this process: what is there is taken, failures are told, stages shared, settings chosen, costs told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stars_bench.errors import UsageError
from stars_bench.experiments.sweeps import cost, members, schedule, sweep_file
from stars_bench.experiments.sweeps import sweep as module
from stars_bench.experiments.sweeps.schedule import State
from stars_bench.experiments.sweeps.sweep import Outcome, Sweep, run_sweep
from stars_bench.experiments.sweeps.worker import Result, Task, status, work
from stars_bench.io.files import locked
from stars_bench.records import notes, store

TINY = {
    "preset": "quick",
    "evaluations": "knn",
    "set": {"frames": 8, "dim": 16, "depth": 1, "heads": 2},
}
TRAINED = TINY | {
    "set": TINY["set"] | {"decoder_depth": 1, "epochs": 1, "warmup_epochs": 0, "batch_size": 16},
    "method": {"stars": {"set": {"tune_epochs": 1, "tune_batch_size": 16, "queue_size": 32}}},
}


class HereSlot:
    """Runs a member in this process."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.last: Result | None = None

    def start(self, task: Task) -> None:
        self.tasks.append(task)
        self.last = work(task)

    def result(self) -> Result | None:
        return self.last

    def stop(self) -> None:
        self.last = None


Made = Callable[..., Sweep]


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> HereSlot:
    slot = HereSlot()
    monkeypatch.setattr(module, "slots", lambda *_: [slot])
    monkeypatch.setattr(schedule, "LOOK_SECONDS", 0.01)
    return slot


@pytest.fixture
def make(small_data: Path, tmp_path: Path) -> Made:
    def made(choose_by: str | None = None, **content: Any) -> Sweep:
        file = sweep_file.parse({"methods": "untrained", "protocols": "xsub"} | TINY | content, "sweep")
        return Sweep(file, "s", small_data, tmp_path, devices=("cpu",), choose_by=choose_by, command="typed")

    return made


def run(sweep: Sweep, states: list[State] | None = None, told: list[str] | None = None) -> Outcome:
    keep = states.append if states is not None else lambda _: None
    return run_sweep(sweep, keep, (told if told is not None else []).append)


def test_all_is_run_once_and_then_taken(make: Made, slot: HereSlot) -> None:
    sweep = make(methods=["untrained", "raw"], seeds=[0, 1], set={"frames": 8})
    first = run(sweep)
    assert len(slot.tasks) == 4
    assert {(one.record.method.name, one.record.seed) for one in first.records} == {
        (method, seed) for method in ("untrained", "raw") for seed in (0, 1)
    }
    assert {one.record.command for one in first.records} == {"typed"}
    states: list[State] = []
    again = run(sweep, states)
    assert len(slot.tasks) == 4
    assert [one.record for one in again.records] == [one.record for one in first.records]
    assert states == [] or states[-1].taken == 4
    assert {member.records is None for member in sweep.members()} == {False}
    first.records[0].path.unlink()  # a record that is gone is made again, and no other
    assert sum(member.records is None for member in sweep.members()) == 1
    run(sweep)
    assert len(slot.tasks) == 5
    assert first.records[0].path.exists()


@pytest.mark.usefixtures("slot")
def test_what_other_code_has_measured_is_measured_again(make: Made, monkeypatch) -> None:
    sweep = make(methods="raw", set={"frames": 8})
    run(sweep)
    known = members._sources
    monkeypatch.setattr(members, "_sources", lambda modules: dict(known(modules)) | {modules[0]: "0" * 64})
    assert [member.records for member in sweep.members()] == [None]


@pytest.mark.usefixtures("slot")
def test_a_member_that_fails_is_told_and_the_others_run(make: Made, monkeypatch) -> None:
    from stars_bench.models.untrained import Untrained

    monkeypatch.setattr(Untrained, "fit", lambda *_: 1 / 0)
    sweep = make(methods=["untrained", "raw"], set={"frames": 8})
    found = run(sweep)
    assert found.failures == (("untrained", "ZeroDivisionError: division by zero"),)
    assert {one.record.method.name for one in found.records} == {"raw"}
    log = (sweep.members()[0].files("s")).with_suffix(".log").read_text()
    assert "failed: ZeroDivisionError: division by zero" in log
    assert "untrained xsub seed 0: synthetic, joints, " in log


def test_nothing_is_run_where_one_request_is_wrong(make: Made, slot: HereSlot, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^raw: --set dim=16: raw knows frames"):
        run(make(methods=["untrained", "raw"], grid={"dim": [16]}, set={}, points=[{"frames": 8}]))
    with pytest.raises(UsageError, match=r"^choose_on = 'linear': raw has knn$"):
        run(make("validation", methods="raw", set={"frames": 8}, choose_on="linear"))
    assert slot.tasks == []
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("slot")
def test_a_shared_stage_is_trained_once(make: Made, tmp_path: Path) -> None:
    sweep = make(methods=["mamp", "stars"], **TRAINED)
    told = cost.estimate(sweep)
    assert sorted(told.costs.names.values()) == ["stage1", "stage2"]
    lines = list(told.lines())
    assert lines[0] == "2 runs: 0 there already, 2 to do"
    assert lines[1:3] == ["  mamp: seed 0 to do", "  stars: seed 0 to do"]
    assert lines[5].startswith("2 trainings in all: about 0 s on cpu")
    assert not any(tmp_path.iterdir())  # a dry run writes nothing
    run(sweep)
    files = sorted(path.name.partition("-")[0] for path in tmp_path.rglob("stages/*.pt"))
    assert files == ["stage1", "stage2"]
    after = list(cost.estimate(sweep).lines())
    assert after[0] == "2 runs: 2 there already, 0 to do"
    assert after[1:3] == ["  mamp: seed 0 there", "  stars: seed 0 there"]
    assert after[3].startswith("0 trainings in all")


@pytest.mark.usefixtures("slot")
def test_a_dry_run_measures_what_differs_and_takes_what_is_there(make: Made) -> None:
    run(make(methods=["mamp"], **TRAINED | {"method": {}}))
    told = cost.estimate(make(methods=["stars"], seeds=[0, 1], **TRAINED))
    assert len(told.costs.there) == 1  # stage 1 of seed 0
    assert sorted(told.costs.names.values()) == ["stage1", "stage2", "stage2"]
    assert len(told.costs.rates) == 2  # another seed takes as long
    assert all(seconds > 0 for seconds in told.costs.trained.values())


def test_a_measured_stage_is_as_it_was(make: Made, monkeypatch) -> None:
    import torch

    kept = []
    before = cost.MeasuredRun.train

    def train(self: Any, stage: Any) -> None:
        state = {name: value.clone() for name, value in stage.module.state_dict().items()}
        before(self, stage)
        after = stage.module.state_dict()
        kept.append(all(torch.equal(value, after[name]) for name, value in state.items()))

    monkeypatch.setattr(cost.MeasuredRun, "train", train)
    cost.estimate(make(methods=["stars"], **TRAINED))
    assert kept == [True, True]


def test_settings_are_chosen_by_the_validation_part_alone(make: Made, slot: HereSlot) -> None:
    sweep = make("validation", grid={"dim": [16, 32]}, seeds=[0, 1])
    told: list[str] = []
    found = run(sweep, told=told)
    validated = [task.request for task in slot.tasks if task.request.validation == "subjects"]
    tested = [task.request for task in slot.tasks if task.request.validation is None]
    assert len(validated) == 4
    means = {}
    for dim in (16, 32):
        of_dim = [one for one in store.read_records(sweep.runs_dir).records if one.method.config["dim"] == dim]
        values = [
            one.metrics[0].value
            for one in of_dim
            if one.protocol.validation and str(one.evaluation.settings["k"]) == "1"
        ]
        means[dim] = sum(values) / len(values)
    best = max(means, key=lambda dim: (means[dim], -dim))
    assert [f"dim={best}" in one.overrides for one in tested] == [True] * 2  # the other is never tested
    assert {one.record.protocol.validation for one in found.records} == {None}
    assert told == [found.choices[0].line]
    assert "never by the test part" in told[0]
    assert f"dim=16 {means[16]:.2f}" in told[0]
    assert ("dim=16, the first of 2 with the same mean," in told[0]) == (means[16] == means[32])
    assert "# settings chosen of 2 by k-NN" in found.records[0].record.command
    said = notes.read(found.records[0].folder)
    assert said.tags == ("chosen-by-validation",)
    assert said.notes[0].text == told[0]
    dry = list(cost.estimate(sweep).lines())
    assert dry[0].startswith("4 runs, then 2 on the test part with the chosen settings: 4 there already")
    assert dry[1:3] == ["  untrained dim=16: seeds 0, 1 there", "  untrained dim=32: seeds 0, 1 there"]
    validation = [one for one in store.read_records(sweep.runs_dir).stored if one.record.protocol.validation]
    gone = next(one for one in validation if one.record.method.config["dim"] == 32 and one.record.seed == 0)
    gone.path.unlink()
    assert list(cost.estimate(sweep).lines())[2] == "  untrained dim=32: seed 1 there; seed 0 to do"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"validation": "subjects"}, "leave validation"),
        ({"select": "best-on-test"}, "reads the test part"),
    ],
)
def test_nothing_is_chosen_by_a_test_part(make: Made, content: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        make("validation", **content).requests()
    with pytest.raises(UsageError, match="nothing is chosen by a test part"):
        make("test").requests()


@pytest.mark.usefixtures("slot")
def test_streams_are_summed_over_all_seeds(make: Made) -> None:
    evaluation = {"evaluations": "linear", "streams": ["joint", "bone"], "seeds": [0, 1]}
    found = run(make(**evaluation, set=TINY["set"] | {"linear.epochs": 1}))
    summed = [one.record.seed for one in found.records if one.record.dataset.stream == "joint+bone"]
    assert summed == [0, 1]


def test_who_waits_for_another_process_holds_no_slot(make: Made, slot: HereSlot, monkeypatch) -> None:
    monkeypatch.setattr(schedule, "AGAIN_SECONDS", 0.05)
    sweep = make(methods=["untrained", "raw"], set={"frames": 8})
    first, second = sweep.members()
    lock = first.folder.path.with_name(f".{first.folder.path.name}.lock")
    lock.parent.mkdir(parents=True)
    held = locked(lock, None)
    held.__enter__()

    def show(state: State) -> None:
        if second in state.done and state.waiting:
            held.__exit__(None, None, None)  # the other process ends

    found = run_sweep(sweep, show, lambda _: None)
    assert [task.request.method for task in slot.tasks[:2]] == ["untrained", "raw"]
    assert slot.tasks[-1].request.method == "untrained"
    assert found.failures == ()
    assert {one.record.method.name for one in found.records} == {"untrained", "raw"}


def test_a_worker_says_what_it_does(make: Made, tmp_path: Path) -> None:
    (member,) = make(methods="raw", set={"frames": 8}).members()
    files = tmp_path / "w"
    assert status(files) == {}
    result = work(Task(member.request, files))
    assert result.failure is None
    assert [Path(one).exists() for one in result.records] == [True] * len(result.records)
    assert status(files)["task"].startswith("raw xsub seed 0: ")
    wrong = work(Task(replace(member.request, protocol="xsubb"), files))
    assert "no protocol is called 'xsubb'" in str(wrong.failure)
