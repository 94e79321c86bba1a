"""Weights & Biases: one of its runs for each seed, in the project that WANDB_PROJECT names. Needs the extra `wandb`.

WANDB_MODE=offline writes to RUN/seedN/wandb alone; `wandb sync` uploads that later. The service gets losses, learning
rates, results, settings and what its own program tells of the machine; no clips, no skeletons, no weights.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import ClassVar

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.training.loggers.logger import LoggedRun

PROJECT = "stars-bench"
START_SECONDS, END_SECONDS = 30.0, 120.0
"""How long the service is waited for, in seconds, at the start and at the end of a seed."""


class WeightsAndBiases:
    """Curves and results for Weights & Biases."""

    name: ClassVar[str] = "wandb"

    @classmethod
    def check(cls) -> None:
        """Check that the service's package is there.

        Raises:
            UsageError: It is not installed.
        """
        if find_spec("wandb") is None:
            raise UsageError(
                "--log wandb: the package wandb is not installed: pip install 'stars-bench[wandb]', or leave it out "
                "(log.jsonl has the same numbers)"
            )

    def __init__(self, run: LoggedRun) -> None:
        import wandb

        run.folder.mkdir(parents=True, exist_ok=True)
        settings = wandb.Settings(
            silent=True,
            console="off",  # or it would take over the terminal from the progress display
            init_timeout=START_SECONDS,
            login_timeout=1,  # a run waits for nobody who is to type a key
            finish_timeout=END_SECONDS,
            finish_timeout_raises=True,
        )
        # The same seed again has the same id and replaces what was logged: every command tells all epochs.
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=f"{run.key}-seed{run.seed}",
            name=run.title,
            group=f"{run.method} {run.dataset} {run.protocol} {run.key}",
            config={
                "method": run.method,
                "dataset": run.dataset,
                "protocol": run.protocol,
                "seed": run.seed,
                "settings": dict(run.settings),
            },
            dir=str(run.folder),
            reinit="create_new",
            settings=settings,
        )
        if self._run.disabled and os.environ.get("WANDB_MODE") != "disabled":
            raise StarsBenchError("nobody is logged in: `wandb login`, or WANDB_MODE=offline")
        self._stages: set[str] = set()

    def epoch(self, stage: str, numbers: Mapping[str, float]) -> None:
        """Log an epoch, drawn over the epochs of its own stage."""
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(f"{stage}/epoch", hidden=True)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/epoch")
        self._run.log({f"{stage}/{name}": value for name, value in numbers.items()})

    def result(self, evaluation: str, metrics: Mapping[str, float]) -> None:
        """Put a result into the run's summary."""
        self._run.summary.update({f"{evaluation}/{name}": value for name, value in metrics.items()})

    def close(self) -> None:
        """Wait until everything is uploaded, or written where it is offline."""
        self._run.finish()
