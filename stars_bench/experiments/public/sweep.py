"""`stars_bench.sweep`: the command of the same name as a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stars_bench.display.console import CarefulConsole
from stars_bench.errors import UsageError, for_python
from stars_bench.experiments.public.results import RunResults
from stars_bench.experiments.sweeps import sweep_file
from stars_bench.experiments.sweeps.progress import shown
from stars_bench.experiments.sweeps.sweep import Outcome, Sweep, run_sweep
from stars_bench.io.default_folders import data_folder, runs_folder


class SweepResults(RunResults):
    """The records of a sweep, with what failed and which settings were chosen.

    Attributes:
        failures: What failed: the run and why, in one line each.
        choices: One line for each method, dataset and protocol whose settings were chosen.
    """

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.records)
        self.failures = outcome.failures
        self.choices = tuple(choice.line for choice in outcome.choices)


@for_python
def sweep(
    what: str | Path | Mapping[str, Any],
    *,
    jobs: int | None = None,
    devices: str | Sequence[str] | None = None,
    executor: str = "processes",
    choose_by: str | None = None,
    data_dir: str | Path | None = None,
    runs_dir: str | Path | None = None,
    progress: bool = True,
) -> SweepResults:
    """Run every combination of methods, data, settings and seeds, several at once; results that exist are taken.

        stars_bench.sweep(
            {"methods": ["mamp", "stars"], "protocols": "xsub", "seeds": [0, 1], "grid": {"lr": [1e-3, 5e-4]}},
            devices=["cuda:0", "cuda:1"],
        )

    Args:
        what: The file (TOML), or what it says as a mapping.
        jobs: Runs at once on each device. Default: 1; under SLURM all.
        devices: Devices that compute at once. Default: one, a GPU if there is one.
        executor: "processes", "slurm" or "local" (submitit on this machine). Default: processes.
        choose_by: "validation": choose each method's settings on training subjects held out, and test these alone.
            Default: None, test all.
        data_dir: Where prepared datasets lie. Default: $STARS_BENCH_DATA, else "data".
        runs_dir: Where runs and records lie. Default: $STARS_BENCH_RUNS, else "runs".
        progress: Whether to show progress. Default: True.

    Returns:
        The records, with `.failures` (which stop no other run) and `.choices`.

    Raises:
        UsageError: Something that is asked for does not fit; nothing is run.
        StarsBenchError: Nothing can be chosen, because a run of every setting failed.
    """
    if jobs is not None and (not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1):
        raise UsageError(f"jobs={jobs!r:.80}: a whole number, at least 1")
    named = (devices,) if isinstance(devices, str) else tuple(devices or ())
    if isinstance(what, Mapping):
        file, name, said = sweep_file.parse(what, "sweep"), "sweep", "..."
    else:
        file, name, said = sweep_file.read(Path(what)), Path(what).stem, repr(str(what))
    asked = Sweep(
        file=file,
        name=name,
        data_dir=data_folder(data_dir),
        runs_dir=runs_folder(runs_dir),
        executor=executor,
        devices=named,
        jobs=jobs,
        choose_by=choose_by,
        command=f"import stars_bench; stars_bench.sweep({said})",
    )
    with shown(CarefulConsole(highlight=False, quiet=not progress), asked.name) as (show, tell):
        return SweepResults(run_sweep(asked, show, tell))
