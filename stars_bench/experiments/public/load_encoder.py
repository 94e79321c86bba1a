"""A trained encoder for your own work: a run's folder or an official checkpoint in, an nn.Module out."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from stars_bench import registry
from stars_bench.api import DatasetSpec
from stars_bench.errors import UsageError, for_python
from stars_bench.experiments import pretrained
from stars_bench.experiments.plan import choose_device
from stars_bench.experiments.pretrained import Pretrained
from stars_bench.io.default_folders import as_path


@for_python
def load_encoder(
    run_or_checkpoint: str | Path,
    *,
    seed: int | None = None,
    device: torch.device | str | None = "cpu",
    frames: int | None = None,
    heads: int | None = None,
) -> nn.Module:
    """Load a trained encoder for your own work: an nn.Module in evaluation mode that maps clips to features.

        encoder = stars_bench.load_encoder("runs/ntu60/xsub/stars/KEY")
        parts = stars_bench.load("ntu60", "xsub", frames=encoder.frames)
        clips, labels, names = next(iter(DataLoader(parts.test, batch_size=32)))  # (32, 3, T, V, M)
        with torch.no_grad():
            features = encoder(clips)  # (32, encoder.dim)

    It can be trained further as any module: `encoder.train()`, then an optimizer over `encoder.parameters()`.
    `examples/nearest_clips.py` is a whole program.

    Args:
        run_or_checkpoint: A run's folder (METHOD, KEY or seedN), its encoder.pt, or a checkpoint of MAMP or STARS.
        seed: Which of a run's seeds. Default: None, the only one there is, or 0.
        device: Where the module lies: "cpu", "cuda", "cuda:1". None: a GPU if there is one. Default: "cpu".
        frames: T of the clips that it is to take, by interpolation of its temporal table. Default: as it was trained.
        heads: Attention heads of a checkpoint of MAMP or STARS, which does not say. Default: 8 for a width of 256.

    Returns:
        The module, with `dim` (width of the features) and `frames` (T of its clips).

    Raises:
        UsageError: There is no such run, no such seed, or its method cannot be built without training.
        StarsBenchError: The file is no checkpoint, or is damaged.
    """
    path = as_path(run_or_checkpoint, "run_or_checkpoint")
    if not path.exists():
        raise UsageError(f"{path}: there is no such folder or file: give runs/DATASET/PROTOCOL/METHOD/KEY")
    place = choose_device(None if device is None else str(device))
    if seed is not None and path.is_dir() and seed not in (there := pretrained.seeds(path)):
        raise UsageError(f"{path}: seed {seed} is not there ({', '.join(f'seed{one}' for one in there)})")
    start = pretrained.find(path, seed or 0)
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
