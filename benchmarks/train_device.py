"""How much of the device training uses: clips a second, model FLOP utilisation, the data path's share, what bounds.

The denominator is measured: the best of several large products in the same precision. FLOPs are counted from the
shapes of the method as published (`flops.py`), stage 1's savings not taken off (5 to 10 %); absent bodies that are
encoded once count once.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.autograd.profiler_util import EventList
from torch.profiler import ProfilerActivity, profile

from benchmarks.flops import Network
from benchmarks.train_bench import Bench
from benchmarks.train_data import CLASSES, TWO_BODIES, made_up
from benchmarks.train_pairs import Timed, lacks_memory
from stars_bench.data.clip_store import ClipPart
from stars_bench.errors import StarsBenchError
from stars_bench.evaluation.linear import Linear, LinearConfig
from stars_bench.evaluation.subject import BATCH, PartName, Subject, extract
from stars_bench.models.layers.frozen_features import FrozenHalf
from stars_bench.models.layers.nnclr import tune
from stars_bench.models.mamp import pretrain
from stars_bench.models.supervised import Supervised, SupervisedConfig
from stars_bench.training.loop import Stage, train
from stars_bench.training.numerics.compile import compiled
from stars_bench.training.stages import StageRun

WARM_UP = 3
"""Steps before the clock starts, at least: memory is taken, kernels are chosen or compiled."""


def peak(bench: Bench, precision: str) -> float:
    """FLOP/s of the best of several square products."""
    size, times = (8192, 20) if bench.device.type == "cuda" else (512, 2)
    a = torch.randn(size, size, device=bench.device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    out = torch.empty_like(a)
    return max(
        2 * size**3 * times / bench.seconds(lambda: [torch.mm(a, a, out=out) for _ in range(times)], precision)
        for _ in range(5)
    )


@dataclass(frozen=True)
class Work:
    """One thing to measure: `run(steps, precision)` does it, `flops` a clip, `data` makes the batches of it alone."""

    name: str
    batch: int
    flops: float
    run: Callable[[int, str], None]
    data: Callable[[int], None]


def works(bench: Bench) -> Iterator[Work]:
    """Stages 1 and 2, a fine-tuning step, over enough clips for the steps asked for."""
    c, bodies = bench.config, 1 + TWO_BODIES + 1 / bench.batch  # one empty body a batch
    shapes = Network(c.frames, 25, c.dim, c.depth, c.decoder_depth, c.mlp_ratio, c.mask_ratio)
    part = made_up(max(bench.clips, bench.batch * WARM_UP), device=bench.device)[0]
    found: dict[str, Callable[[int, str], None]] = {}

    def keep(stage: Stage) -> None:
        found.clear()  # of the work before nothing stays in memory
        found[stage.name] = lambda steps, precision: _steps(stage, bench, precision, steps)

    def whole(steps: int) -> None:
        for rows in _batches(part, bench.batch, steps):
            part.whole(rows, c.frames)

    def cropped(steps: int) -> None:
        for rows in _batches(part, bench.batch, steps):
            part.cropped(rows, c.frames)

    pretrain(part, Timed(c, bench.device, keep), c)
    yield Work("stage 1", bench.batch, shapes.stage1(), found["stage1"], cropped)
    for name, kept in (("stage 2, half kept", True), ("stage 2, half computed", False)):
        yield from _stage2(bench, part, keep, found, name, shapes.stage2(bodies, kept), kept, whole)
    settings = SupervisedConfig(**{name: getattr(c, name) for name in ("frames", "dim", "depth", "heads", "mlp_ratio")})
    stages: list[Stage] = []  # the supervised method does fine-tuning's work, from scratch
    Supervised().fit(part, Timed(settings, bench.device, stages.append))
    for block in stages[0].module.blocks:
        block.drop_path = settings.drop_path  # `fit` has taken it back
    keep(stages[0])
    yield Work("fine-tuning", bench.batch, shapes.finetune(), found["supervised"], cropped)


def features(bench: Bench) -> Work:
    """Features of the test crop, which is the linear probe's forward pass too, in the batches of every evaluation."""
    c, batch = bench.config, BATCH[bench.device.type]
    bodies = 1 + TWO_BODIES + 1 / batch
    shapes = Network(c.frames, 25, c.dim, c.depth, c.decoder_depth, c.mlp_ratio, c.mask_ratio)
    part = made_up(bench.clips, device=bench.device)[0]
    encoder = bench.encoder()

    def whole(steps: int) -> None:
        for rows in _batches(part, batch, steps):
            part.whole(rows, c.frames)

    def run(steps: int, precision: str) -> None:
        _extract(encoder, part, batch * steps, precision)

    return Work("features (linear: forward)", batch, shapes.features(bodies), run, whole)


