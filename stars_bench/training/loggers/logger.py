"""What a logger is and is told. Loggers of your own are classes of this form (`run --log my_module:MyLogger`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable


@dataclass(frozen=True)
class LoggedRun:
    """One seed of a run, as a logger is told of it.

    Args:
        method: Name of the method.
        dataset: Name of the dataset.
        protocol: Name of the protocol.
        seed: The seed.
        key: Names the run's folder; the same for all its seeds.
        settings: The method's settings.
        folder: The folder of the seed, for files of the logger.
    """

    method: str
    dataset: str
    protocol: str
    seed: int
    key: str
    settings: Mapping[str, object]
    folder: Path

    @property
    def title(self) -> str:
        """The seed in words: `stars ntu60 xsub seed 0`."""
        return f"{self.method} {self.dataset} {self.protocol} seed {self.seed}"


@runtime_checkable
class Logger(Protocol):
    """Takes the numbers of one seed of a run as they come.

    Each command begins a new logger, and tells it every epoch once: also those from before a resume, and those of
    stages that were finished before. Of several processes the first has the loggers. A logger that raises an exception
    is left out for the rest of the seed, with one line; the run goes on.

    The optional class method `check()` raises `UsageError` where the logger cannot work here, before anything runs.

    Attributes:
        name: Name on the command line.
    """

    name: ClassVar[str]

    def __init__(self, run: LoggedRun) -> None:
        """Begin to log.

        Args:
            run: The seed.
        """
        ...

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        """Take the numbers of an epoch.

        Args:
            stage: Name of the stage.
            numbers: `epoch` (from 1), `step`, `loss` (the mean over the epoch), `lr`; `accuracy` (%) where epochs are
                chosen by one.
        """
        ...

    def result(self, evaluation: str, metrics: Mapping[str, float]) -> None:
        """Take a result.

        Args:
            evaluation: The evaluation and its variant, such as `k-NN k=1`.
            metrics: Values by name; accuracies in percent.
        """
        ...

    def close(self) -> None:
        """Finish: everything is logged."""
        ...
