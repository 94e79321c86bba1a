"""The baseline at work, on a CPU in a process of its own: what ours asks of the memory allocator must not reach it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache

import torch
from torch import Tensor

from benchmarks import baseline_train as baseline
from benchmarks.train_bench import Bench
from benchmarks.train_data import made_up, padded
from stars_bench.training.optim import decay_matrices_only

Work = Callable[[], float]
"""One round, in seconds a clip."""
FEEDER_CLIPS = 512


def at_work(name: str, bench: Bench) -> Work:
    """Rounds of one of `WORKS`, warmed up."""
    if bench.device.type == "cuda":
        return WORKS[name](bench)
    pool = _process(torch.get_num_threads())
    return lambda: pool.submit(_seconds, name, bench).result()


_started: dict[int, ProcessPoolExecutor] = {}


def _process(threads: int) -> ProcessPoolExecutor:
    if threads not in _started:
        spawned = multiprocessing.get_context("spawn")
        _started[threads] = ProcessPoolExecutor(1, spawned, initializer=torch.set_num_threads, initargs=(threads,))
    return _started[threads]


def end() -> None:
    """Ends the processes that `at_work` has started."""
    while _started:
        _started.popitem()[1].shutdown()


def _seconds(name: str, bench: Bench) -> float:
    return _ready(name, bench)()


@cache
def _ready(name: str, bench: Bench) -> Work:
    return WORKS[name](bench)


def encoder(bench: Bench) -> baseline.Encoder:
    """The baseline's encoder, with the weights of ours."""
    c = bench.config
    plain = baseline.Encoder(c.frames, 25, c.dim, c.depth, c.heads).to(bench.device)
    plain.load_state_dict(bench.encoder().state_dict())
    return plain


def feeder(bench: Bench, keep: tuple[float, ...]) -> Iterator[Tensor]:
    """The baseline's batches, on the device."""
    clips = padded(made_up(max(64, 2 * bench.batch))[1])
    for batch in baseline.feeder(baseline.PaddedClips(clips, keep, bench.config.frames), bench.batch):
        yield batch.to(bench.device)


def stage1(bench: Bench) -> Work:
    """Steps of stage 1."""
    c = bench.config
    plain = baseline.MaskedPrediction(c.frames, 25, c.dim, c.depth, c.heads, c.decoder_depth).to(bench.device)
    optimizer = torch.optim.AdamW(decay_matrices_only(plain.named_parameters(), 0.05), lr=1e-4, betas=(0.9, 0.95))
    steps = _steps(feeder(bench, (0.5, 1.0)), optimizer, plain, bench.steps)
    steps()
    return lambda: bench.seconds(steps) / (bench.batch * bench.steps)


def tuning(bench: Bench) -> Work:
    """Gives seconds a clip of plain steps of stage 2; with the heads alone in the optimizer they are the same."""
    c = bench.config
    plain = baseline.Tuning(encoder(bench), c.dim, c.queue_size, c.predictor_hidden).to(bench.device)
    tuned = [p for n, p in plain.named_parameters() if not n.startswith("encoder.") or _upper(n, c.depth)]
    optimizer = torch.optim.AdamW(tuned, lr=1e-5, betas=(0.9, 0.95))
    ids = torch.arange(bench.batch, device=bench.device)
    steps = _steps(feeder(bench, (1.0,)), optimizer, plain, bench.steps, ids)
    return lambda: bench.seconds(steps) / (bench.batch * bench.steps)


def _upper(name: str, depth: int) -> bool:
    return name.startswith("encoder.norm.") or (
        name.startswith("encoder.blocks.") and int(name.split(".")[2]) >= depth / 2
    )


def _steps(
    batches: Iterator[Tensor], optimizer: torch.optim.Optimizer, loss: Callable[..., Tensor], steps: int, *more: Tensor
) -> Callable[[], None]:
    def run() -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            loss(next(batches), *more).backward()
            optimizer.step()

    return run


def features(bench: Bench) -> Work:
    """Features of test crops."""
    plain, batches = encoder(bench).eval(), feeder(bench, (0.95,))

    @torch.no_grad()
    def some() -> None:
        for _ in range(bench.steps):
            plain(next(batches))

    return lambda: bench.seconds(some) / (bench.batch * bench.steps)


def feeding(bench: Bench, keep: tuple[float, ...]) -> Work:
    """Clips made one by one in a DataLoader."""
    batches, count = feeder(bench, keep), FEEDER_CLIPS // bench.batch
    return lambda: bench.seconds(lambda: [next(batches) for _ in range(count)]) / (count * bench.batch)


WORKS: dict[str, Callable[[Bench], Work]] = {
    "stage1": stage1,
    "tuning": tuning,
    "features": features,
    "feeder, train": lambda bench: feeding(bench, (0.5, 1.0)),
    "feeder, test": lambda bench: feeding(bench, (0.95,)),
}
