"""The layout of runs on disk. Every other module asks here where a file of a run lies.

    runs/DATASET/PROTOCOL/METHOD/KEY/seedN/
        config.toml  log.jsonl  encoder.pt
        stages/  features/  predictions/  records/  maps/  tensorboard/  wandb/

A run that came in a pack has packed.json and encoder/ in place of encoder.pt, stages/ and features/.

KEY is a short digest of what decides the run. Paths in, paths out: no file is opened here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from stars_bench.errors import UsageError
from stars_bench.io.files import path_part

LEVELS = 4
"""How many levels a seed's folder lies below the folder of a dataset's runs."""
RUNS_OF_DATASET = "*/*/*/seed*"
DIGITS_OF_KEY = 16
"""Digits of a stage's key in the name of its checkpoint and in the log."""
_SEED = re.compile(r"seed(\d+)")


@dataclass(frozen=True)
class RunFolder:
    """The folder of one seed of one run.

    Args:
        path: runs/DATASET/PROTOCOL/METHOD/KEY/seedN.
    """

    path: Path

    @classmethod
    def of(cls, runs_dir: Path, dataset: str, protocol: str, method: str, key: str, seed: int) -> RunFolder:
        """Name the folder of a run; characters that no file name may have, as in `module:Class`, are replaced."""
        return cls(runs_dir.joinpath(*map(path_part, (dataset, protocol, method, key)), f"seed{seed}"))

    @classmethod
    def of_record(cls, record: Path) -> RunFolder:
        """Find the folder that a record's file belongs to."""
        return cls(record.parent.parent)

    @classmethod
    def of_file(cls, path: Path) -> RunFolder | None:
        """Find the folder that a file of a run (a record, encoder.pt, config.toml) lies in; None for any other path."""
        if not path.is_file():
            return None
        here = cls(path.parent.parent if path.parent.name == "records" else path.parent)
        return here if here.exists else None

    @property
    def seed(self) -> int | None:
        """The seed in the folder's name; None where it has another name."""
        found = _SEED.fullmatch(self.path.resolve().name)
        return int(found[1]) if found else None

    @property
    def run(self) -> Path:
        """The folder of the run, which holds its seeds."""
        return self.path.parent

    # ------------------------------------------------------------------------------------------------ one file

    @property
    def config(self) -> Path:
        """The settings that the run was started with."""
        return self.path / "config.toml"

    @property
    def log(self) -> Path:
        """Losses and learning rates, one JSON line an epoch."""
        return self.path / "log.jsonl"

    @property
    def encoder(self) -> Path:
        """The trained encoder."""
        return self.path / "encoder.pt"

    @property
    def packed(self) -> Path:
        """What says that the folder comes from a pack, and what a pack leaves out."""
        return self.path / "packed.json"

    @property
    def packed_encoder(self) -> Path:
        """The weights of the encoder as a pack has them; its config and card lie beside them."""
        return self.path / "encoder" / "model.safetensors"

    # ---------------------------------------------------------------------------------------------- many files

    @property
    def stages(self) -> Path:
        """Checkpoints, one a stage."""
        return self.path / "stages"

    @property
    def features(self) -> Path:
        """Features of clips."""
        return self.path / "features"

    @property
    def predictions(self) -> Path:
        """Predictions, one file a result."""
        return self.path / "predictions"

    @property
    def records(self) -> Path:
        """Records, one file a result."""
        return self.path / "records"

    @property
    def maps(self) -> Path:
        """Places of clips on a map, one file a result."""
        return self.path / "maps"

    @property
    def tensorboard(self) -> Path:
        """Event files, one folder a stage."""
        return self.path / "tensorboard"

    @property
    def exists(self) -> bool:
        """Whether a run was started here, or has left a result or an encoder."""
        return self.config.exists() or self.encoder.exists() or bool(self.record_files())

    def record_files(self) -> list[Path]:
        """Return the files of all records of this seed, by name."""
        return sorted(self.records.glob("*.json"))

    def map_file(self, record: Path) -> Path:
        """Return the file of the map that belongs to a record's file."""
        return self.maps / record.name

    def skeleton_file(self, record: Path) -> Path:
        """Return the file of the small skeletons of that map's clips."""
        return self.map_file(record).with_suffix(".skeletons.json")

    # --------------------------------------------------------------------- what runs of one dataset share by key

    def stage_file(self, name: str, key: str) -> Path:
        """Return the file that a stage's checkpoint has in this folder."""
        return self.stages / f"{name}-{key[:DIGITS_OF_KEY]}.pt"

    def stage_lock(self, name: str, key: str) -> Path | None:
        """Return the file that a process holds while it trains a stage; None for a folder among no runs."""
        above = self.path.resolve().parents
        if self.seed is None or len(above) <= LEVELS:
            return None
        return above[LEVELS - 1] / f".{name}-{key[:DIGITS_OF_KEY]}.lock"

    def stage_files(self, name: str, key: str) -> list[Path]:
        """Return all checkpoints of a stage: this run's own first, then those of other runs of the dataset, by path."""
        own = self.stage_file(name, key)
        return self._own_first([own] if own.exists() else [], f"stages/{own.name}")

    def find_stage(self, name: str, key: str) -> Path | None:
        """Find the checkpoint of a stage, of this run, else of another run of the dataset; None where there is none."""
        own = self.stage_file(name, key)
        return own if own.exists() else next(iter(self.stage_files(name, key)), None)

    def feature_files(self, key: str, everywhere: bool = True) -> list[Path]:
        """Return files of features under a key: this run's own first, then those of other runs of the dataset, by path.

        Args:
            key: What the files' names begin with.
            everywhere: Also look into the other runs; default True.
        """
        own = sorted(self.features.glob(f"{key}-*.npz"))
        return self._own_first(own, f"features/{key}-*.npz") if everywhere else own

    def _own_first(self, own: Iterable[Path], pattern: str) -> list[Path]:
        above = self.path.resolve().parents
        if self.seed is None or len(above) <= LEVELS:  # lies in no runs folder
            return list(own)
        known = {path.resolve() for path in own}
        others = sorted(above[LEVELS - 1].glob(f"{RUNS_OF_DATASET}/{pattern}"))
        return [*own, *(path for path in others if path.resolve() not in known)]


