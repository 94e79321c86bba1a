"""Names to objects: built-in ones, installed plug-ins (entry points), and `package.module:Name` on the command line.

The functions of this module ask one `Registry`, the process's own. Nothing is imported before it is asked for by name,
so listing names stays instant. What the user has neither installed nor named is not imported because a file (a record,
a checkpoint, prepared data) names it: `check_from_file`.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import replace
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from stars_bench.api import DatasetSpec, ProtocolSpec
from stars_bench.errors import UsageError, one_line, printable
from stars_bench.io.moved_modules import current
from stars_bench.io.source import class_source

BUILT_IN: dict[str, dict[str, str]] = {
    "datasets": {
        "ntu60": "stars_bench.datasets.ntu:NTU60",
        "ntu120": "stars_bench.datasets.ntu:NTU120",
        "pku1": "stars_bench.datasets.pku_mmd:PKU1",
        "pku2": "stars_bench.datasets.pku_mmd:PKU2",
        "synthetic": "stars_bench.datasets.synthetic:SYNTHETIC",
        "ntu60-2d": "stars_bench.datasets.ntu_2d:NTU60_2D",
        "ntu120-2d": "stars_bench.datasets.ntu_2d:NTU120_2D",
        "gym99": "stars_bench.datasets.gym99:GYM99",
    },
    "protocols": {
        "xsub": "stars_bench.protocols.standard:XSUB",
        "xview": "stars_bench.protocols.standard:XVIEW",
        "xset": "stars_bench.protocols.standard:XSET",
        "unseen": "stars_bench.protocols.novel:UNSEEN",
        "oneshot": "stars_bench.protocols.novel:ONESHOT",
        "fewshot": "stars_bench.protocols.novel:FEWSHOT",
        "zeroshot": "stars_bench.protocols.novel:ZEROSHOT",
        "xsub-limited": "stars_bench.protocols.limited:LIMITED",
        "official": "stars_bench.protocols.official:OFFICIAL",
        "xsub-v1": "stars_bench.protocols.official:XSUB_V1",
        "xsub-v2": "stars_bench.protocols.official:XSUB_V2",
        "as1": "stars_bench.protocols.official:AS1",
        "as2": "stars_bench.protocols.official:AS2",
        "as3": "stars_bench.protocols.official:AS3",
        "split1": "stars_bench.protocols.official:SPLIT1",
        "split2": "stars_bench.protocols.official:SPLIT2",
        "split3": "stars_bench.protocols.official:SPLIT3",
        "split4": "stars_bench.protocols.official:SPLIT4",
        "split5": "stars_bench.protocols.official:SPLIT5",
    },
    "methods": {
        "untrained": "stars_bench.models.untrained:Untrained",
        "mamp": "stars_bench.models.mamp:Mamp",
        "stars": "stars_bench.models.stars:Stars",
        "s-jepa": "stars_bench.models.sjepa:SJepa",
        "supervised": "stars_bench.models.supervised:Supervised",
        "mae": "stars_bench.models.ablations.mae:Mae",
        "stars-3stage": "stars_bench.models.ablations.stars_3stage:Stars3Stage",
        "stars+flip": "stars_bench.models.ablations.stars_flip:StarsFlip",
        "moco-tuning": "stars_bench.models.ablations.moco_tuning:MocoTuning",
        "dino-tuning": "stars_bench.models.ablations.dino_tuning:DinoTuning",
        "mamp+nnclr": "stars_bench.models.ablations.mamp_nnclr:MampNnclr",
        "nnclr-scratch": "stars_bench.models.ablations.nnclr_scratch:NnclrScratch",
        "stgcn": "stars_bench.models.stgcn:Stgcn",
        "ctrgcn": "stars_bench.models.ctrgcn:Ctrgcn",
        "skeletonclr": "stars_bench.models.skeletonclr:SkeletonClr",
        "aimclr": "stars_bench.models.aimclr:AimClr",
        "hiclr": "stars_bench.models.hiclr:HiClr",
        "cmd": "stars_bench.models.cmd:Cmd",
        "umurl": "stars_bench.models.umurl:Umurl",
        "usdrl": "stars_bench.models.usdrl:Usdrl",
        "raw": "stars_bench.models.raw:Raw",
    },
    "evaluations": {
        "knn": "stars_bench.evaluation.knn:KNN",
        "retrieval": "stars_bench.evaluation.retrieval:Retrieval",
        "linear": "stars_bench.evaluation.linear:Linear",
        "finetune": "stars_bench.evaluation.finetune:Finetune",
        "semi": "stars_bench.evaluation.semi:Semi",
        "classifier": "stars_bench.evaluation.classifier:Classifier",
        "fewshot": "stars_bench.evaluation.few_shot:FewShot",
        "exemplar": "stars_bench.evaluation.few_shot:Exemplar",
        "zeroshot": "stars_bench.evaluation.zero_shot:ZeroShot",
        "clusters": "stars_bench.evaluation.clusters:Clusters",
    },
    "loggers": {
        "tensorboard": "stars_bench.training.loggers.tensorboard:TensorBoard",
        "wandb": "stars_bench.training.loggers.wandb:WeightsAndBiases",
    },
}


CLASS_SPLITS = (
    "oneshot-pku2",
    "oneshot-validation",
    "fewshot-dastm",
    "fewshot-dastm-kinetics",
    "zeroshot-55-5",
    "zeroshot-48-12",
    "zeroshot-40-20",
    "zeroshot-30-30",
    "zeroshot-110-10",
    "zeroshot-96-24",
    "zeroshot-80-40",
    "zeroshot-60-60",
    "zeroshot-46-5",
    "zeroshot-39-12",
    "zeroshot-smie-1",
    "zeroshot-smie-2",
    "zeroshot-smie-3",
    "zeroshot-smie-4",
    "zeroshot-smie-5",
    "zeroshot-smie-6",
    "zeroshot-smie-7",
    "zeroshot-smie-8",
    "zeroshot-smie-9",
    "zeroshot-star-3",
    "zeroshot-14-13",
    "zeroshot-18-9",
    "zeroshot-22-5",
    "zeroshot-280-120",
    "zeroshot-300-100",
    "zeroshot-320-80",
    "zeroshot-360-40",
    "zeroshot-5-5",
    "zeroshot-8-2",
)
"""Published class splits: protocols/lists/NAME.toml."""
SPLITS_OF_LISTS = "stars_bench.protocols.class_splits"
BUILT_IN["protocols"] |= {name: f"{SPLITS_OF_LISTS}:{name}" for name in CLASS_SPLITS}
DESCRIBED = ("nwucla", "uav-human", "utd-mhad", "msr-action3d", "sbu", "kinetics-skeleton")
"""Datasets that ship as descriptions: datasets/NAME.toml."""
BUILT_IN["datasets"] |= {name: str(Path(__file__).parent / "datasets" / f"{name}.toml") for name in DESCRIBED}
REPLACEABLE = {*DESCRIBED, "gym99", "ntu60-2d", "ntu120-2d"}
"""Names of datasets that a user's own description may have: what is prepared by it then goes by it."""
FROM_FILES = {"datasets": {".toml": "stars_bench.datasets.custom.load:describe"}}
"""Objects that a file describes: by kind and suffix, the function that makes one of the file's path."""
DESCRIPTION = "dataset.toml"
"""Beside prepared data (DATA_DIR/NAME) of a dataset that a TOML file describes: that file."""

