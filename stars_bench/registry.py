"""Names to objects: built-in ones, installed plug-ins (entry points), and `package.module:Name` on the command line.

Nothing is imported before it is asked for by name, so listing names stays instant. What the user has neither installed
nor named is not imported because a file (a record, a checkpoint, prepared data) names it: `check_from_file`.
"""

from __future__ import annotations

import importlib
import os
import sys
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from stars_bench.api import DatasetSpec, ProtocolSpec
from stars_bench.errors import UsageError, one_line, printable
from stars_bench.io import class_source
from stars_bench.io.moved_modules import current

BUILT_IN: dict[str, dict[str, str]] = {
    "datasets": {
        "ntu60": "stars_bench.datasets.ntu:NTU60",
        "ntu120": "stars_bench.datasets.ntu:NTU120",
        "pku1": "stars_bench.datasets.pku_mmd:PKU1",
        "pku2": "stars_bench.datasets.pku_mmd:PKU2",
        "synthetic": "stars_bench.datasets.synthetic:SYNTHETIC",
    },
    "protocols": {
        "xsub": "stars_bench.protocols.standard:XSUB",
        "xview": "stars_bench.protocols.standard:XVIEW",
        "xset": "stars_bench.protocols.standard:XSET",
        "unseen": "stars_bench.protocols.novel:UNSEEN",
        "oneshot": "stars_bench.protocols.novel:ONESHOT",
        "fewshot": "stars_bench.protocols.novel:FEWSHOT",
    },
    "methods": {
        "untrained": "stars_bench.models.untrained:Untrained",
        "mamp": "stars_bench.models.mamp:Mamp",
        "stars": "stars_bench.models.stars:Stars",
        "supervised": "stars_bench.models.supervised:Supervised",
        "mae": "stars_bench.models.ablations.mae:Mae",
        "stars-3stage": "stars_bench.models.ablations.stars_3stage:Stars3Stage",
        "stars+flip": "stars_bench.models.ablations.stars_flip:StarsFlip",
        "moco-tuning": "stars_bench.models.ablations.moco_tuning:MocoTuning",
        "dino-tuning": "stars_bench.models.ablations.dino_tuning:DinoTuning",
        "mamp+nnclr": "stars_bench.models.ablations.mamp_nnclr:MampNnclr",
        "nnclr-scratch": "stars_bench.models.ablations.nnclr_scratch:NnclrScratch",
        "stgcn": "stars_bench.models.stgcn:Stgcn",
        "skeletonclr": "stars_bench.models.skeletonclr:SkeletonClr",
        "aimclr": "stars_bench.models.aimclr:AimClr",
        "raw": "stars_bench.models.raw:Raw",
    },
    "evaluations": {
        "knn": "stars_bench.evaluation.knn:KNN",
        "linear": "stars_bench.evaluation.linear:Linear",
        "finetune": "stars_bench.evaluation.finetune:Finetune",
        "semi": "stars_bench.evaluation.semi:Semi",
        "classifier": "stars_bench.evaluation.classifier:Classifier",
        "fewshot": "stars_bench.evaluation.few_shot:FewShot",
        "exemplar": "stars_bench.evaluation.few_shot:Exemplar",
        "clusters": "stars_bench.evaluation.clusters:Clusters",
    },
}


DESCRIBED = ".toml"
DESCRIPTION = "dataset.toml"
"""Beside prepared data (DATA_DIR/NAME) of a dataset that a TOML file describes: that file."""

_data_folders: dict[Path, None] = {}
_brought: dict[str, ModuleType] = {}
"""Modules of the user's own that are not installed, by name."""
_named: set[str] = set()
"""Top-level packages of what the user has named as `module:attribute`."""


def bring(module_name: str) -> None:
    """Imports a module of the user's own, also from the current folder; what is in it is known by its name from now on.

    Raises:
        UsageError: it cannot be imported.
    """
    _brought[module_name] = _imported(module_name, f"--import {module_name}", here=True)


def look_in(data_dir: Path) -> None:
    """From now on the described datasets that were prepared below this data folder are known by name, too."""
    _data_folders.pop(data_dir.absolute(), None)
    _data_folders[data_dir.absolute()] = None  # the last one goes before the others


def names(kind: str) -> list[str]:
    """All registered names of a kind ("datasets", "protocols", "methods", "evaluations"), built-in ones first."""
    return list(_targets(kind))


