"""Whether two numbers may be compared, and if not, why: two records in, reasons out.

A number is comparable with another when both were measured on the same clips, by the same rule, after learning from
the same clips, and neither has seen what it was tested on. How the methods were trained may differ: that is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stars_bench.records.record import Record
from stars_bench.records.store import flat

STREAM_WEIGHTS = "weights"
"""A setting of summed scores: like the streams, it is part of the method and not of how the number is measured."""
SHORT = 8
"""Digits of a digest that are shown."""


def why_not(first: Record, second: Record) -> list[str]:
    """Return reasons why two numbers are not comparable, each in a few words; empty: they are.

    Records of different seeds of a validation part are: the seed draws the part.
    """
    leaks = dict.fromkeys([*first.leaks, *second.leaks])
    return [*_differing(_measured(first), _measured(second)), *leaks]


def pairs(first: Sequence[Record], second: Sequence[Record]) -> list[tuple[Record, Record]]:
    """Return results of the same evaluation under the same seed, else under each one's lowest."""
    found = []
    for title in dict.fromkeys(record.evaluation.title for record in first):
        ours, theirs = (_by_seed(title, records) for records in (first, second))
        common = sorted(ours.keys() & theirs.keys())
        if common:
            found += [(ours[which], theirs[which]) for which in common]
        elif theirs:
            found.append((ours[min(ours)], theirs[min(theirs)]))
    return found


def _by_seed(title: str, records: Sequence[Record]) -> dict[tuple[Any, ...], Record]:
    """Group records by seed, and by the list of labelled clips if there are several."""
    return {(one.seed, *one.evaluation.replicate): one for one in records if one.evaluation.title == title}


def apart(records: Sequence[Record]) -> list[tuple[list[int], list[str]]]:
    """Group records that are measured alike; say of each group after the first why it stands apart.

    Groups are places in `records`, the largest first. What a result has seen is left to its own marks.
    """
    groups: list[list[int]] = []
    for place, record in enumerate(records):
        own = _measured(record)
        group = next((group for group in groups if _measured(records[group[0]]) == own), None)
        if group is None:
            groups.append([place])
        else:
            group.append(place)
    groups.sort(key=len, reverse=True)
    first = _measured(records[groups[0][0]]) if groups else {}
    return [(group, list(_differing(first, _measured(records[group[0]])))) for group in groups]


def to_know(first: Record, second: Record) -> list[str]:
    """Return what else differs between comparable numbers, and may account for a part of the difference."""
    names = differing_names([first.code.modules or {}, second.code.modules or {}])
    return [
        *_differing(_circumstances(first), _circumstances(second)),
        *([f"code of {', '.join(names)}"] if names else []),
    ]


def differing_names(values: Sequence[Mapping[str, str]]) -> list[str]:
    """Return names that all mappings have, and not all with the same value."""
    common = set(values[0]).intersection(*values[1:]) if values else set()
    return sorted(name for name in common if len({one[name] for one in values}) > 1)


def settings(first: Record, second: Record) -> list[str]:
    """Every setting of the two methods that differs: what is compared. Of two methods of one name, the class, too."""
    one_name = first.method.name == second.method.name
    classes = [{"class": record.method.target} if one_name else {} for record in (first, second)]
    return [*_differing(*classes), *_differing(_method(first), _method(second))]


def _method(record: Record) -> dict[str, Any]:
    return {"method": record.method.name} | flat({"method": record.method.config})


def _measured(record: Record) -> dict[str, Any]:
    """Return what decides what a number says, in the order in which it is told."""
    dataset, protocol, evaluation = record.dataset, record.protocol, record.evaluation
    lists: Mapping[str, Any] = {
        "training clips": protocol.train_digest,
        "test clips": protocol.test_digest,
        "labelled clips of novel classes": protocol.bank_digest,
    }
    return {
        "dataset": dataset.name,
        "cleaning profile": dataset.profile,
        "prepared data": dataset.digest,
        "absent bodies": dataset.absent_body,
        "recipe": "own" if record.is_own_recipe else "common",
        "clips": dataset.clip_input,
        "protocol": protocol.name,
        "validation part": protocol.validation,
        "protocol settings": protocol.config,
        **(lists if protocol.validation is None else {}),
        "evaluation": evaluation.title,
        **{
            f"{evaluation.name} {name}": value
            for name, value in evaluation.config.items()
            if name != STREAM_WEIGHTS or not record.fused
        },
        "checkpoint rule": evaluation.checkpoint_rule,
    }


def _circumstances(record: Record) -> dict[str, Any]:
    """Return what decides rounding, time, and what the code was."""
    machine, code = record.environment, record.code
    weights: Mapping[str, float] = record.evaluation.config.get(STREAM_WEIGHTS, {}) if record.fused else {}
    return {
        "preset": record.method.preset,
        "stream": record.dataset.stream,
        "weights of streams": ", ".join(f"{name} {weight:g}" for name, weight in weights.items()) or None,
        "encoder from": None if record.init is None else record.init.run,
        "precision": machine.precision,
        "deterministic kernels": machine.deterministic,
        "compiled blocks": machine.compiled,
        "device": machine.device,
        "processes": machine.processes,
        "threads": machine.threads,
        "micro-batches": sorted({stage.micro_batches for stage in record.stages} or {1}),
        "platform": machine.platform,
        "CPU cores": machine.cpus,
        "Python": machine.python,
        **dict(machine.packages),
        "stars-bench": code.version,
        "commit": code.commit,
        "uncommitted changes": code.dirty,
    }


def _differing(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield f"{name} {_short(first.get(name))} / {_short(second.get(name))}"


def _short(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_short, value)) or "none"
    text = str(value)
    return text[:SHORT] if len(text) >= 40 and " " not in text else text
