"""Where data and runs lie by default: here, or in the nearest folder above that has some, as git finds .git."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

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
    """Choose the folder of prepared datasets: the one given, else $STARS_BENCH_DATA, else `default_folder`."""
    return Path(given or os.environ.get("STARS_BENCH_DATA") or default_folder("data"))


def runs_folder(given: str | Path | None) -> Path:
    """Choose the folder of runs: the one given, else $STARS_BENCH_RUNS, else `default_folder`."""
    return Path(given or os.environ.get("STARS_BENCH_RUNS") or default_folder("runs"))