def load(kind: str, name: str) -> Any:
    """The object behind a name. `module:attribute` is imported as it stands, also from the current folder.

    A dataset may be a .toml file that describes it.

    Raises:
        UsageError: unknown name (the nearest one is given), an import that fails, a description that is wrong.
    """
    described = kind == "datasets" and name.endswith(DESCRIBED)
    target = name if ":" in name or described else _targets(kind).get(name)
    if target is None and (brought := _of_brought(kind, name)) is not None:
        return brought
    if target is None:
        close = get_close_matches(name, names(kind), n=1)
        hint = f"did you mean {close[0]!r}? There" if close else "there"
        raise UsageError(f"no {kind[:-1]} is called {name!r}: {hint} are {', '.join(names(kind))}")
    if described or target.endswith(DESCRIBED):
        return importlib.import_module("stars_bench.datasets.custom.load").describe(Path(target))
    module_name, _, attribute = current(target).partition(":")
    module = _imported(module_name, f"{kind[:-1]} {name!r}", here=":" in name)
    if not hasattr(module, attribute):
        raise UsageError(f"{kind[:-1]} {name!r}: module {module_name!r} has no {attribute!r}")
    _named.add(module_name.partition(".")[0])
    return getattr(module, attribute)


def check_from_file(kind: str, name: str, file: Path) -> None:
    """That a name from a file may be given to `load`: a registered name, or code that the user has installed or named.

    A file may come from anybody, and to import a module is to run it.

    Raises:
        UsageError: it is other code, or a path.
    """
    module, colon, _ = name.partition(":")
    told = f"{file}: names the {kind[:-1]} {printable(name)!r}"
    if name.endswith(DESCRIBED):
        raise UsageError(f"{told}: a path, which is not followed because a file says so")
    if not colon:
        return
    plugins = (point.value for one in BUILT_IN for point in entry_points(group=f"stars_bench.{one}"))
    mine = {one.partition(":")[0].partition(".")[0] for one in ("stars_bench", *plugins, *_brought)}
    if module.partition(".")[0] not in mine | _named:
        raise UsageError(
            f"{told}: code that is not installed, and that is not run because a file says so. If it is yours: "
            f"stars-bench --import {printable(module)} ..."
        )


def _imported(module_name: str, told: str, *, here: bool) -> ModuleType:
    """A module, looked for in the current folder, too, if `here`."""
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(f"{told}: {module_name!r} is not the name of a module, such as package.module")
    if here and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{told}: there is no module {error.name!r}") from error
    except Exception as error:  # a module's own code can fail in any way
        raise UsageError(f"{told}: {module_name!r} cannot be imported ({one_line(error)})") from error


def _of_brought(kind: str, name: str) -> Any:
    """What is called `name` in the modules that were brought; None: nothing is."""
    for module in _brought.values():
        for value in vars(module).values():
            if getattr(value, "name", None) == name and _is_a(kind, value):
                return value
    return None


def _is_a(kind: str, value: Any) -> bool:
    if kind in ("datasets", "protocols"):
        return isinstance(value, DatasetSpec if kind == "datasets" else ProtocolSpec)
    return isinstance(value, type) and hasattr(value, "fit" if kind == "methods" else "run")


def summary(kind: str, name: str) -> str:
    """The first line of the docstring of a registered class, read from its source: nothing is imported."""
    return class_source.summary(_targets(kind)[name])


def fact(kind: str, name: str, attribute: str) -> Any:
    """An attribute that a registered class writes as a literal, read from its source; None: it writes none."""
    return class_source.fact(_targets(kind)[name], attribute)


def installed(kind: str) -> dict[str, str]:
    """What ships and what is installed: names and where they are defined."""
    plugins = {point.name: point.value for point in entry_points(group=f"stars_bench.{kind}")}
    return BUILT_IN[kind] | {name: value for name, value in plugins.items() if name not in BUILT_IN[kind]}


def _targets(kind: str) -> dict[str, str]:
    return (_described() if kind == "datasets" else {}) | installed(kind)


def _described() -> dict[str, str]:
    """The descriptions below the data folders: names of the datasets and their files."""
    usual = Path(os.environ.get("STARS_BENCH_DATA") or "data").absolute()
    found = [path for folder in (usual, *_data_folders) for path in sorted(folder.glob(f"*/{DESCRIPTION}"))]
    return {path.parent.name: str(path) for path in found}
