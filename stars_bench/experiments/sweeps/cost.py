"""What a sweep will cost, from a few measured steps of each stage that is not there; nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from stars_bench.data.clip_store import ClipStore
from stars_bench.display.progress import duration
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.experiments import encoder_source, runner
from stars_bench.experiments.costs import STEPS, Costs, MeasuredRun
from stars_bench.experiments.plan import device_name, resolve
from stars_bench.experiments.request import Request
from stars_bench.experiments.run_many import title
from stars_bench.experiments.sweeps.members import Member
from stars_bench.experiments.sweeps.sweep import Sweep
from stars_bench.training.loop import set_precision


@dataclass(frozen=True)
class Estimate:
    """What a sweep consists of, and what it costs.

    Args:
        members: Its runs.
        costs: What was measured.
        failures: Runs that cannot be measured, with the reason.
        device: Where it was measured, for people.
        places: Runs at once.
        tested: Runs on the test part that come after a choice.
    """

    members: tuple[Member, ...]
    costs: Costs
    failures: tuple[tuple[str, str], ...]
    device: str
    places: int
    tested: int

    def lines(self) -> Iterator[str]:
        """Yield lines for people."""
        there = sum(one.records is not None for one in self.members)
        then = f", then {self.tested} on the test part with the chosen settings" if self.tested else ""
        yield f"{_counted(len(self.members), 'run')}{then}: {there} there already, {len(self.members) - there} to do"
        yield from _listed(self.members)
        by_name: dict[str, list[float]] = {}
        for key, seconds in self.costs.trained.items():
            by_name.setdefault(self.costs.names[key], []).append(seconds)
        for name, each in by_name.items():
            yield f"{name}: {_counted(len(each), 'training')}, about {duration(sum(each))}"
        total = sum(self.costs.trained.values())
        if self.tested:
            total += self.tested * total / max(len(self.members) - there, 1)
        shared = f", {_counted(len(self.costs.there), 'finished stage')} taken over" if self.costs.there else ""
        at_once = f"; with {self.places} at once at best {duration(total / self.places)}" if self.places > 1 else ""
        yield (
            f"{_counted(len(self.costs.trained), 'training')} in all{shared}: about {duration(total)} "
            f"on {self.device}, measured by {STEPS} steps each{at_once}"
        )
        if self.costs.peak_bytes:
            yield f"Memory of a run: {self.costs.peak_bytes / 1e9:.1f} GB at most"
        yield "Not counted: features and evaluations."
        for label, reason in self.failures:
            yield f"{label}: cannot be measured: {reason}"


def estimate(sweep: Sweep, tell: Callable[[str], None] | None = None) -> Estimate:
    """Estimate a sweep; nothing is written.

    Raises:
        UsageError: A run is wrong.
    """
    members, costs, failures = sweep.members(), Costs(), []
    stores: dict[object, ClipStore] = {}
    device = ""
    for member in members:
        plan = resolve(member.request)
        device = device_name(plan.device)
        if member.records is not None or plan.is_trained:
            continue
        set_precision(plan.precision)
        place = plan.dataset.digest, plan.request.stream, plan.clip_input
        if place not in stores:
            stores.clear()
            stores[place] = ClipStore.of(plan.dataset, plan.device, plan.request.stream, plan.clip_input)
        seed = member.request.seeds[0]
        run = runner.seed_run(plan, seed, stores[place], encoder_source.source_of(plan), tell=tell)
        try:
            encoder_source.fitted(replace(run, stages=partial(MeasuredRun, costs)))
        except StarsBenchError as error:
            failures.append((member.label, one_line(error)))
    tested = 0
    if sweep.choose_by is not None:
        tested = len({replace(one.request, overrides=()) for one in members})
    places = max(len(sweep.devices), 1) * (sweep.jobs or 1)
    return Estimate(tuple(members), costs, tuple(failures), device, places, tested)


def _listed(members: Sequence[Member]) -> Iterator[str]:
    """Yield a line for the seeds of each run: which are there, and which are to do."""
    groups: dict[Request, list[Member]] = {}
    for member in members:
        groups.setdefault(replace(member.request, seeds=()), []).append(member)
    for request, group in groups.items():
        states = {"there": [one for one in group if one.records is not None]}
        states["to do"] = [one for one in group if one.records is None]
        seeds = {state: ", ".join(str(one.request.seeds[0]) for one in each) for state, each in states.items() if each}
        said = "; ".join(f"seed{'s' * (', ' in its)} {its} {state}" for state, its in seeds.items())
        yield f"  {title(request, groups)}: {said}"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
