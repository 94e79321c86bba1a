"""Training beside the plain baseline, in turn: the same clips, the same network, seconds a clip of each.

Ours runs as a user's run does: `pretrain`, `tune` and `extract` of the package with its own training loop.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from benchmarks.train_bench import Bench
from benchmarks.train_data import made_up
from benchmarks.train_plain import FEEDER_CLIPS, at_work
from stars_bench.data.clip_store import ClipPart
from stars_bench.evaluation.subject import extract
from stars_bench.models.layers.nnclr import tune
from stars_bench.models.mamp import pretrain
from stars_bench.training.loop import Stage, train
from stars_bench.training.memory import OutOfMemory, is_out_of_memory

HEAD_EPOCHS = TUNE_EPOCHS = 20


@dataclass
class Timed:
    """A `Run` whose stages are timed instead of trained to their end. `measure` gets each stage."""

    config: Any
    device: torch.device
    measure: Callable[[Stage], None]
    seed: int = 0
    start: None = None
    progress: None = None
    stages: list[Any] = field(default_factory=list)

    def train(self, stage: Stage) -> None:
        self.measure(stage)


def lacks_memory(error: Exception) -> bool:
    """Whether the device's memory did not suffice: torch's error, or the training loop's line about it."""
    return isinstance(error, OutOfMemory) or is_out_of_memory(error)


Times = dict[str, list[float]]
"""Seconds a clip by way, one number a round."""


def run_stage(bench: Bench, stage: Stage, clips: int, precision: str) -> float:
    """Seconds of one epoch of the real loop over the first `clips` clips."""
    short = replace(stage, samples=clips, epochs=1, batch_size=bench.batch, lr_factor=None)
    return bench.seconds(lambda: train(short, seed=0, device=bench.device, precision=precision), precision)


def stage1(bench: Bench) -> Iterator[Times]:
    """Rounds of stage 1: batches made, forward, backward, AdamW."""
    plain, part = at_work("stage1", bench), made_up(bench.batch * bench.steps, device=bench.device)[0]
    while True:
        times = {"baseline": [plain()]}
        for precision in bench.precisions:
            _with_stage(bench, part, lambda s, p=precision: run_stage(bench, s, len(part), p), times, precision)
        yield times


def _with_stage(bench: Bench, part: ClipPart, work: Callable[[Stage], float], times: Times, precision: str) -> None:
    """Seconds a clip of stage 1's loop, weights fresh."""

    def measure(stage: Stage) -> None:
        work(stage)  # memory is taken and AdamW's state made, as in the baseline's first round, which is not counted
        times[precision] = [work(stage) / len(part)]

    pretrain(part, Timed(bench.config, bench.device, measure), bench.config)


def stage2(bench: Bench) -> Iterator[Times]:
    """Rounds of stage 2: plain steps, and ours for 20 epochs, of which the first fills in the frozen half."""
    c, plain = bench.config, at_work("tuning", bench)
    part = made_up(bench.clips, device=bench.device)[0]
    while True:
        times = {"baseline": [plain()]}
        for precision in bench.precisions:

            def measure(stage: Stage, precision: str = precision, times: Times = times) -> None:
                first = run_stage(bench, stage, bench.clips, precision)  # fills in what is kept
                later = run_stage(bench, stage, bench.clips, precision)
                whole = (first + (TUNE_EPOCHS - 1) * later) / TUNE_EPOCHS
                times[precision] = [whole / bench.clips]
                times[f"{precision}, after the first epoch"] = [later / bench.clips]

            tune(part, Timed(c, bench.device, measure), bench.encoder(), c)
        yield times


def heads(bench: Bench) -> Iterator[Times]:
    """Rounds of 20 epochs of the heads alone: plain steps through the encoder, and ours on features kept."""
    c, plain = bench.config, at_work("tuning", bench)
    part = made_up(bench.clips, device=bench.device)[0]

    def whole_stage(stage: Stage, precision: str, times: Times) -> None:
        if stage.name == "heads":
            all_epochs = replace(stage, samples=len(part), batch_size=bench.batch)
            work = bench.seconds(lambda: train(all_epochs, seed=0, device=bench.device, precision=precision), precision)
            times[precision] = [work / len(part)]

    while True:
        times = {"baseline": [HEAD_EPOCHS * plain()]}
        for precision in bench.precisions:
            timed = Timed(c, bench.device, partial(whole_stage, precision=precision, times=times))
            tune(part, timed, bench.encoder(), c, HEAD_EPOCHS)
        yield times


def features(bench: Bench) -> Iterator[Times]:
    """Rounds of feature extraction, test crops."""
    plain, encoder = at_work("features", bench), bench.encoder()
    part = made_up(bench.clips, device=bench.device)[0]
    while True:
        times = {"baseline": [plain()]}
        for precision in bench.precisions:
            work = bench.seconds(lambda p=precision: extract(encoder, part, 0.95, p), precision)
            times[precision] = [work / len(part)]
        yield times


def feeders(bench: Bench, crop: str) -> Iterator[Times]:
    """Rounds of clips made for a crop, "train" or "test": one by one in a DataLoader, a batch at once."""
    plain, part = at_work(f"feeder, {crop}", bench), made_up(FEEDER_CLIPS, device=bench.device)[0]

    def ours() -> None:
        for rows in torch.arange(FEEDER_CLIPS, device=bench.device).split(bench.batch):
            if crop == "test":
                part.whole(rows, bench.config.frames, 0.95)
            else:
                part.cropped(rows, bench.config.frames)

    while True:
        yield {"baseline": [plain()], "float32": [bench.seconds(ours) / FEEDER_CLIPS]}


def medians(rounds: list[Times]) -> dict[str, tuple[float, float]]:
    """By way: the median of clips a second, and of the rounds' ratios to the baseline."""
    out = {}
    for way in rounds[0]:
        ratios = [times["baseline"][0] / times[way][0] for times in rounds]
        out[way] = statistics.median(1 / times[way][0] for times in rounds), statistics.median(ratios)
    return out