SPECS: dict[str, type] = {"datasets": DatasetSpec, "protocols": ProtocolSpec}
MEMBERS = {
    "methods": ("name", "Config", "fit"),
    "evaluations": ("name", "Config", "run"),
    "loggers": ("name", "epoch", "result", "close"),
}
"""What an object of each kind is an instance of, or what it has."""


class Registry:
    """What names stand for: what ships, what is installed, and what the user of this process has added."""

    def __init__(self) -> None:
        self._data_dirs: list[Path] = []
        self._modules: dict[str, ModuleType] = {}
        """What `import_module` has imported, by name."""
        self._packages: set[str] = set()
        """Top-level packages of what has been loaded as `module:attribute`."""

    def import_module(self, name: str) -> None:
        """Import a module of the user, also from the current folder, and register the names in it.

        Args:
            name: The module, as `package.module`.

        Raises:
            UsageError: The module cannot be imported.
        """
        self._modules[name] = _imported(name, f"--import {name}", here=True)

    def imported(self) -> tuple[str, ...]:
        """Return the modules that `import_module` has imported, as another process must import them."""
        return tuple(self._modules)

    def add_data_dir(self, data_dir: Path) -> None:
        """Register the described datasets that are prepared in a folder.

        Args:
            data_dir: Where prepared datasets lie. Where two folders have a name, the one added last counts.
        """
        folder = data_dir.absolute()
        self._data_dirs = [*(one for one in self._data_dirs if one != folder), folder]

    def names(self, kind: str) -> list[str]:
        """List all registered names of a kind, built-in ones first.

        Args:
            kind: "datasets", "protocols", "methods", "evaluations" or "loggers".
        """
        return list(self._targets(kind))

    def load(self, kind: str, name: str) -> Any:
        """Return the object behind a name.

        Args:
            kind: "datasets", "protocols", "methods", "evaluations" or "loggers".
            name: A registered name; `module:attribute`, which is imported as it stands, also from the current folder;
                or a file that describes a dataset (.toml).

        Raises:
            UsageError: The name is unknown (the message gives the nearest one), an import fails, the object is of
                another kind, or a description is wrong.
        """
        if not isinstance(name, str):
            raise UsageError(f"{kind[:-1]}: a name, not {name!r:.80}")
        is_target = ":" in name or _maker(kind, name) is not None
        target = name if is_target else self._targets(kind).get(name)
        if target is None:
            return self._from_modules(kind, name)
        if (maker := _maker(kind, target)) is not None:
            return _described(kind, Path(target), maker)
        module_name, _, attribute = current(target).partition(":")
        found = _attribute(module_name, attribute, f"{kind[:-1]} {name!r}", here=is_target)
        if (fault := _fault(kind, found)) is not None:
            raise UsageError(f"{kind[:-1]} {name!r}: {attribute} {fault}, so it is no {kind[:-1]} (docs/adding.md)")
        self._packages.add(module_name.partition(".")[0])
        return found

    def check_from_file(self, kind: str, name: str, file: Path) -> None:
        """Check that a name out of a file may be given to `load`: registered, or code that the user installed or named.

        A file may come from anybody, and to import a module is to run it.

        Args:
            kind: "datasets", "protocols", "methods", "evaluations" or "loggers".
            name: What the file says.
            file: The file, for the message.

        Raises:
            UsageError: It is other code, or a path.
        """
        module, colon, _ = name.partition(":")
        where = f"{file}: names the {kind[:-1]} {printable(name)!r}"
        if any(_maker(one, name) for one in FROM_FILES):
            raise UsageError(f"{where}: a path, which is not followed because a file says so")
        if not colon:
            return
        plugins = (target for one in BUILT_IN for target in _plugins(one, tuple(sys.path)).values())
        known = {one.partition(":")[0].partition(".")[0] for one in ("stars_bench", *plugins, *self._modules)}
        if module.partition(".")[0] not in known | self._packages:
            raise UsageError(
                f"{where}: code that is not installed, and that is not run because a file says so. If it is yours: "
                f"stars-bench --import {printable(module)} ..."
            )

    def summary(self, kind: str, name: str) -> str:
        """Read the first line of a registered class's docstring from its source: nothing is imported.

        Returns:
            The line; empty where the name does not stand for a class.
        """
        return class_source.summary(self._targets(kind)[name])

    def fact(self, kind: str, name: str, attribute: str) -> Any:
        """Read an attribute of a registered class from its source, where it is a literal.

        Returns:
            The value; None where the class does not write it as a literal.
        """
        return class_source.fact(self._targets(kind)[name], attribute)

    def _targets(self, kind: str) -> dict[str, str]:
        """Return names, and what they stand for as `module:attribute` or as the path of a description."""
        found = installed(kind)
        if kind != "datasets":
            return found
        own = {name: path for name, path in self._descriptions().items() if name not in found or name in REPLACEABLE}
        return found | own

    def _descriptions(self) -> dict[str, str]:
        """Return names of the described datasets in the data folders, and their files."""
        usual = Path(os.environ.get("STARS_BENCH_DATA") or "data").absolute()
        folders = (usual, *self._data_dirs)
        found = [path for folder in folders for path in sorted(folder.glob(f"*/{DESCRIPTION}"))]
        return {path.parent.name: str(path) for path in found}

    def _from_modules(self, kind: str, name: str) -> Any:
        """Return what has a name in the modules that the user has imported."""
        for module in self._modules.values():
            for value in vars(module).values():
                if getattr(value, "name", None) == name and _fault(kind, value) is None:
                    return value
        close = get_close_matches(name, self.names(kind), n=1)
        hint = f"did you mean {close[0]!r}? There" if close else "there"
        own = "; one of your own is known where its data lie (--data-dir)" if kind == "datasets" else ""
        raise UsageError(f"no {kind[:-1]} is called {name!r}: {hint} are {', '.join(self.names(kind))}{own}")