def linear(bench: Bench) -> Work:
    """Steps of the linear probe: random crops through the frozen encoder, then the head."""
    c, config = bench.config, LinearConfig()
    batch = config.batch_size
    shapes = Network(c.frames, 25, c.dim, c.depth, c.decoder_depth, c.mlp_ratio, c.mask_ratio)
    part = made_up(max(bench.clips, batch * WARM_UP), device=bench.device)[0]
    test = part.subset(np.arange(2))
    stages: list[Stage] = []
    names: dict[PartName, np.ndarray] = {"train": part.ids.cpu().numpy().astype(str), "test": np.array(["0", "1"])}
    with tempfile.TemporaryDirectory() as folder:
        run = StageRun(config, 0, bench.device, Path(folder), {})
        run.train = stages.append  # type: ignore[method-assign]
        Linear().run(Subject(bench.encoder(), part, test, CLASSES, run, names, "benchmark"))

    def cropped(steps: int) -> None:
        for rows in _batches(part, batch, steps):
            part.cropped(rows, c.frames)

    def probed(steps: int, precision: str) -> None:
        _steps(stages[0], replace(bench, batch=batch), precision, steps)

    return Work("linear probe", batch, shapes.features(1 + TWO_BODIES + 1 / batch), probed, cropped)


def _stage2(
    bench: Bench, part: ClipPart, keep: Callable[[Stage], None], found: dict[str, Callable[[int, str], None]],
    name: str, flops: float, kept: bool, data: Callable[[int], None],
) -> Iterator[Work]:  # fmt: skip
    """Stage 2 with the frozen half kept or computed in every step."""
    pending: list[Stage] = []
    encoder = bench.encoder()
    tune(part, Timed(bench.config, bench.device, pending.append), encoder, bench.config)
    stage = pending[0]
    trained = {id(p) for group in stage.optimizer.param_groups for p in group["params"]}
    for parameter in encoder.parameters():  # `tune` has given them all back
        parameter.requires_grad_(id(parameter) in trained)
    half = stage.step.encode.__self__  # type: ignore[union-attr]
    assert isinstance(half, FrozenHalf)
    half.limit = half.limit if kept else 0
    keep(stage)
    yield Work(name, bench.batch, flops, found["stage2"], data)


