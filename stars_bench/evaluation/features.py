"""Features of a part of the data under an encoder, and what an evaluation is given.

Features are extracted once per encoder and crop, kept with their clip names in `features/`, and shared by evaluations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from stars_bench.batches import ClipPart
from stars_bench.provenance import atomic_path, digest_json
from stars_bench.training.loop import Progress, autocast
from stars_bench.training.run import StageResult, StageRun

BATCH = 256
PartName = Literal["train", "test"]


@dataclass(frozen=True)
class Outcome:
    """One result of an evaluation: predictions for the test part, in its order. Metrics are computed elsewhere.

    Args:
        settings: the variant, e.g. {"k": 5}. predictions: (N,) int64 classes. scores: (N, classes) float32, if the
        evaluation ranks classes. by_epoch: (E, N) predictions after each epoch, if it trained. stages: what it trained.
    """

    settings: Mapping[str, Any]
    predictions: np.ndarray
    scores: np.ndarray | None = None
    by_epoch: np.ndarray | None = None
    checkpoint_rule: str = "last epoch"
    stages: tuple[StageResult, ...] = ()


@dataclass
class Subject:
    """What an evaluation works on: a trained encoder, the training part with labels, the test part without.

    Args:
        run: gives config, seed, device and checkpointed stages. names: clip names of each part. key: the encoder's,
        which covers all code, data, settings and precision that its features depend on.
    """

    encoder: nn.Module
    train: ClipPart
    test: ClipPart
    num_classes: int
    run: StageRun
    names: Mapping[PartName, np.ndarray]
    key: str
    cache: dict[str, Tensor] = field(default_factory=dict)

    def features(self, part: PartName, keep: float = 0.95) -> Tensor:
        """Features (N, D) float32 of the centre crop `keep` of the training or test part."""
        clips = self.train if part == "train" else self.test
        what = {
            "encoder": self.key,
            "names": self.names[part].tolist(),
            "keep": keep,
            "precision": self.run.precision,
        }
        file = self.run.folder / "features" / f"{part}-crop{keep:g}-{digest_json(what)[:16]}.npz"
        if file.name not in self.cache:
            if not file.exists():
                features = extract(self.encoder, clips, keep, self.run.precision, self.run.progress, f"{part} features")
                _save(file, self.names[part], features)
            with np.load(file, allow_pickle=False) as stored:
                self.cache[file.name] = torch.from_numpy(stored["features"]).to(self.run.device)
        return self.cache[file.name]


def _save(file: Path, names: np.ndarray, features: Tensor) -> None:
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, names=names.astype(str), features=features.cpu().numpy())


@torch.no_grad()
def extract(
    encoder: nn.Module,
    clips: ClipPart,
    keep: float,
    precision: str = "float32",
    progress: Progress | None = None,
    task: str = "features",
) -> Tensor:
    """Features (N, D) float32 of every clip of a part, encoder in eval mode, centre crop `keep`."""
    encoder.eval()
    frames = int(encoder.frames)  # type: ignore[arg-type]
    out = []
    for first in range(0, len(clips), BATCH):
        rows = torch.arange(first, min(first + BATCH, len(clips)), device=clips.ids.device)
        with autocast(clips.ids.device, precision):
            out.append(encoder(clips.whole(rows, frames, keep)).float())
        if progress:
            progress(task, int(rows[-1]) + 1, len(clips), "")
    return torch.cat(out)
