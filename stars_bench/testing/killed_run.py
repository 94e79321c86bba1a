"""A run that is killed once in every stage, between two checkpoints, and resumed, to check resuming."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel

from stars_bench.training.stage import Stage
from stars_bench.training.stages import StageRun

Result = TypeVar("Result")


class Killed(BaseException):
    """A simulated kill; no plug-in can catch it by accident."""


class KilledRun(StageRun[BaseModel]):
    """A run that is killed in the first of its stages that has not been killed before.

    Args:
        killed: Names of the stages that have been killed.
    """

    killed: set[str]
    """Names of the stages that were killed before; the next one is added."""

    def train(self, stage: Stage) -> None:
        """Train half of a stage that has not been killed yet, then raise `Killed`; train any other stage to its end."""
        if stage.name not in self.killed:
            steps, advance, done = stage.epochs * stage.steps_per_epoch, stage.optimizer.step, 0

            def step(*args: Any, **options: Any) -> Any:
                nonlocal done
                done += 1
                if done > steps // 2:
                    self.killed.add(stage.name)
                    raise Killed
                return advance(*args, **options)

            stage.optimizer.step = step  # type: ignore[method-assign]
        super().train(stage)


def killed_in_every_stage(begin: Callable[[], KilledRun], work: Callable[[KilledRun], Result]) -> Result:
    """Do work in a run that is killed once in every stage, and begun again each time.

    Args:
        begin: Makes the run, in the same folder each time.
        work: The work, which trains stages of the run.

    Returns:
        What the work returns in the end.
    """
    killed: set[str] = set()
    while True:
        run, before = begin(), len(killed)
        run.killed = killed
        try:
            return work(run)
        except Killed:
            if len(killed) == before:
                raise
