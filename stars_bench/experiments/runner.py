"""Where data, protocol, method, evaluation and records meet: one call trains and evaluates a method and keeps records.

Everything decided here is in the record; everything slow is kept in the run folder under the key of what it depends on,
so the same call again resumes where the last one stopped.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial

import torch

from stars_bench.data.clip_store import ClipStore, coordinates_of
from stars_bench.experiments.encoder_source import source_of
from stars_bench.experiments.plan import Plan, resolve
from stars_bench.experiments.request import Request
from stars_bench.experiments.seed_run import EncoderSource, SeedRun
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
    request: Request, progress: Progress | None = None, tell: Tell | None = None, wait: bool = True
) -> list[Record]:
    """Train and evaluate a method under every seed.

    Several processes (torchrun) train as one; all return the records, the first alone writes and calls back.

    Args:
        request: What to run.
        progress: Called while something is computed.
        tell: Called with a line for each thing that the user must know before it starts.
        wait: Whether a stage that another run trains at the moment is waited for; else `Busy` is raised. Default: True.

    Returns:
        The records, new or already there.

    Raises:
        UsageError: The request is wrong; one line says what and what to do.
        StarsBenchError: Training, an evaluation or a file fails; one line says what and what to do.
    """
    distributed.start()
    plan = resolve(request)
    return run_plan(plan, source_of(plan), progress, tell, wait)


def run_plan(
    plan: Plan, source: EncoderSource, progress: Progress | None, tell: Tell | None, wait: bool = True
) -> list[Record]:
    """Evaluate the encoder that a source gives for every seed of a plan; the arguments are those of `run`."""
    if not distributed.is_first():
        progress = tell = None
    request = plan.request
    with deterministic(request.training.deterministic), compiled("default" if request.training.compile else None):
        if plan.device.type == "cuda":
            torch.cuda.set_device(plan.device)
        if tell is not None:
            for notice in (_begins(plan), *plan.notices):
                tell(notice)
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
        return [record for one in runs for record in replace(one, started=utc_now()).records()]


def _begins(plan: Plan) -> str:
    """Say what is about to be loaded and trained: the first line of a run."""
    request, seeds = plan.request, plan.request.seeds
    split = plan.split(seeds[0])
    return (
        f"{plan.method.name} {plan.protocol.name} seed {', '.join(map(str, seeds))}: {plan.dataset.name}, "
        f"{request.stream}s, {len(split.train):,} training and {len(split.test):,} test clips, on {plan.device}"
    )


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
    name = f"{plan.method.name} {plan.protocol.name} seed {seed}"
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
