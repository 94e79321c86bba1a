"""What the 95 % intervals of a table mean, in one line each kind; docs/statistics.md has the whole of it."""

from __future__ import annotations

from collections.abc import Sequence

from stars_bench.records.measured_clips import FEWEST_PERSONS
from stars_bench.records.record_facts import PLURALS, adds_nothing
from stars_bench.records.statistics.formulas import FEW_CLUSTERS
from stars_bench.report.results.result import Result, group_by

MEANINGS = {
    "person": "other persons, the same classes",
    "performance": "these persons, other recordings (within class)",
    "episode": "other episodes of these clips",
    "clip": "as if clips were independent",
}


def interval_notes(results: Sequence[Result]) -> list[str]:
    """Say what the intervals of these results mean, how wide they are, and what noise they leave out."""
    known = [result for result in results if result.main.half is not None]
    if not known:
        return []
    groups = group_by(known, lambda one: (one.main.sampled, one.main.clusters, one.main.classes_of_one, _reason(one)))
    lines = [
        f"95 % intervals ({_widths(same)}): {MEANINGS[sampled or 'clip']}; {clusters:,} {PLURALS[sampled or 'clip']}"
        f"{_quantile(clusters or 0)}{adds_nothing(alone)}{reason}."
        for (sampled, clusters, alone, reason), same in groups.items()
    ]
    if any(result.main.half == 0 for result in known):
        lines.append("An interval without width says nothing: what was sampled does not differ there.")
    seeds = {result.seeds > 1 for result in known}
    if seeds == {True}:
        lines.append("The intervals include the noise of training (standard error over seeds).")
    else:
        which = "With one seed" if seeds == {False} else "Of rows with one seed"
        lists = any(result.main.n > result.seeds for result in known)
        rest = "and the lists of labelled clips" if lists else "alone"
        lines.append(f"{which}: training noise unknown; the intervals are those of the test part {rest}.")
    return lines


def _quantile(clusters: int) -> str:
    return ", Student's t" if clusters < FEW_CLUSTERS else ""


def _widths(results: Sequence[Result]) -> str:
    """Half the width of the narrowest and the widest interval."""
    texts = dict.fromkeys(
        f"±{half:.{result.decimals}f}"
        for half, result in sorted(((result.main.half or 0.0, result) for result in results), key=lambda one: one[0])
    )
    first, *others = texts
    return f"{first} to {others[-1]}" if others else first


def _reason(result: Result) -> str:
    """Why persons are not what is sampled."""
    protocol = result.records[0].protocol
    if result.main.sampled in ("person", "episode"):
        return ""
    if protocol.test_persons is None:
        older = result.records[0].metrics[0].intervals == {}
        return " (record of an older version)" if older else " (the data names no person)"
    return f" (fewer than {FEWEST_PERSONS} persons: {protocol.test_persons})"