def shipped_name(kind: str, target: str) -> str:
    """Return the name of a plug-in that ships; of another its target, `module:Class`."""
    return next((name for name, there in BUILT_IN[kind].items() if there == target), target)


def installed(kind: str) -> dict[str, str]:
    """Return what ships and what is installed: names and where they are defined."""
    plugins = _plugins(kind, tuple(sys.path))
    return BUILT_IN[kind] | {name: value for name, value in plugins.items() if name not in BUILT_IN[kind]}


@cache
def _plugins(kind: str, path: tuple[str, ...]) -> dict[str, str]:  # noqa: ARG001 - what is installed hangs on it
    """Names of plug-ins and where they are defined; read once, since every installed distribution is opened for it."""
    return {point.name: point.value for point in entry_points(group=f"stars_bench.{kind}")}


def _maker(kind: str, target: str) -> str | None:
    """Return what makes an object of a path with a known suffix; None: it is no such path."""
    return next((maker for suffix, maker in FROM_FILES.get(kind, {}).items() if target.endswith(suffix)), None)


def _described(kind: str, path: Path, maker: str) -> Any:
    """Return the object that a file describes, under a name that is not taken."""
    module_name, _, attribute = maker.partition(":")
    made = _attribute(module_name, attribute, str(path), here=False)(path)
    if str(path) in BUILT_IN[kind].values():
        return replace(made, description=None)  # known everywhere: not kept beside what is prepared
    if made.name in installed(kind).keys() - REPLACEABLE:
        raise UsageError(f"{path}: name: {made.name!r} is another {kind[:-1]}'s name")
    return made


