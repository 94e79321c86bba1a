"""TensorBoard's event files of a run: each stage's loss and learning rate by epoch. Needs the extra `tensorboard`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self

from stars_bench.errors import UsageError
from stars_bench.io.run_folder import RunFolder

SCALARS = ("loss", "lr")


def check() -> None:
    """Check that event files can be written here.

    Raises:
        UsageError: The package is not installed.
    """
    if find_spec("tensorboard") is None:
        raise UsageError(
            "--tensorboard: the package tensorboard is not installed: pip install 'stars-bench[tensorboard]', or leave "
            "out --tensorboard (log.jsonl has the same numbers)"
        )


class Board:
    """The event file of one stage, as a context manager. What lay there of an earlier try is replaced.

    Args:
        run: The folder of the seed; files go to `tensorboard/STAGE` in it, so that TensorBoard shows runs side by side.
        stage: Name of the stage.
    """

    def __init__(self, run: RunFolder, stage: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = run.tensorboard / stage
        shutil.rmtree(folder, ignore_errors=True)
        self.writer = SummaryWriter(str(folder))
        self.stage, self.written = stage, 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def write(self, log: Sequence[Mapping[str, Any]]) -> None:
        """Add the epochs of a stage's whole log that are not there yet."""
        for line in log[self.written :]:
            for name in SCALARS:
                self.writer.add_scalar(f"{self.stage}/{name}", line[name], line["epoch"])
        self.written = len(log)
        self.writer.flush()
