"""A trained encoder for your own work: a run's folder or an official checkpoint in, an nn.Module out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from stars_bench import registry
from stars_bench.api import DatasetSpec
from stars_bench.errors import UsageError
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import choose_device
from stars_bench.experiments.pretrained import Pretrained


def load_encoder(
    path: Path,
    *,
    seed: int = 0,
    device: torch.device | str | None = "cpu",
    frames: int | None = None,
    heads: int | None = None,
) -> nn.Module:
    """See `stars_bench.load_encoder`."""
    if not path.exists():
        raise UsageError(f"{path}: there is no such folder or file: give runs/DATASET/PROTOCOL/METHOD/KEY")
    place = choose_device(None if device is None else str(device))
    start = pretrained.find(path, seed)
    settings = {name: value for name, value in (("frames", frames), ("heads", heads)) if value is not None}
    for name in settings.keys() - set(pretrained.open_settings(start)):
        raise UsageError(f"{start.path}: the {name} of a trained {start.method} cannot be changed: leave {name}= out")
    start = pretrained.fitted(start, settings)
    return pretrained.rebuild(start, _num_joints(start)).to(place).eval()


def _num_joints(start: Pretrained) -> int:
    """Return how many joints an encoder is for: its table of joints says so, else its dataset."""
    if "pos_embed" in start.state:
        return int(start.state["pos_embed"].shape[2])
    if start.dataset is None:
        raise UsageError(f"{start.path}: says neither its joints nor the dataset that it was trained on")
    registry.check_from_file("datasets", start.dataset, start.path)
    spec: DatasetSpec = registry.load("datasets", start.dataset)
    return len(spec.skeleton.joints)
