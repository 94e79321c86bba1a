"""Where data, protocol, method, evaluation and records meet: one call trains and evaluates a method and keeps records.

Everything decided here is in the record; everything slow is kept in the run folder under the key of what it depends on,
so the same call again resumes where the last one stopped.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import torch

from stars_bench.data.clip_store import ClipStore, coordinates_of
from stars_bench.experiments import costs
from stars_bench.experiments.encoder_source import source_of
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.request import Request
from stars_bench.experiments.seed_run import EncoderSource, EvaluationsFailed, SeedRun
from stars_bench.io import allowance
from stars_bench.io.files import utc_now
from stars_bench.records.record import Record
from stars_bench.training import memory
from stars_bench.training.loop import Progress, Tell, set_precision
from stars_bench.training.numerics.compile import compiled
from stars_bench.training.numerics.deterministic import deterministic
from stars_bench.training.parallel import distributed
from stars_bench.training.parallel.shared_memory import filled_once


def run(
    request: Request,
    progress: Progress | None = None,
    tell: Tell | None = None,
    wait: bool = True,
    cost: bool = False,
) -> list[Record]:
    """Train and evaluate a method under every seed.

    Several processes (torchrun) train as one; all return the records, the first alone writes and calls back.

    Args:
        request: What to run.
        progress: Called while something is computed.
        tell: Called with a line for each thing that the user must know before it starts.
        wait: Whether a stage that another run trains at the moment is waited for; else `Busy` is raised. Default: True.
        cost: Whether to measure a few steps of what a preset of a paper trains, and say what it costs. Default: False.

    Returns:
        The records, new or already there.

    Raises:
        UsageError: The request is wrong; one line says what and what to do.
        EvaluationsFailed: An evaluation failed, and others did not: it has their records.
        StarsBenchError: Training, an evaluation or a file fails; one line says what and what to do.
    """
    distributed.start()
    plan = resolve(request)
    return run_plan(plan, source_of(plan), progress, tell, wait, cost)


def run_plan(
    plan: Plan,
    source: EncoderSource,
    progress: Progress | None,
    tell: Tell | None,
    wait: bool = True,
    cost: bool = False,
) -> list[Record]:
    """Evaluate the encoder that a source gives for every seed of a plan; the arguments are those of `run`."""
    if not distributed.is_first():
        progress = tell = None
    request = plan.request
    with deterministic(request.training.deterministic), _compiled(request):
        if plan.device.type == "cuda":
            torch.cuda.set_device(plan.device)
        if tell is not None:
            for line in (_begins(plan), *plan.notices):
                tell(f"{_named(plan, request.seeds)}: {line}")
        set_precision(plan.precision)
        joints = filled_once(plan.dataset.shape, partial(coordinates_of, plan.dataset))
        clips = ClipStore.of(plan.dataset, plan.device, request.stream, plan.clip_input, joints)
        if plan.device.type == "cpu":
            memory.keep_freed()
        if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > allowance.cpus():
            torch.set_num_threads(allowance.cpus())  # torch counts the machine's, not those of a container
        runs = [seed_run(plan, seed, clips, source, progress, tell, wait) for seed in request.seeds]
        for one in runs:
            one.check()
        if tell is not None and cost and request.preset.startswith("paper"):
            for line in costs.told(plan, runs):
                tell(f"{_named(plan, request.seeds)}: {line}")
        return _records(runs)


def _compiled(request: Request) -> AbstractContextManager[None]:
    chosen = request.training.compile
    return compiled("default" if chosen else None, whole=chosen == "step")


def _records(runs: Sequence[SeedRun]) -> list[Record]:
    """Evaluate every seed; an evaluation that fails under one does not keep the others from running."""
    records: list[Record] = []
    failures: list[EvaluationsFailed] = []
    for one in runs:
        try:
            records += replace(one, started=utc_now()).records()
        except EvaluationsFailed as failure:
            records += failure.records
            failures.append(failure)
    if failures:
        lines = dict.fromkeys(str(failure) for failure in failures)
        raise EvaluationsFailed("; ".join(lines), records) from failures[0]
    return records


def _begins(plan: Plan) -> str:
    """Say what is about to be loaded and trained: the first line of a run."""
    split = plan.split(plan.request.seeds[0])
    return (
        f"{plan.dataset.name}, {plan.request.stream}s, "
        f"{len(split.train):,} training and {len(split.test):,} test clips, on {plan.device}"
    )


def _named(plan: Plan, seeds: Sequence[int]) -> str:
    """Name what a line is about: method, protocol and seed."""
    return f"{plan.method.name} {plan.protocol.name} seed {', '.join(map(str, seeds))}"


def seed_run(
    plan: Plan,
    seed: int,
    clips: ClipStore,
    source: EncoderSource,
    progress: Progress | None = None,
    tell: Tell | None = None,
    wait: bool = True,
) -> SeedRun:
    """Return one seed of a plan, whose lines and progress name method, protocol and seed."""
    name = _named(plan, [seed])
    return SeedRun(
        plan=plan,
        seed=seed,
        split=plan.split(seed),
        folder=plan.folder(seed),
        store=clips,
        source=source,
        progress=progress and (lambda task, *done: progress(f"{name}: {task}", *done)),
        tell=tell and (lambda line: tell(f"{name}: {line}")),
        started=utc_now(),
        wait=wait,
    )
