"""Modules under the names that they had before 0.1.0: old imports keep working, with a DeprecationWarning.

Programs of users import them, and records and checkpoints name methods by `module:Class`. The old names go in 0.2.0.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = "stars_bench"
MOVED = {
    "batches": "data.clip_store",
    "coordinates": "data.placement",
    "draws": "data.random",
    "loading": "data.torch_dataset",
    "datasets.kinect": "datasets.skeletons.kinect",
    "datasets.layouts": "datasets.skeletons.layouts",
    "datasets.ntu_raw": "datasets.parsing.ntu",
    "datasets.prepare": "preparation.prepare",
    "datasets.shards": "storage.shards",
    "datasets.sources": "datasets.raw_files.sources",
    "datasets.text_numbers": "datasets.parsing.numbers",
    "datasets.verify": "preparation.verify",
    "evaluation.features": "evaluation.subject",
    "evaluation.metrics": "records.metrics",
    "evaluation.predictions": "records.predictions",
    "models.augment": "models.layers.augment",
    "models.contrast": "models.layers.contrast",
    "models.dino_tuning": "models.ablations.dino_tuning",
    "models.encoder": "models.layers.encoder",
    "models.mae": "models.ablations.mae",
    "models.mamp_nnclr": "models.ablations.mamp_nnclr",
    "models.moco_tuning": "models.ablations.moco_tuning",
    "models.nnclr": "models.layers.nnclr",
    "models.nnclr_scratch": "models.ablations.nnclr_scratch",
    "models.skeleton_graph": "models.layers.skeleton_graph",
    "models.stars_3stage": "models.ablations.stars_3stage",
    "models.stars_flip": "models.ablations.stars_flip",
    "models.stgcn_net": "models.networks.stgcn",
    "models.layers.stgcn_net": "models.networks.stgcn",
    "models.teacher": "models.layers.momentum_teacher",
    "models.tuning": "models.layers.tuning",
    "training.run": "training.stages",
}
"""Old names to new ones, both below the package."""
MOVED_OBJECTS = {"datasets.ntu:SYNTHETIC": "datasets.synthetic:SYNTHETIC"}
"""Single objects that went to another module."""


def current(target: str) -> str:
    """Return a `module:attribute` under the module's name of today; others come back as they are."""
    module, colon, attribute = target.partition(":")
    inside = module.removeprefix(f"{PACKAGE}.")
    if inside == module:
        return target
    return f"{PACKAGE}.{MOVED_OBJECTS.get(f'{inside}:{attribute}') or f'{MOVED.get(inside, inside)}{colon}{attribute}'}"


class _Finder(MetaPathFinder, Loader):
    """Gives the module of today for an old name."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if current(fullname) != fullname else None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        warnings.warn(f"{name} is now {current(name)}; the old name goes in 0.2.0", DeprecationWarning, stacklevel=2)
        sys.modules[name] = importlib.import_module(current(name))


def install() -> None:
    """Make old names importable; asking twice changes nothing."""
    if not any(type(finder).__qualname__ == _Finder.__qualname__ for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
