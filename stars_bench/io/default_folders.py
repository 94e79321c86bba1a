"""Where data and runs lie by default: here, or in the nearest folder above that has some, as git finds .git."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from stars_bench.errors import UsageError
from stars_bench.io.run_folder import LEVELS

CONTENT = {"data": "*/*/index.json", "runs": "*/" * LEVELS + "seed*"}
"""What lies in each of the two folders, which shows that a folder above is one of ours."""


def default_folder(name: Literal["data", "runs"]) -> Path:
    """Find the folder that a command works on when it is given none.

    Args:
        name: "data" or "runs".

    Returns:
        The folder of this name in the current folder, or, where that does not exist, in the nearest folder above that
        holds such files (the file system's root is left out), as a path from here. Where there is none: `name`.
    """
    here = Path.cwd()
    if not Path(name).exists():
        for above in here.parents[:-1]:
            if next((above / name).glob(CONTENT[name]), None) is not None:
                return Path(os.path.relpath(above / name, here))
    return Path(name)


def data_folder(given: str | Path | None) -> Path:
    """Choose the folder of prepared datasets: the one given, else $STARS_BENCH_DATA, else `default_folder`.

    Raises:
        UsageError: It is a file, or below one.
    """
    return _chosen(given, "data")


def runs_folder(given: str | Path | None) -> Path:
    """Choose the folder of runs: the one given, else $STARS_BENCH_RUNS, else `default_folder`.

    Raises:
        UsageError: It is a file, or below one.
    """
    return _chosen(given, "runs")


def existing_runs(given: str | Path | None) -> Path:
    """Choose the folder of runs, as `runs_folder`, to read from it.

    Raises:
        UsageError: It does not exist.
    """
    runs = runs_folder(given)
    if not runs.is_dir():
        raise UsageError(f"{runs}: there is no such folder of runs (stars-bench run stars --protocol xsub makes one)")
    return runs


def as_path(given: object, argument: str) -> Path:
    """Return what a caller names a file or folder with.

    Raises:
        UsageError: It is no text and no path.
    """
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(f"{argument}={given!r:.80}: give a path")
    return Path(given)


def as_folder(path: Path, option: str) -> Path:
    """Return a path at which a folder is, or can be made.

    Args:
        path: The path.
        option: What names it, such as "--runs-dir".

    Raises:
        UsageError: It is a file, or below one.
    """
    there = next((place for place in (path, *path.parents) if place.exists()), path)
    if there.exists() and not there.is_dir():
        raise UsageError(f"{option} {path}: {there} is no folder; name a folder")
    return path


def _chosen(given: str | Path | None, name: Literal["data", "runs"]) -> Path:
    if given is not None and given != "":
        return as_folder(as_path(given, f"{name}_dir"), f"--{name}-dir")
    variable = f"STARS_BENCH_{name.upper()}"
    return as_folder(Path(os.environ[variable]), f"${variable}") if os.environ.get(variable) else default_folder(name)
