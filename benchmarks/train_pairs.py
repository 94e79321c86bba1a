"""Training beside the plain baseline, in turn: the same clips, the same network, seconds a clip of each.

Ours runs as a user's run does: `pretrain`, `tune` and `extract` of the package with its own training loop.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import baseline_train as baseline
from benchmarks.train_data import made_up, padded
from stars_bench.batches import ClipPart
from stars_bench.evaluation.features import extract
from stars_bench.models.encoder import SkeletonEncoder
from stars_bench.models.mamp import pretrain
from stars_bench.models.nnclr import tune
from stars_bench.models.stars import StarsConfig
from stars_bench.training.loop import Stage, train
from stars_bench.training.memory import OutOfMemory, is_out_of_memory
from stars_bench.training.optim import decay_matrices_only

HEAD_EPOCHS = TUNE_EPOCHS = 20


@dataclass(frozen=True)
class Bench:
    """What is measured: where, how large. `clips`: the part that stage 2 and the heads run through."""

    device: torch.device
    config: StarsConfig
    batch: int = 8
    steps: int = 1
    clips: int = 16
    precisions: tuple[str, ...] = ("float32",)

    def seconds(self, work: Callable[[], object], precision: str | None = None) -> float:
        """Seconds of some work, to the device's last kernel. precision None: the baseline's float32 (TF32 on a GPU)."""
        by_tf32 = self.device.type == "cuda" if precision is None else precision == "tf32"
        torch.set_float32_matmul_precision("high" if by_tf32 else "highest")
        alone = self.device.type == "cpu" and torch.get_num_threads() == 1
        clock = time.process_time if alone else time.perf_counter  # of one thread, whatever else the machine does
        self.wait()
        started = clock()
        work()
        self.wait()
        return clock() - started

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def encoder(self) -> SkeletonEncoder:
        """The same weights every time."""
        torch.manual_seed(0)
        return self.config.build(25).to(self.device)

    def plain_encoder(self) -> baseline.Encoder:
        """The baseline's encoder with these weights."""
        c = self.config
        plain = baseline.Encoder(c.frames, 25, c.dim, c.depth, c.heads).to(self.device)
        plain.load_state_dict(self.encoder().state_dict())
        return plain


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


def feeder(bench: Bench, keep: tuple[float, ...]) -> Iterator[Tensor]:
    """The baseline's batches, on the device."""
    clips = padded(made_up(max(64, 2 * bench.batch))[1])
    for batch in baseline.feeder(baseline.PaddedClips(clips, keep, bench.config.frames), bench.batch):
        yield batch.to(bench.device)


def stage1(bench: Bench) -> Iterator[Times]:
    """Rounds of stage 1: batches made, forward, backward, AdamW."""
    c, steps = bench.config, bench.steps
    plain = baseline.MaskedPrediction(c.frames, 25, c.dim, c.depth, c.heads, c.decoder_depth).to(bench.device)
    optimizer = torch.optim.AdamW(decay_matrices_only(plain.named_parameters(), 0.05), lr=1e-4, betas=(0.9, 0.95))
    batches, part = feeder(bench, (0.5, 1.0)), made_up(bench.batch * steps, device=bench.device)[0]
    baseline_steps = _baseline_steps(batches, optimizer, plain, steps)
    baseline_steps()
    while True:
        times = {"baseline": [bench.seconds(baseline_steps) / (bench.batch * steps)]}
        for precision in bench.precisions:
            _with_stage(bench, part, lambda s, p=precision: run_stage(bench, s, len(part), p), times, precision)
        yield times


def _with_stage(bench: Bench, part: ClipPart, work: Callable[[Stage], float], times: Times, precision: str) -> None:
    """Seconds a clip of stage 1's loop, weights fresh."""

    def measure(stage: Stage) -> None:
        work(stage)  # memory is taken and AdamW's state made, as in the baseline's first round, which is not counted
        times[precision] = [work(stage) / len(part)]

    pretrain(part, Timed(bench.config, bench.device, measure), bench.config)


def _baseline_steps(
    batches: Iterator[Tensor], optimizer: torch.optim.Optimizer, loss: Callable[..., Tensor], steps: int, *more: Tensor
) -> Callable[[], None]:
    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(next(batches), *more).backward()
            optimizer.step()

    return run