def run_folders(path: Path) -> list[RunFolder]:
    """Return all run folders at or below a folder: of all runs, a dataset, a protocol, a method, one run or one seed.

    Args:
        path: The folder, or a file of a seed's; one that does not exist has none.

    Returns:
        The folders by path, seeds as numbers.
    """
    here = RunFolder.of_file(path) or RunFolder(path)
    if here.exists:
        return [here]
    below = (found for levels in range(LEVELS + 1) for found in path.glob("*/" * levels + "seed*"))
    return _sorted(below)


def seeds_of(path: Path) -> list[RunFolder]:
    """Return the run folders that a user means by a path: every command that wants one run asks here.

    Args:
        path: A run's folder (METHOD/KEY); a seed's; a file of a seed's: a record, encoder.pt, config.toml; the folder
            of a method that has one run.

    Returns:
        The folders, seeds as numbers; none where the path is none of these.

    Raises:
        UsageError: The folder of a method that has several runs.
    """
    here = RunFolder.of_file(path) or RunFolder(path)
    if here.exists:
        return [here]
    if seeds := _sorted(path.glob("seed*")):
        return seeds
    found = _sorted(path.glob("*/seed*"))
    runs = list(dict.fromkeys(folder.run for folder in found))
    if len(runs) > 1:
        raise UsageError(f"{path}: holds {len(runs)} runs; give one of them: {', '.join(run.name for run in runs)}")
    return found


def _sorted(paths: Iterable[Path]) -> list[RunFolder]:
    folders = [RunFolder(path) for path in paths]
    return sorted(
        (folder for folder in folders if folder.seed is not None and folder.exists),
        key=lambda folder: (folder.run, folder.seed or 0),
    )
