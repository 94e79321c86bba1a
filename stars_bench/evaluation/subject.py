"""What an evaluation gets: an encoder, both parts, and their features.

Features are extracted once per encoder and crop and kept by clip name (`feature_cache.py`); evaluations share them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stars_bench.api import ConfigT_co
from stars_bench.data import placement
from stars_bench.data.clip_store import ClipPart
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.evaluation.feature_cache import FeatureFiles
from stars_bench.io.files import digest_json
from stars_bench.io.source.closure import source_closure
from stars_bench.protocols.episodes import Episodes
from stars_bench.records.outcome import Outcome as Outcome  # a public path of before
from stars_bench.training import memory
from stars_bench.training.loop import Progress, autocast
from stars_bench.training.module_state import kinds
from stars_bench.training.parallel import distributed
from stars_bench.training.parallel.shared_memory import filled_once
from stars_bench.training.stages import StageRun

BATCH = {"cpu": 16, "cuda": 256}
"""Clips encoded at once: on a CPU fewer are faster, and take less memory."""
GIVE_BACK = 8
"""Batches after which a CPU gives back what they freed: their sizes differ with the bodies in them, and what is kept of
all sizes would grow with the clips."""
PROBED = 2
"""Clips that an encoder is tried on before anything depends on it."""
FREE_SOME = "end what else uses the device, or take another (--device cpu)"
PartName = Literal["train", "test", "validation"]


DrawEpisodes = Callable[[int, int, int, int, int], Episodes]
"""Episodes of the protocol's bank and test part, from (ways, shots, queries of each class, episodes, seed)."""


class WrongEncoder(StarsBenchError):
    """An encoder that does not give finite features (B, D): no measurement of it means anything."""


@dataclass
class Subject(Generic[ConfigT_co]):
    """What an evaluation works on: a trained encoder, the labelled part, the test part without labels.

    Args:
        encoder: The trained encoder, in evaluation mode.
        train: The labelled part: the protocol's bank, or its training part if there is no bank.
        test: The test part, without labels.
        num_classes: Number of classes of the dataset.
        run: Has config, seed and device, and trains checkpointed stages.
        names: Clip names of each part.
        key: Identifies the encoder; it covers all code, data, settings and precision that its weights depend on.
        data: What the clips depend on beside their names: checksum of the prepared dataset, absent body, stream.
            Default: none.
        test_classes: Number of classes of the test part. Default: 0, unknown.
        class_names: Names of the dataset's classes, by label. Default: none.
        unseen: Classes of the test part that no training clip has, ascending: zero-shot. Default: none.
        draw_episodes: The protocol's draw, which alone knows the classes of test clips. Default: None.
        validation: Clips held out of the labelled part, without labels. Default: None, there are none.
        looked_at: The part whose clips choose the epoch of what is trained: "validation", or "test" where the user asks
            for it. Default: None, the last epoch is the result.
        cache: Features that were computed before, by part and crop.
    """

    encoder: nn.Module
    train: ClipPart
    test: ClipPart
    num_classes: int
    run: StageRun[ConfigT_co]
    names: Mapping[PartName, np.ndarray]
    key: str
    data: Mapping[str, str] = field(default_factory=dict)
    test_classes: int = 0
    class_names: tuple[str, ...] = ()
    unseen: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    draw_episodes: DrawEpisodes | None = None
    validation: ClipPart | None = None
    looked_at: PartName | None = None
    cache: dict[tuple[PartName, float], Tensor] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """D, the width of the encoder's features."""
        return int(cast(int, self.encoder.dim))

    @property
    def frames(self) -> int:
        """T, the number of frames that the encoder takes."""
        return int(cast(int, self.encoder.frames))

    def part(self, name: PartName) -> ClipPart:
        """Return the clips of a part."""
        found = {"train": self.train, "test": self.test, "validation": self.validation}[name]
        if found is None:
            raise StarsBenchError("there is no validation part: the last epoch is the result")
        return found

    def features(self, part: PartName, keep: float = 0.95) -> Tensor:
        """Return features (N, D) float32 of the centre crop `keep` of the clips of a part.

        Clips that an evaluation or a run has had before under the same encoder are read, the others extracted and kept.

        Raises:
            WrongEncoder: The encoder fails, or gives features of another width, or numbers that are not finite.
        """
        if (part, keep) not in self.cache:
            self.cache[part, keep] = self._features(part, keep)
        return self.cache[part, keep]

    def _features(self, part: PartName, keep: float) -> Tensor:
        run, clips, names = self.run, self.part(part), self.names[part]
        # An older encoder may be loaded by newer code, or with newer packages.
        code = source_closure(kinds(self.encoder), [__name__])
        depends_on = {
            "encoder": self.key,
            "code": code.digest,
            "packages": code.distributions,
            "data": dict(self.data),
            "keep": keep,
            "precision": run.precision,
            "device": run.device.type,
        }
        files = FeatureFiles(run.folder, f"crop{keep:g}-{digest_json(depends_on)[:16]}", run.reuse, run.tell)
        found, there = distributed.from_first(lambda: files.find(names))
        if not there.all():
            batch = BATCH[clips.ids.device.type]
            missing = clips.subset(np.flatnonzero(~there))
            with memory.refused(f"{part} features: out of memory with {batch} clips at once: {FREE_SOME}"):
                extracted = extract(self.encoder, missing, keep, run.precision, run.progress, f"{part} features")
            new = extracted.cpu().numpy()
            self._check(new, names[~there])
            if distributed.is_first():
                files.add(names[~there], new)
            if there.any():
                found[~there] = new
            else:
                found = new  # no copy: coordinates as features of NTU RGB+D 120 take 8 GB
            del extracted, new
        if run.device.type == "cpu" and distributed.processes_here() > 1:
            found = filled_once(found.shape, partial(_copy, found))  # once a machine
        return torch.from_numpy(found).to(run.device)

    def _check(self, features: np.ndarray, names: np.ndarray) -> None:
        if features.shape[1] != self.dim:
            raise WrongEncoder(f"features: the encoder gives {features.shape[1]} numbers, and {self.dim} at first")
        bad = ~np.isfinite(features).all(1)
        if bad.any():
            raise WrongEncoder(
                f"features: the encoder gives numbers that are not finite for {bad.sum():,} of {len(names):,} clips, "
                f"the first {names[bad][0]} ({self.run.precision}); --precision float32 rounds least"
            )


