"""What a sweep will cost, from a few measured steps of each stage that is not there; nothing is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from pydantic import BaseModel

from stars_bench.data.clip_store import ClipStore
from stars_bench.display.progress import duration
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.experiments import encoder_source, runner
from stars_bench.experiments.plan import device_name, resolve
from stars_bench.experiments.sweeps.members import Member
from stars_bench.experiments.sweeps.sweep import Sweep
from stars_bench.io.files import digest_json
from stars_bench.training import checkpoint, memory
from stars_bench.training.loop import one_step, set_precision, step_division
from stars_bench.training.stage import Stage
from stars_bench.training.stage_result import StageResult
from stars_bench.training.stages import StageRun

STEPS, SECONDS = 3, 10.0
"""Steps that are measured after one that is not, and when measuring ends at the latest."""
FEW = 16
"""Clips in a measured step on a CPU, where time grows with the clips."""


@dataclass
class Costs:
    """What was measured.

    Attributes:
        trained: Seconds of every stage that is to be trained, by its key: a stage that several runs share has one.
        names: The name of each of these stages.
        there: Keys of stages that are there.
        rates: Seconds a clip, by all of a stage but its seed.
        peak_bytes: Largest memory of a measured step on a GPU.
    """

    trained: dict[str, float] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    rates: dict[str, float] = field(default_factory=dict)
    peak_bytes: int = 0


class MeasuredRun(StageRun[BaseModel]):
    """Measures a few steps of each stage instead of training it; a stage that is there is taken.

    Args:
        costs: Gets what is measured.
        options: Those of `StageRun`.
    """

    def __init__(self, costs: Costs, **options: Any) -> None:
        super().__init__(**options)
        self.costs = costs

    def train(self, stage: Stage) -> None:
        """Measure a stage, whose module keeps what it held."""
        caller = str(sys._getframe(1).f_globals["__name__"])
        self.key, depends_on = self._stage_key(stage, caller)
        found = self.folder.find_stage(stage.name, self.key)
        if found is not None:
            stage.module.load_state_dict(checkpoint.load(found)["module"])
            self.costs.there.add(self.key)
        elif self.key not in self.costs.trained:
            alike = digest_json([depends_on[name] for name in ("name", "config", "loop", "optimizer", "step", "code")])
            if alike not in self.costs.rates:
                self.costs.rates[alike] = self._seconds_a_clip(stage)
            clips = stage.epochs * stage.steps_per_epoch * stage.batch_size
            self.costs.trained[self.key] = self.costs.rates[alike] * clips
            self.costs.names[self.key] = stage.name
        self.stages.append(StageResult(stage.name, self.key, 0.0, 0, None, "", reused=found is not None))

    def _seconds_a_clip(self, stage: Stage) -> float:
        whole = stage.batch_size if self.device.type == "cuda" else min(FEW, stage.batch_size)
        before = memory.snapshot(stage)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        try:
            return self._timed(stage, whole)
        except RuntimeError as error:
            if memory.is_out_of_memory(error) or whole == stage.batch_size:
                raise
            memory.restore(stage, before)
            return self._timed(stage, stage.batch_size)  # a step that wants its whole batch
        finally:
            memory.restore(stage, before)
            self.costs.peak_bytes = max(self.costs.peak_bytes, memory.peak_bytes(self.device))

    def _timed(self, stage: Stage, clips: int) -> float:
        stage.module.train()
        rows = torch.arange(clips, device=self.device) % stage.samples
        division = step_division(stage, self.seed, self.device, self.precision, 0, self.micro_batches)
        started, done = time.monotonic(), 0
        for number in range(STEPS + 1):
            if number == 1:
                started = time.monotonic()
            float(one_step(stage, rows, division))  # reading the loss waits for the device
            done = number
            if number and time.monotonic() - started > SECONDS:
                break
        return (time.monotonic() - started) / (done * clips)


@dataclass(frozen=True)
class Estimate:
    """What a sweep consists of, and what it costs.

    Args:
        members: Its runs.
        costs: What was measured.
        failures: Runs that cannot be measured, with the reason.
        device: Where it was measured, for people.
        places: Runs at once.
        tested: Runs on the test part that come after a choice.
    """

    members: tuple[Member, ...]
    costs: Costs
    failures: tuple[tuple[str, str], ...]
    device: str
    places: int
    tested: int

    def lines(self) -> Iterator[str]:
        """Yield lines for people."""
        there = sum(one.records is not None for one in self.members)
        then = f", then {self.tested} on the test part with the chosen settings" if self.tested else ""
        yield f"{_counted(len(self.members), 'run')}{then}: {there} there already, {len(self.members) - there} to do"
        by_name: dict[str, list[float]] = {}
        for key, seconds in self.costs.trained.items():
            by_name.setdefault(self.costs.names[key], []).append(seconds)
        for name, each in by_name.items():
            yield f"{name}: {_counted(len(each), 'training')}, about {duration(sum(each))}"
        total = sum(self.costs.trained.values())
        if self.tested:
            total += self.tested * total / max(len(self.members) - there, 1)
        shared = f", {_counted(len(self.costs.there), 'finished stage')} taken over" if self.costs.there else ""
        at_once = f"; with {self.places} at once at best {duration(total / self.places)}" if self.places > 1 else ""
        yield (
            f"{_counted(len(self.costs.trained), 'training')} in all{shared}: about {duration(total)} "
            f"on {self.device}, measured by {STEPS} steps each{at_once}"
        )
        if self.costs.peak_bytes:
            yield f"GPU memory: {self.costs.peak_bytes / 1e9:.1f} GB at most"
        yield "Not counted: features and evaluations."
        for label, reason in self.failures:
            yield f"{label}: cannot be measured: {reason}"


def estimate(sweep: Sweep, tell: Callable[[str], None] | None = None) -> Estimate:
    """Estimate a sweep; nothing is written.

    Raises:
        UsageError: A run is wrong.
    """
    members, costs, failures = sweep.members(), Costs(), []
    stores: dict[object, ClipStore] = {}
    device = ""
    for member in members:
        plan = resolve(member.request)
        device = device_name(plan.device)
        if member.records is not None or plan.is_trained:
            continue
        set_precision(plan.precision)
        place = plan.dataset.digest, plan.request.stream, plan.clip_input
        if place not in stores:
            stores.clear()
            stores[place] = ClipStore.of(plan.dataset, plan.device, plan.request.stream, plan.clip_input)
        seed = member.request.seeds[0]
        run = runner.seed_run(plan, seed, stores[place], encoder_source.source_of(plan), tell=tell)
        try:
            encoder_source.fitted(replace(run, stages=partial(MeasuredRun, costs)))
        except StarsBenchError as error:
            failures.append((member.label, one_line(error)))
    tested = 0
    if sweep.choose_by is not None:
        tested = len({replace(one.request, overrides=()) for one in members})
    places = max(len(sweep.devices), 1) * (sweep.jobs or 1)
    return Estimate(tuple(members), costs, tuple(failures), device, places, tested)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
