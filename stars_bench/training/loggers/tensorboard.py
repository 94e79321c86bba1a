"""TensorBoard's event files: RUN/seedN/tensorboard, one folder a stage. Needs the extra `tensorboard`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar

from stars_bench.errors import UsageError
from stars_bench.io.files import path_part
from stars_bench.io.run_folder import RunFolder
from stars_bench.training.loggers.logger import LoggedRun

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

PLACES = ("epoch", "step")
"""Numbers of an epoch that say where it lies, and are no curves."""
RESULTS = "results"
"""Folder of the results, beside those of stages."""


class TensorBoard:
    """Event files for TensorBoard: losses, learning rates and results."""

    name: ClassVar[str] = "tensorboard"

    @classmethod
    def check(cls) -> None:
        """Check that event files can be written here.

        Raises:
            UsageError: The package is not installed.
        """
        if find_spec("tensorboard") is None:
            raise UsageError(
                "--log tensorboard: the package tensorboard is not installed: pip install 'stars-bench[tensorboard]', "
                "or leave it out (log.jsonl has the same numbers)"
            )

    def __init__(self, run: LoggedRun) -> None:
        self._folder = RunFolder(run.folder).tensorboard
        self._writers: dict[str, SummaryWriter] = {}

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        """Add an epoch; what an earlier command left of the stage is replaced when its first one comes."""
        writer = self._writer(stage)
        for name, value in numbers.items():
            if name not in PLACES:
                writer.add_scalar(f"{stage}/{name}", value, int(numbers["epoch"]))
        writer.flush()

    def result(self, evaluation: str, metrics: Mapping[str, float]) -> None:
        """Add a result, as a point of its own."""
        writer = self._writer(RESULTS)
        for name, value in metrics.items():
            writer.add_scalar(f"{evaluation}/{name}", value, 0)
        writer.flush()

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()

    def _writer(self, stage: str) -> SummaryWriter:
        if stage not in self._writers:
            from torch.utils.tensorboard import SummaryWriter

            folder = self._folder / path_part(stage)
            shutil.rmtree(folder, ignore_errors=True)
            self._writers[stage] = SummaryWriter(str(folder))
        return self._writers[stage]