def _copy(features: NDArray[np.float32], into: NDArray[np.float32]) -> None:
    into[:] = features


@torch.no_grad()
def probe(encoder: nn.Module, clips: ClipPart, precision: str, who: str) -> int:
    """Try an encoder on two clips, so that a wrong one fails before anything is written.

    It is tried in evaluation mode; afterwards all of its parts are in the modes they were in.

    Args:
        encoder: has `frames`, T, and maps clips (B, 3, T, V, M) to features (B, D). D is its `dim` where it has one.
        clips: the first two of them are taken.
        precision: float32, tf32 or bf16.
        who: whose encoder it is, for messages.

    Returns:
        D.

    Raises:
        WrongEncoder: the encoder fails, its features are not finite floating point numbers (B, D), or `dim` differs.
        OutOfMemory: the device has too little memory.
    """
    rows = torch.arange(min(PROBED, len(clips)), device=clips.ids.device)
    x = clips.whole(rows, int(encoder.frames))  # type: ignore[arg-type]
    refused = memory.refused(f"{who}: out of memory with {len(x)} clips of {x.shape[2]} frames: {FREE_SOME}")
    with refused, _eval_mode(encoder), autocast(x.device, precision):
        features = _called(encoder, x, who)
    if not isinstance(features, Tensor) or features.ndim != 2 or len(features) != len(x) or not features.shape[1]:
        wanted = f"{who}: the encoder must map clips {tuple(x.shape)} to features ({len(x)}, D)"
        raise WrongEncoder(f"{wanted}, not to {_described(features)}")
    if not features.is_floating_point() or not bool(features.isfinite().all()):
        raise WrongEncoder(
            f"{who}: the features of {len(x)} clips ({features.dtype}, {precision}) are not finite numbers"
        )
    width = features.shape[1]
    if getattr(encoder, "dim", width) != width:
        raise WrongEncoder(f"{who}: the encoder says dim={encoder.dim}, but its features have {width} numbers")
    return width


def _called(encoder: nn.Module, x: Tensor, who: str) -> object:
    try:
        return encoder(x)
    except StarsBenchError:
        raise
    except Exception as error:  # a module's own code can fail in any way
        if memory.is_out_of_memory(error):
            raise
        raise WrongEncoder(
            f"{who}: the encoder fails on clips of shape {tuple(x.shape)} ({one_line(error)})"
        ) from error


def _described(features: object) -> str:
    return f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else f"a {type(features).__name__}"


@contextmanager
def _eval_mode(encoder: nn.Module) -> Iterator[None]:
    modes = [(part, part.training) for part in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


@torch.no_grad()
def extract(
    encoder: nn.Module,
    clips: ClipPart,
    keep: float,
    precision: str = "float32",
    progress: Progress | None = None,
    task: str = "features",
) -> Tensor:
    """Return features (N, D) float32 of every clip of a part, encoder in eval mode, centre crop `keep`.

    Several processes share the work, in the batches that one would make.

    Raises:
        WrongEncoder: The encoder fails, or the features of a batch are not (B, D), with the same D as before.
    """
    encoder.eval()
    frames = int(encoder.frames)  # type: ignore[arg-type]
    rows = placement.with_host_copy(torch.arange(len(clips)), clips.ids.device)
    batches = torch.split(rows, BATCH[clips.ids.device.type])
    shares = distributed.shares(len(batches))
    first, count = shares[distributed.rank()]
    own = torch.empty(0, 0, device=clips.ids.device)
    done = 0
    for number, rows in enumerate(batches[first : first + count]):
        with autocast(clips.ids.device, precision):
            features = _called(encoder, clips.whole(rows, frames, keep), task)
        width = own.shape[1] if number else "D"
        fits = isinstance(features, Tensor) and features.ndim == 2 and len(features) == len(rows)
        if not isinstance(features, Tensor) or not fits or features.shape[1] != (own if number else features).shape[1]:
            got = _described(features)
            raise WrongEncoder(f"{task}: the encoder gives {got} for {len(rows)} clips, not ({len(rows)}, {width})")
        if not number:  # filled batch by batch: joining them at the end would hold everything twice
            total = sum(len(rows) for rows in batches[first : first + count])
            own = torch.empty(total, features.shape[1], device=features.device)
        own[done : done + len(rows)] = features
        done += len(rows)
        if clips.ids.device.type == "cpu" and number % GIVE_BACK == GIVE_BACK - 1:
            memory.give_back()
        if progress:
            by_all = sum(len(rows) for rows in batches[: sum(min(share[1], number + 1) for share in shares)])
            progress(task, by_all, len(clips), "")
    width = distributed.from_first(lambda: own.shape[1])
    own = own if count else torch.empty(0, width, device=clips.ids.device)
    sizes = [sum(len(rows) for rows in batches[start : start + size]) for start, size in shares]
    return distributed.gather_rows(own, sizes)
