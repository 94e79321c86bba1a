"""Records of finished evaluations: their schema, where they lie, published numbers, tables.

The package can be called, because `stars_bench.results("runs")` is how records are read from Python, and importing any
of its modules makes `stars_bench.results` this package.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class _Results(ModuleType):
    def __call__(self, runs_dir: str | Path | None = None) -> pd.DataFrame:
        """All records below a folder of runs: one row per record and metric (`store.to_frame`).

        Args:
            runs_dir: None for $STARS_BENCH_RUNS, else "runs". A record that cannot be read is warned of and left out.
        """
        from stars_bench.results import store

        stored = store.read_records(Path(runs_dir or os.environ.get("STARS_BENCH_RUNS") or "runs"))
        for warning in stored.warnings:
            warnings.warn(warning, stacklevel=2)
        return store.to_frame(stored.records)


sys.modules[__name__].__class__ = _Results