def plain_tuning(bench: Bench) -> Callable[[], float]:
    """Gives seconds a clip of plain steps of stage 2; with the heads alone in the optimizer they are the same."""
    c = bench.config
    plain = baseline.Tuning(bench.plain_encoder(), c.dim, c.queue_size, c.predictor_hidden).to(bench.device)
    tuned = [p for n, p in plain.named_parameters() if not n.startswith("encoder.") or _upper(n, c.depth)]
    optimizer = torch.optim.AdamW(tuned, lr=1e-5, betas=(0.9, 0.95))
    ids = torch.arange(bench.batch, device=bench.device)
    steps = _baseline_steps(feeder(bench, (1.0,)), optimizer, plain, bench.steps, ids)
    return lambda: bench.seconds(steps) / (bench.batch * bench.steps)


def stage2(bench: Bench) -> Iterator[Times]:
    """Rounds of stage 2: plain steps, and ours for 20 epochs, of which the first fills in the frozen half."""
    c, plain_seconds = bench.config, plain_tuning(bench)
    part = made_up(bench.clips, device=bench.device)[0]
    while True:
        times = {"baseline": [plain_seconds()]}
        for precision in bench.precisions:

            def measure(stage: Stage, precision: str = precision, times: Times = times) -> None:
                first = run_stage(bench, stage, bench.clips, precision)  # fills in what is kept
                later = run_stage(bench, stage, bench.clips, precision)
                whole = (first + (TUNE_EPOCHS - 1) * later) / TUNE_EPOCHS
                times[precision] = [whole / bench.clips]
                times[f"{precision}, after the first epoch"] = [later / bench.clips]

            tune(part, Timed(c, bench.device, measure), bench.encoder(), c)
        yield times


def _upper(name: str, depth: int) -> bool:
    return name.startswith("encoder.norm.") or (
        name.startswith("encoder.blocks.") and int(name.split(".")[2]) >= depth / 2
    )


def heads(bench: Bench) -> Iterator[Times]:
    """Rounds of 20 epochs of the heads alone: plain steps through the encoder, and ours on features kept."""
    c, plain_seconds = bench.config, plain_tuning(bench)
    part = made_up(bench.clips, device=bench.device)[0]

    def whole_stage(stage: Stage, precision: str, times: Times) -> None:
        if stage.name == "heads":
            all_epochs = replace(stage, samples=len(part), batch_size=bench.batch)
            work = bench.seconds(lambda: train(all_epochs, seed=0, device=bench.device, precision=precision), precision)
            times[precision] = [work / len(part)]

    while True:
        times = {"baseline": [HEAD_EPOCHS * plain_seconds()]}
        for precision in bench.precisions:
            timed = Timed(c, bench.device, partial(whole_stage, precision=precision, times=times))
            tune(part, timed, bench.encoder(), c, HEAD_EPOCHS)
        yield times


def features(bench: Bench) -> Iterator[Times]:
    """Rounds of feature extraction, test crops."""
    plain, encoder, batches = bench.plain_encoder().eval(), bench.encoder(), feeder(bench, (0.95,))
    part = made_up(bench.clips, device=bench.device)[0]

    @torch.no_grad()
    def baseline_batches() -> None:
        for _ in range(bench.steps):
            plain(next(batches))

    while True:
        times = {"baseline": [bench.seconds(baseline_batches) / (bench.batch * bench.steps)]}
        for precision in bench.precisions:
            work = bench.seconds(lambda p=precision: extract(encoder, part, 0.95, p), precision)
            times[precision] = [work / len(part)]
        yield times


def feeders(bench: Bench, keep: tuple[float, ...], clips: int = 512) -> Iterator[Times]:
    """Rounds of clips made: one by one in a DataLoader, a batch at once."""
    batches, part = feeder(bench, keep), made_up(clips, device=bench.device)[0]

    def ours() -> None:
        for rows in torch.arange(clips, device=bench.device).split(bench.batch):
            if len(keep) == 1:
                part.whole(rows, bench.config.frames, keep[0])
            else:
                part.cropped(rows, bench.config.frames)

    while True:
        plain = bench.seconds(lambda: [next(batches) for _ in range(clips // bench.batch)])
        yield {"baseline": [plain / clips], "float32": [bench.seconds(ours) / clips]}


def medians(rounds: list[Times]) -> dict[str, tuple[float, float]]:
    """By way: the median of clips a second, and of the rounds' ratios to the baseline."""
    out = {}
    for way in rounds[0]:
        ratios = [times["baseline"][0] / times[way][0] for times in rounds]
        out[way] = statistics.median(1 / times[way][0] for times in rounds), statistics.median(ratios)
    return out