def _steps(stage: Stage, bench: Bench, precision: str, steps: int) -> None:
    short = replace(stage, samples=bench.batch * steps, epochs=1, batch_size=bench.batch, lr_factor=None)
    repeats, rest = divmod(steps, max(stage.samples // bench.batch, 1))
    if repeats:  # the part is run through as often as it takes
        whole = stage.samples // bench.batch * bench.batch
        train(replace(short, samples=whole, epochs=repeats), seed=0, device=bench.device, precision=precision)
    if rest:
        train(replace(short, samples=bench.batch * rest), seed=0, device=bench.device, precision=precision)


def _batches(part: ClipPart, batch: int, steps: int) -> Iterator[torch.Tensor]:
    for step in range(steps):
        yield torch.arange(step * batch, (step + 1) * batch, device=part.ids.device) % len(part)


def _extract(encoder: torch.nn.Module, part: ClipPart, clips: int, precision: str) -> None:
    rows = (torch.arange(clips) % len(part)).numpy()
    extract(encoder, part.subset(rows), 0.95, precision)


@dataclass(frozen=True)
class Measured:
    """What was measured of some work. `peak_gb`: of tensors on a GPU, in 10^9 bytes; None on a CPU."""

    clips_per_second: float
    step_ms: float
    clip_gflop: float
    tflops: float
    peak_percent: float
    data_percent: float
    peak_gb: float | None

    def row(self) -> list[str]:
        """The cells of the table of `utilisation`."""
        return [f"{self.clips_per_second:,.3g}", f"{self.clip_gflop:.1f}", f"{self.tflops:.3g}",
                f"{self.peak_percent:.1f}", f"{self.data_percent:.1f}",
                "" if self.peak_gb is None else f"{self.peak_gb:.1f}"]  # fmt: skip


def utilisation(bench: Bench, batches: list[int], mode: str | None, console: Console) -> Table:
    """Prints one row for each work, precision and batch, and what the profiler saw of the last batch size."""
    peaks = {precision: peak(bench, precision) for precision in bench.precisions}
    for precision, best in peaks.items():
        console.print(f"peak of {precision} products, measured: {best / 1e12:,.3g} TFLOP/s")
    title = f"{bench.steps} steps each" + (f", torch.compile {mode}" if mode else "")
    header = ("", "precision", "batch", "clips/s", "GFLOP a clip", "TFLOP/s", "% of peak", "data %", "peak GB")
    table = Table(*header, title=title)

    def add(work: Work, precision: str, with_profile: bool) -> None:
        found = _measured_or_not(work, bench, precision, peaks[precision])
        row = (work.name, precision, f"{work.batch}", *(found.row() if found else ["out of memory"]))
        console.print("; ".join(row), soft_wrap=True)  # what is measured stays, whatever comes later
        table.add_row(*row)
        if with_profile and found:
            console.print(_longest(work, bench, precision), soft_wrap=True)

    with compiled(mode):
        for precision in bench.precisions:
            add(features(bench), precision, with_profile=True)
            for batch in batches:
                for work in works(replace(bench, batch=batch)):
                    add(work, precision, with_profile=batch == batches[-1])
    console.print(table)
    return table


def _measured_or_not(work: Work, bench: Bench, precision: str, best: float) -> Measured | None:
    """What `measure` gives, or None where memory does not suffice; nothing of it stays in memory."""
    try:
        return measure(work, bench, precision, best)
    except (StarsBenchError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        return None


def measure(work: Work, bench: Bench, precision: str, best: float) -> Measured:
    """Time some work over the steps of `bench`, after a warm-up. `best`: FLOP/s that `peak` found."""
    on_gpu = bench.device.type == "cuda"
    gc.collect()
    if on_gpu:
        torch.cuda.empty_cache()
    # In stage 2 the number of bodies takes some twenty values, for each of which attention may be planned anew.
    work.run(max(WARM_UP, bench.steps if work.name.startswith("stage 2") else 0), precision)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    seconds = bench.seconds(lambda: work.run(bench.steps, precision), precision)
    data = bench.seconds(lambda: work.data(bench.steps), precision)
    rate = work.batch * bench.steps / seconds
    return Measured(
        clips_per_second=rate,
        step_ms=1e3 * seconds / bench.steps,
        clip_gflop=work.flops / 1e9,
        tflops=rate * work.flops / 1e12,
        peak_percent=100 * rate * work.flops / best,
        data_percent=100 * data / seconds,
        peak_gb=torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
    )


def profiled(work: Work, bench: Bench, precision: str, steps: int) -> EventList:
    """What torch's profiler sees of some steps."""
    on_gpu = bench.device.type == "cuda"
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu
    with profile(activities=activities) as seen:
        bench.seconds(lambda: work.run(steps, precision), precision)
    return seen.key_averages()


def _longest(work: Work, bench: Bench, precision: str) -> str:
    """The ten operations that take longest, of two steps."""
    by = "self_cuda_time_total" if bench.device.type == "cuda" else "self_cpu_time_total"
    table = profiled(work, bench, precision, 2).table(sort_by=by, row_limit=10, max_name_column_width=50)
    return f"{work.name}, {precision}\n{table}"
