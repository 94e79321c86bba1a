"""What training will cost, from a few measured steps of each stage that is not there; nothing is written."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import psutil
import torch
from pydantic import BaseModel

from stars_bench.display.progress import duration
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.experiments import encoder_source
from stars_bench.experiments.plan import Plan, device_name
from stars_bench.experiments.seed_run import SeedRun
from stars_bench.io.files import digest_json
from stars_bench.registry import BUILT_IN
from stars_bench.training import checkpoint, memory
from stars_bench.training.loop import one_step, seed_step, step_division
from stars_bench.training.numerics.compile import compiled
from stars_bench.training.parallel import distributed
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
        peak_bytes: Largest memory of a step: on a GPU as measured, on a CPU as a step on fewer clips lets expect.
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
        seed_step(self.seed, stage.name, "end")  # as after training: what follows has the same key

    def _seconds_a_clip(self, stage: Stage) -> float:
        whole = stage.batch_size if self.device.type == "cuda" else min(FEW, stage.batch_size)
        before, taken = memory.snapshot(stage), _resident()
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
            # On a CPU freed memory stays with the process, so what a step took can be read after it.
            grown = taken + (_resident() - taken) * stage.batch_size // whole
            peak = memory.peak_bytes(self.device) if self.device.type == "cuda" else grown
            self.costs.peak_bytes = max(self.costs.peak_bytes, peak)
            memory.restore(stage, before)

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


def _resident() -> int:
    return int(psutil.Process().memory_info().rss)


DAY = 86400.0


def told(plan: Plan, runs: Iterable[SeedRun]) -> Iterator[str]:
    """Say what training all seeds of a plan will cost on this device.

    Args:
        plan: The plan.
        runs: Its seeds.

    Yields:
        That it is measured, then a line; none where nothing is to be trained, or where it cannot be measured: with
        several processes, and of a method that does not ship, whose `fit` might train by itself and would do so twice.
    """
    if distributed.launched() or plan.is_trained or plan.target not in BUILT_IN["methods"].values():
        return
    costs = Costs()
    yield "measuring a few steps of each stage, to estimate what training costs"
    try:
        with compiled(None):  # compiling takes longer than these steps; fused, a step takes less
            for run in runs:
                encoder_source.fitted(replace(run, stages=partial(MeasuredRun, costs), tell=None))
    except (StarsBenchError, RuntimeError) as error:  # the run itself may do otherwise (--fit-batch), or tells it
        yield f"what training costs cannot be measured ({one_line(error)})"
        return
    total = sum(costs.trained.values())
    if not costs.trained:
        return
    by_name: dict[str, float] = {}
    for key, seconds in costs.trained.items():
        by_name[costs.names[key]] = by_name.get(costs.names[key], 0.0) + seconds
    stages = ", ".join(f"{name} {duration(seconds)}" for name, seconds in by_name.items())
    slow = total > DAY and plan.device.type == "cpu"
    advice = f"; on a CPU that is {total / DAY:.1f} days: take a GPU, or --preset quick" if slow else ""
    yield (
        f"training takes about {duration(total)} on {device_name(plan.device)} and {costs.peak_bytes / 1e9:.1f} GB of "
        f"memory ({stages}; measured by {STEPS} steps each; features and evaluations come on top){advice}"
    )
