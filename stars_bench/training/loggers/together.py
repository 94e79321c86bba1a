"""All loggers of a seed as one. One that fails is left out, with a line: no run ends because a service is away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from stars_bench.errors import one_line
from stars_bench.training.loggers.logger import LoggedRun, Logger


class Loggers:
    """The loggers of a seed.

    Args:
        kinds: Classes of loggers.
        run: The seed.
        tell: Called with a line for each logger that fails.
    """

    def __init__(self, kinds: Sequence[type[Logger]], run: LoggedRun, tell: Callable[[str], None] | None) -> None:
        self._tell = tell
        self._open: list[Logger] = []
        for kind in kinds:
            self._guarded(kind.name, lambda kind=kind: self._open.append(kind(run)))  # type: ignore[misc]

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        """Tell all loggers of an epoch; see `Logger.epoch`."""
        self._each(lambda logger: logger.epoch(stage, numbers))

    def result(self, evaluation: str, metrics: Mapping[str, float]) -> None:
        """Tell all loggers of a result; see `Logger.result`."""
        self._each(lambda logger: logger.result(evaluation, metrics))

    def close(self) -> None:
        """Finish all loggers."""
        self._each(lambda logger: logger.close())
        self._open.clear()

    def _each(self, call: Callable[[Logger], None]) -> None:
        # One that has failed gets no more calls: a service that is away would cost its time-out at every epoch.
        self._open = [logger for logger in self._open if self._guarded(logger.name, lambda one=logger: call(one))]  # type: ignore[misc]

    def _guarded(self, name: str, call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # a service or a plug-in can fail in any way
            if self._tell:
                self._tell(f"--log {name}: stopped logging ({one_line(error)}); the run goes on, log.jsonl has all")
            return False
        return True
