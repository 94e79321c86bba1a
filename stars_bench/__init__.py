"""stars-bench: prepare skeleton data, run methods under the same rules, print the table.

The command line is `stars-bench` (see `stars-bench --help`). From Python:

    import stars_bench

    stars_bench.prepare("ntu60", raw="nturgbd_skeletons_s001_to_s017.zip")
    dataset = stars_bench.open_dataset("ntu60")
    dataset.table                         # pandas: one row a clip
    dataset.clip("S001C001P001R001A001")  # (M, F, V, 3) float32, metres
    stars_bench.verify(dataset).ok
    stars_bench.load("ntu60", "xsub")     # .train and .test: PyTorch Datasets of clips (C, T, V, M)
    runs = stars_bench.run("stars", dataset="ntu60", protocol="xsub")  # train and evaluate
    stars_bench.evaluate(my_encoder, dataset="ntu60", protocol="xsub", name="mine", frames=64)
    stars_bench.sweep("sweep.toml", jobs=4)  # many runs, several at once
    stars_bench.load_encoder("runs/ntu60/xsub/stars/KEY")  # an nn.Module for your own work
    stars_bench.leaderboard("runs")       # a table; .to_latex(), .to_html(), .to_markdown(), .to_frame()
    stars_bench.pack("runs/ntu60", "results.zip")  # to hand on; stars_bench.unpack("results.zip", "theirs")
    stars_bench.results("runs")           # pandas: one row a measured number

Importing this package imports nothing heavy: what a name needs is loaded when it is used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from stars_bench._version import __version__
from stars_bench.errors import UsageError, for_python
from stars_bench.io import moved_modules

if TYPE_CHECKING:
    import pandas as pd

    from stars_bench.api import DatasetSpec
    from stars_bench.data import transforms
    from stars_bench.data.torch_dataset import ClipDataset, Parts
    from stars_bench.data.transforms import StreamName, Transform
    from stars_bench.errors import StarsBenchError, UsageError
    from stars_bench.experiments.public.load_encoder import load_encoder
    from stars_bench.experiments.public.results import RunResults
    from stars_bench.experiments.public.run import evaluate, run
    from stars_bench.experiments.public.share import pack, unpack
    from stars_bench.experiments.public.sweep import SweepResults, sweep
    from stars_bench.experiments.sharing.pack import PackReport
    from stars_bench.experiments.sharing.unpack import UnpackReport
    from stars_bench.preparation.prepare import PrepareReport
    from stars_bench.preparation.verify import VerifyReport
    from stars_bench.report.leaderboard import Leaderboard, leaderboard
    from stars_bench.storage.shards import PreparedDataset


__all__ = [
    "ClipDataset",
    "DatasetSpec",
    "Leaderboard",
    "PackReport",
    "Parts",
    "PrepareReport",
    "PreparedDataset",
    "RunResults",
    "StarsBenchError",
    "SweepResults",
    "UnpackReport",
    "UsageError",
    "VerifyReport",
    "__version__",
    "evaluate",
    "leaderboard",
    "load",
    "load_encoder",
    "open_dataset",
    "pack",
    "prepare",
    "results",
    "run",
    "sweep",
    "transforms",
    "unpack",
    "verify",
]

_LAZY = {
    "ClipDataset": "stars_bench.data.torch_dataset",
    "DatasetSpec": "stars_bench.api",
    "Leaderboard": "stars_bench.report.leaderboard",
    "PackReport": "stars_bench.experiments.sharing.pack",
    "Parts": "stars_bench.data.torch_dataset",
    "PrepareReport": "stars_bench.preparation.prepare",
    "PreparedDataset": "stars_bench.storage.shards",
    "RunResults": "stars_bench.experiments.public.results",
    "StarsBenchError": "stars_bench.api",
    "SweepResults": "stars_bench.experiments.public.sweep",
    "UnpackReport": "stars_bench.experiments.sharing.unpack",
    "UsageError": "stars_bench.api",
    "VerifyReport": "stars_bench.preparation.verify",
    "evaluate": "stars_bench.experiments.public.run",
    "leaderboard": "stars_bench.report.leaderboard",
    "load_encoder": "stars_bench.experiments.public.load_encoder",
    "pack": "stars_bench.experiments.public.share",
    "run": "stars_bench.experiments.public.run",
    "sweep": "stars_bench.experiments.public.sweep",
    "unpack": "stars_bench.experiments.public.share",
}


moved_modules.install()


@for_python
def prepare(
    dataset: str | DatasetSpec,
    raw: str | Path | Iterable[str | Path] = (),
    data_dir: str | Path | None = None,
    profile: str | None = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    limit: int | None = None,
    progress: Callable[[int, int, int], None] | None = None,
    overwrite: bool = False,
    **options: Any,
) -> PrepareReport:
    """Convert a dataset's raw files to shards in DATA_DIR/DATASET/PROFILE, as `stars-bench prepare` does.

    Args:
        dataset: A registered name, "module:SPEC", or a DatasetSpec.
        raw: Folders and archives. Default: $STARS_BENCH_RAW, else DATA_DIR/raw.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data" here or in a folder above.
        profile: How clips are cleaned. Default: the dataset's default.
        parameters: Parameters of the profile to change, such as {"slice": "aimclr"}. Default: none.
        jobs: Number of processes. Default: one a core.
        limit: Convert only this many raw files, the first by name. Default: all.
        progress: Called with the number of files done, their total, and the number set aside. Default: None.
        overwrite: Whether to convert everything again and replace existing data. Default: False.
        options: Other arguments of `stars_bench.preparation.prepare.prepare`.

    Returns:
        What was converted, and what was set aside.

    Raises:
        UsageError: A name is unknown, there are no raw files, or other data are in the way.
        StarsBenchError: There is nothing to convert, or everything was set aside.
    """
    convert = import_module("stars_bench.preparation.prepare").prepare
    if strange := options.keys() - signature(convert).parameters.keys():
        known = ", ".join(list(signature(convert).parameters)[2:])
        raise UsageError(f"{', '.join(sorted(strange))}: no such option of prepare; there are {known}")
    is_spec = isinstance(dataset, import_module("stars_bench.api").DatasetSpec)
    spec = dataset if is_spec else import_module("stars_bench.registry").load("datasets", dataset)
    report: PrepareReport = convert(
        spec,
        _paths(raw),
        _data_dir(data_dir),
        profile=profile,
        parameters=parameters,
        jobs=jobs,
        limit=limit,
        progress=progress,
        overwrite=overwrite,
        **options,
    )
    return report


@for_python
def open_dataset(name: str, data_dir: str | Path | None = None, profile: str | None = None) -> PreparedDataset:
    """Open a prepared dataset: `.table` (pandas), `.load()` (all coordinates), `.clip(name)` (one clip).

    Args:
        name: Name of the dataset.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data" here or in a folder above.
        profile: How clips were cleaned. Default: the dataset's default, or the only prepared one.

    Returns:
        The dataset.

    Raises:
        UsageError: The dataset is not prepared, or not finished; the message says what to run.
    """
    dataset: PreparedDataset = import_module("stars_bench.storage.shards").open_dataset(
        _data_dir(data_dir), name, profile
    )
    return dataset


@for_python
def load(
    dataset: str | PreparedDataset,
    protocol: str,
    data_dir: str | Path | None = None,
    profile: str | None = None,
    *,
    transform: Transform | Sequence[Transform] | None = None,
    test_transform: Transform | Sequence[Transform] | None = None,
    frames: int | None = 120,
    keep: float = 0.95,
    augment: bool = False,
    max_angle: float = 0.3,
    stream: StreamName = "joint",
    validation: str | None = None,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Parts:
    """Open a prepared dataset under a protocol: `.train` and `.test`, PyTorch Datasets for your own training program.

    An item is (clip (C, T, V, M) float32 in metres, label, name); `.arrays()` gives everything at once. Clips are in
    memory, so a DataLoader needs no workers, but may have some. By default clips are those of evaluations here.

        from stars_bench import transforms as T

        parts = stars_bench.load("ntu60", "xsub", transform=[T.RandomCrop(120), T.RandomRotation(0.3)])

    Args:
        dataset: A name, opened as `open_dataset` does, or an open dataset.
        protocol: xsub, xview, xset, ...
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data".
        profile: How clips were cleaned. Default: the dataset's default, or the only one there is.
        transform: What happens to training clips: transforms of `stars_bench.transforms`, functions of your own from a
            clip (C, T, V, M) to a clip, or a sequence of them. Default: what the next options say.
        test_transform: What happens to test and bank clips. Default: `transform` without chance, that is with centre
            crops for random ones and without random rotation. If a function of your own draws random numbers, give this
            one, too.
        frames: T, to which every crop is resized. None: clips as they are, each of its own length (batch_size=1, or a
            collate_fn of your own). Default: 120.
        keep: Share of each clip's frames that centre crops keep. Default: 0.95.
        augment: Training clips are random crops of half to all frames, turned at random by up to `max_angle`, as in
            stage 1 of MAMP and STARS. Default: False.
        max_angle: Largest random turn about each axis, in radians. Default: 0.3.
        stream: Joint, bone, motion or bone-motion. Default: joint.
        validation: "subjects": a part of the training subjects, drawn by `seed`, takes the test part's place, so that
            settings can be chosen without reading it. Default: None.
        seed: Seed of that draw. Default: 0.
        settings: Settings of a protocol that has some ({"novel_classes": [3, 17]}).

    Returns:
        The parts, with the names of the classes and the joint layout.

    Raises:
        UsageError: Not prepared, no such protocol of this dataset, or an option that does not fit.
    """
    opened = _opened(dataset, data_dir, profile)
    parts: Parts = import_module("stars_bench.data.torch_dataset").load(
        opened,
        protocol,
        transform=transform,
        test_transform=test_transform,
        frames=frames,
        keep=keep,
        augment=augment,
        max_angle=max_angle,
        stream=stream,
        validation=validation,
        seed=seed,
        settings=settings,
    )
    return parts


@for_python
def verify(
    dataset: str | PreparedDataset,
    data_dir: str | Path | None = None,
    profile: str | None = None,
    *,
    raw: str | Path | Iterable[str | Path] = (),
    progress: Callable[[str, int, int, str], None] | None = None,
) -> VerifyReport:
    """Read a prepared dataset again: `.ok`, `.faults` (one line each), `.missing` (what a complete one also has).

    Args:
        dataset: A name, opened as `open_dataset` does, or an open dataset.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data" here or in a folder above.
        profile: How clips were cleaned. Default: the dataset's default, or the only prepared one.
        raw: Folders and archives of the raw files, to convert again and compare. Default: none.
        progress: Called with the task, the number done, their total, and a note. Default: None.

    Returns:
        What is wrong or missing.

    Raises:
        UsageError: The dataset is not prepared.
        StarsBenchError: The index is damaged.
    """
    opened = _opened(dataset, data_dir, profile)
    report: VerifyReport = import_module("stars_bench.preparation.verify").verify(opened, _paths(raw), progress)
    return report


@for_python
def results(runs_dir: str | Path | None = None) -> pd.DataFrame:
    """Read all records below a folder as a tidy frame: one row per record and metric, a column for every setting.

    The settings of a method, an evaluation and a protocol are the columns `method.lr`, `evaluation.k`,
    `protocol.novel_classes` and so on; a value is missing where a record has no such setting.

    Args:
        runs_dir: Folder of all runs, a dataset, a method or one run. Default: $STARS_BENCH_RUNS, else "runs" here or in
            a folder above. A record that cannot be read is left out with a warning.

    Returns:
        The frame: `value` in `unit`, `low` and `high` (95 %), `clips`, and where the number comes from; without rows
        where the folder holds no records.

    Raises:
        UsageError: There is no such folder.
    """
    store = import_module("stars_bench.records.store")
    stored = store.read_records(import_module("stars_bench.io.default_folders").existing_runs(runs_dir))
    for warning in stored.warnings:
        warnings.warn(warning, stacklevel=3)  # 1 is this line, 2 is `for_python`
    frame: pd.DataFrame = store.to_frame(stored.records)
    return frame


def _opened(dataset: str | PreparedDataset, data_dir: str | Path | None, profile: str | None) -> PreparedDataset:
    prepared: type[PreparedDataset] = import_module("stars_bench.storage.shards").PreparedDataset
    if isinstance(dataset, prepared):
        return dataset
    return open_dataset(cast(str, dataset), data_dir, profile)  # refuses what is no name


def _paths(raw: str | Path | Iterable[str | Path]) -> list[Path]:
    paths = raw if isinstance(raw, Iterable) and not isinstance(raw, str) else [raw]
    return [import_module("stars_bench.io.default_folders").as_path(path, "raw") for path in paths]


def _data_dir(data_dir: str | Path | None) -> Path:
    folder: Path = import_module("stars_bench.io.default_folders").data_folder(data_dir)
    return folder


if not TYPE_CHECKING:  # a type checker must see which names there are, and no others

    def __getattr__(name: str) -> Any:
        if name == "transforms":
            return import_module("stars_bench.data.transforms")
        if name in _LAZY:
            return getattr(import_module(_LAZY[name]), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        return __all__