def _attribute(module_name: str, attribute: str, where: str, *, here: bool) -> Any:
    module = _imported(module_name, where, here=here)
    if not hasattr(module, attribute):
        raise UsageError(f"{where}: module {module_name!r} has no {attribute!r}")
    return getattr(module, attribute)


def _imported(module_name: str, where: str, *, here: bool) -> ModuleType:
    """Return a module, looked for in the current folder, too, if `here`."""
    if not all(part.isidentifier() for part in module_name.split(".")):
        raise UsageError(f"{where}: {module_name!r} is not the name of a module, such as package.module")
    if here and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(f"{where}: there is no module {error.name!r}") from error
    except Exception as error:  # a module's own code can fail in any way
        raise UsageError(f"{where}: {module_name!r} cannot be imported ({one_line(error)})") from error


def _fault(kind: str, value: Any) -> str | None:
    """Return why an object is not of a kind; None: it is."""
    if kind in SPECS:
        return None if isinstance(value, SPECS[kind]) else f"is no {SPECS[kind].__name__}"
    if not isinstance(value, type):
        return "is no class"
    missing = [name for name in MEMBERS[kind] if not hasattr(value, name)]
    return f"has no `{missing[0]}`" if missing else None


default = Registry()
"""What the commands and the functions below ask; a test makes a registry of its own."""
names, load, summary, fact = default.names, default.load, default.summary, default.fact
import_module, add_data_dir, check_from_file = default.import_module, default.add_data_dir, default.check_from_file
imported = default.imported
