"""What records that stand for one number, or in one row, should share beside their settings and do not.

Settings, data and precision are no matter of this: records that differ in those are never put together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from stars_bench.records.comparability.comparable import differing_names
from stars_bench.records.record import Record

SHOWN = 3
"""Modules or packages that are named of those which differ."""
DIGITS = 8


@dataclass(frozen=True)
class Mixture:
    """A fact in which records differ.

    Attributes:
        fact: Its name, in the plural.
        values: Who has which value, as people read it: ("seed 0", "cpu"), ("seeds 1, 2", "NVIDIA H200").
    """

    fact: str
    values: Sequence[tuple[str, str]]

    def __str__(self) -> str:
        return f"{self.fact} ({'; '.join(f'{who}: {value}' for who, value in self.values)})"


def of_cell(records: Sequence[Record]) -> list[Mixture]:
    """Find in what the records that are averaged into one number differ.

    Args:
        records: Those of one variant of an evaluation, in any order.
    """
    modules, packages = (differing_names([of(one) for one in records]) for of in (_modules, _packages))
    facts: dict[str, Callable[[Record], str]] = {
        "code": lambda record: _code(record, modules),
        "packages": lambda record: _named(_packages(record), packages),
        "devices": lambda record: record.environment.device,
        "kernels": _kernels,
        "starting weights": partial(_start, replaced=_replaced(records)),
    }
    return list(_mixtures(records, facts, _seeds))


def of_row(records: Sequence[Record]) -> list[Mixture]:
    """Find in what the records of one seed differ, whose evaluations stand side by side.

    Args:
        records: Those of all evaluations of one row, in any order.
    """
    found = []
    for seed in sorted({record.seed for record in records}):
        same = [record for record in records if record.seed == seed]
        facts: dict[str, Callable[[Record], str]] = {
            "code": partial(_shared_code, differing=differing_names([_modules(one) for one in same])),
            "weights": lambda record: (record.weights or "unknown")[:DIGITS],
        }
        found += [Mixture(f"{one.fact} of seed {seed}", one.values) for one in _mixtures(same, facts, _evaluations)]
    return found


def _mixtures(
    records: Sequence[Record],
    facts: Mapping[str, Callable[[Record], str]],
    who: Callable[[Sequence[Record]], str],
) -> Iterator[Mixture]:
    for fact, value_of in facts.items():
        values: dict[str, list[Record]] = {}
        for record in sorted(records, key=lambda record: record.seed):
            values.setdefault(value_of(record), []).append(record)
        if len(values) > 1:
            yield Mixture(fact, [(who(same), value) for value, same in values.items()])


def _seeds(records: Sequence[Record]) -> str:
    seeds = list(dict.fromkeys(str(record.seed) for record in records))
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {', '.join(seeds)}"


def _evaluations(records: Sequence[Record]) -> str:
    return ", ".join(dict.fromkeys(record.evaluation.name for record in records))


def _modules(record: Record) -> dict[str, str]:
    return record.code.modules or {}


def _packages(record: Record) -> dict[str, str]:
    return record.code.distributions or record.environment.packages


def _named(values: Mapping[str, str], names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"{name} {values[name][:DIGITS]}" for name in names[:SHOWN]) + more


def _shared_code(record: Record, differing: Sequence[str]) -> str:
    return _named(_modules(record), differing)


def _code(record: Record, differing: Sequence[str]) -> str:
    """Return the modules that differ; of records that do not know theirs, version and commit."""
    code = record.code
    if code.modules is not None:
        return _named(code.modules, differing) or f"source {(code.digest or '')[:DIGITS]}"
    changed = " with uncommitted changes" if code.dirty else ""
    return f"{code.version} {(code.commit or '')[:DIGITS]}".strip() + changed


def _kernels(record: Record) -> str:
    machine = record.environment
    chosen = {"deterministic": machine.deterministic, "compiled": machine.compiled is True}
    chosen["compiled steps"] = machine.compiled == "step"
    return " and ".join(name for name, asked in chosen.items() if asked) or "default"


def _replaced(records: Sequence[Record]) -> set[int | None]:
    """Seed of encoders to start from, where there was more than one under the same seed."""
    keys: dict[int | None, set[str]] = {}
    for record in records:
        if record.init is not None:
            keys.setdefault(record.init.seed, set()).add(record.init.key)
    return {seed for seed, found in keys.items() if len(found) > 1}


def _start(record: Record, replaced: Collection[int | None]) -> str:
    start = record.init
    return start.key[:DIGITS] if start is not None and start.seed in replaced else "as before"
