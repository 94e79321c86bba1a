"""A whole row of the paper, shortened, on made-up clips of NTU-60's size, and what the full one would take.

Stage 1, stage 2, k-NN and linear probe by the package's own code. What is run is measured; the time of the full row is
extrapolated from the seconds of a step, and says so.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.train_bench import Bench
from benchmarks.train_data import CLASSES, made_up
from benchmarks.train_pairs import Timed
from stars_bench.data.clip_store import ClipPart
from stars_bench.evaluation.knn import KNN, KNNConfig
from stars_bench.evaluation.linear import Linear, LinearConfig
from stars_bench.evaluation.subject import Subject
from stars_bench.models.layers.nnclr import tune
from stars_bench.models.mamp import pretrain
from stars_bench.training.loop import Stage, set_precision, train
from stars_bench.training.numerics.compile import compiled
from stars_bench.training.stages import StageRun

NTU60 = 40_091, 16_487
"""Clips of NTU RGB+D 60 cross-subject: training, test."""
GOAL_MINUTES = 60


@dataclass(frozen=True)
class Row:
    """Seconds by part: of the shortened row, `measured`, and of the `full` one, extrapolated."""

    measured: dict[str, float]
    full: dict[str, float]


def whole_row(bench: Bench, console: Console, sizes: tuple[int, int] = NTU60, mode: str | None = None) -> Row:
    """Prints and returns seconds of the shortened row and of the full one. `mode`: of torch.compile."""
    with compiled(mode):
        return _whole_row(bench, console, sizes)


def _whole_row(bench: Bench, console: Console, sizes: tuple[int, int]) -> Row:
    c, precision = bench.config, bench.precisions[-1]
    set_precision(precision)
    started = time.perf_counter()
    everything, store = made_up(sum(sizes), device=bench.device)
    labels = everything.labels.cpu().numpy()
    ids = everything.ids.cpu().numpy()
    part = ClipPart(store, ids[: sizes[0]], labels[: sizes[0]], CLASSES)
    bench.wait()
    full = {"clips on the device": time.perf_counter() - started}
    measured = dict(full)

    def measure(stage: Stage) -> None:
        # As many steps before: stage 2 fills in the frozen half, and its number of bodies takes some twenty values, for
        # each of which attention may be planned anew.
        first = run_steps(bench, stage, bench.steps, precision)
        seconds = run_steps(bench, stage, bench.steps, precision)
        measured[stage.name] = first + seconds
        full[stage.name] = max(first - seconds, 0) + seconds / bench.steps * stage.epochs * stage.steps_per_epoch

    run = Timed(c, bench.device, measure)
    encoder = tune(part, run, pretrain(part, run, c), c)
    with tempfile.TemporaryDirectory() as folder:
        for name, evaluation, config in (("kNN", KNN, KNNConfig()), ("linear", Linear, LinearConfig(epochs=1))):
            subject = Subject(
                encoder=encoder,
                train=part,
                test=ClipPart(store, ids[sizes[0] :]),
                num_classes=CLASSES,
                run=StageRun(config, 0, bench.device, Path(folder) / name, {}, precision),
                names={"train": ids[: sizes[0]].astype(str), "test": ids[sizes[0] :].astype(str)},
                key=name,
            )
            once = bench.seconds(lambda s=subject, c=config: s.features("test", c.crop), precision)  # then kept
            seconds = bench.seconds(lambda e=evaluation, s=subject: e().run(s), precision)
            measured[name] = once + seconds
            full[name] = once + seconds * (LinearConfig().epochs if name == "linear" else 1)
    table = Table("", "seconds measured", "seconds of the full row (extrapolated)", title=f"{precision}, {sizes} clips")
    for name, seconds in full.items():
        table.add_row(name, f"{measured[name]:,.1f}", f"{seconds:,.0f}")
    minutes = sum(full.values()) / 60
    console.print(table)
    console.print(f"full row, extrapolated: {minutes:,.1f} minutes (goal on one H100: {GOAL_MINUTES})")
    return Row(measured, full)


def run_steps(bench: Bench, stage: Stage, steps: int, precision: str) -> float:
    """Seconds of some steps of a stage at its own batch size."""
    short = replace(stage, samples=min(stage.samples, steps * stage.batch_size), epochs=1, lr_factor=None)
    short = replace(short, epochs=-(-steps // short.steps_per_epoch))
    return bench.seconds(lambda: train(short, seed=0, device=bench.device, precision=precision), precision) * (
        steps / (short.epochs * short.steps_per_epoch)
    )
