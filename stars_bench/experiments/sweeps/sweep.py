"""A sweep from its file to its records: all runs of a file, or the settings chosen on validation and their test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.experiments.request import Request
from stars_bench.experiments.run_many import fuse_streams
from stars_bench.experiments.sweeps.choice import Choice, choose, for_choice
from stars_bench.experiments.sweeps.members import SWEEPS, Member, members, stored
from stars_bench.experiments.sweeps.schedule import State, schedule
from stars_bench.experiments.sweeps.slots import slots
from stars_bench.experiments.sweeps.sweep_file import SweepFile
from stars_bench.protocols.splits import BEST_ON_TEST
from stars_bench.records import notes
from stars_bench.records.store import StoredRecord
from stars_bench.training.loop import Tell

Show = Callable[[State], None]


@dataclass(frozen=True)
class Sweep:
    """A sweep that is asked for.

    Args:
        file: What it consists of.
        name: Its name: that of its file.
        data_dir: Folder of the prepared datasets.
        runs_dir: Folder of the runs.
        executor: processes, slurm, or local (submitit on this machine). Default: processes.
        devices: Devices; none: one, chosen as `run` does. Default: none.
        jobs: Runs at once on each device. Default: None, 1; under SLURM all.
        choose_by: "validation": choose settings by the validation part, and test those alone. Default: None, run all.
        command: What the user typed. Default: empty.
    """

    file: SweepFile
    name: str
    data_dir: Path
    runs_dir: Path
    executor: str = "processes"
    devices: tuple[str, ...] = ()
    jobs: int | None = None
    choose_by: str | None = None
    command: str = ""

    def requests(self) -> list[Request]:
        """Return what is run first: everything, or under `choose_by` every setting on the validation part.

        Raises:
            UsageError: Settings are to be chosen in a way that is none.
        """
        requests = self.file.requests(self.data_dir, self.runs_dir, self.command)
        if self.devices:  # a run's key depends on the kind of its device; which one of a kind, its slot says
            requests = [replace(one, training=replace(one.training, device=self.devices[0])) for one in requests]
        if self.choose_by is None:
            return requests
        if self.choose_by != "validation":
            raise UsageError(f"--choose-by {self.choose_by}: only validation: nothing is chosen by a test part")
        if self.file.validation is not None:
            raise UsageError(f'--choose-by validation: leave validation = "{self.file.validation}" out of the file')
        if self.file.select == BEST_ON_TEST:
            raise UsageError(f"--choose-by validation: select = {BEST_ON_TEST!r} reads the test part")
        return for_choice(requests)

    def members(self) -> list[Member]:
        """Resolve and check all runs, and look which are there.

        Raises:
            UsageError: One of them is wrong.
        """
        registry.add_data_dir(self.data_dir)
        found, wanted = members(self.requests()), self.file.choose_on
        for member in found if self.choose_by is not None and wanted is not None else ():
            if wanted not in member.evaluations:
                raise UsageError(f"choose_on = {wanted!r}: {member.label} has {', '.join(member.evaluations)}")
        return found


@dataclass(frozen=True)
class Outcome:
    """What came of a sweep.

    Args:
        records: The records; under `choose_by` those of the test part.
        failures: What failed: the run and why, in one line each.
        choices: Which settings were chosen; empty without `choose_by`.
    """

    records: tuple[StoredRecord, ...]
    failures: tuple[tuple[str, str], ...]
    choices: tuple[Choice, ...] = ()


def run_sweep(sweep: Sweep, show: Show, tell: Tell) -> Outcome:
    """Run a sweep; results that exist are taken.

    Args:
        sweep: The sweep.
        show: Called often, with how far it has come.
        tell: Called with a line for what was chosen.

    Raises:
        UsageError: A run is wrong, and none has been started.
        StarsBenchError: Nothing can be chosen.
    """
    state = _scheduled(sweep, sweep.members(), show)
    failures = list(state.failed.items())
    choices: tuple[Choice, ...] = ()
    if sweep.choose_by is not None:
        choices = tuple(choose(state.done, list(state.failed), sweep.file.choose_on))
        for choice in choices:
            tell(choice.line)
        state = _scheduled(sweep, members([one for choice in choices for one in _tested(choice)]), show)
        failures += state.failed.items()
        _note(state.done, choices)
    records = [record for files in state.done.values() for record in stored(files)]
    records += [StoredRecord(one) for one in fuse_streams(_together(one.request for one in state.done), tell)]
    return Outcome(tuple(records), tuple((member.label, reason) for member, reason in failures), choices)


def _scheduled(sweep: Sweep, runs: Sequence[Member], show: Show) -> State:
    left = sum(one.records is None for one in runs)
    folder = sweep.runs_dir / SWEEPS / sweep.name
    places = slots(sweep.executor, sweep.devices, sweep.jobs, left, folder / "submitit", sweep.file.slurm)
    return schedule(runs, places, sweep.name, registry.imported(), show)


def _tested(choice: Choice) -> list[Request]:
    """Return the runs on the test part; the records' command says how their settings were chosen."""
    said = f"  # settings chosen of {len(choice.scores)} by {choice.measure} on the validation part"
    return [replace(one, command=f"{one.command}{said}") for one in choice.requests]


def _note(done: Iterable[Member], choices: Sequence[Choice]) -> None:
    for member in done:
        one = member.request
        for choice in choices:
            if (one.method, (one.dataset, one.protocol)) == (choice.method, choice.place):
                notes.add(member.folder, ["chosen-by-validation"], choice.line)


def _together(requests: Iterable[Request]) -> list[Request]:
    """Return the requests with their seeds together, as far as they differ in nothing else."""
    seeds: dict[Request, list[int]] = {}
    for one in requests:
        seeds.setdefault(replace(one, seeds=()), []).extend(one.seeds)
    return [replace(one, seeds=tuple(its)) for one, its in seeds.items()]
