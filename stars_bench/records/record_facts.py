"""What a number can be traced by, in words: the command, code, data, split, settings, machine and times of a record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain
from typing import Any

from stars_bench.records.record import Metric, Record, StagePart
from stars_bench.records.store import flat

RECIPES = {
    "common": "common (one probe, crop and cleaning for every method), which is not known to be that of its own paper",
    "own": "that of the method's own paper",
    "both": "common, which is that of the method's own paper",
}


def titles(records: Sequence[Record]) -> list[str]:
    """Name records by evaluation: `linear`; `linear (epochs 2)` where another has that title and other settings.

    Args:
        records: The records of a run.
    """
    same: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        same.setdefault(record.evaluation.title, []).append(flat(record.evaluation.config))
    apart = {
        title: [name for name in dict.fromkeys(chain(*configs)) if len({str(one.get(name)) for one in configs}) > 1]
        for title, configs in same.items()
    }
    return [_with_settings(record, apart[record.evaluation.title]) for record in records]


def _with_settings(record: Record, names: Sequence[str]) -> str:
    config = flat(record.evaluation.config)
    said = ", ".join(f"{name.replace('_', ' ')} {config.get(name, 'unset')}" for name in names)
    return f"{record.evaluation.title} ({said})" if said else record.evaluation.title


def provenance(record: Record) -> dict[str, str]:
    """Return what the numbers of a record can be traced by: values in words by name, without those that are empty."""
    numbers = [
        f"{metric.name} {metric.value:.4g}{metric.unit} (n {metric.n:,}{_sampled(metric)})" for metric in record.metrics
    ]
    code, data, split, method, how = record.code, record.dataset, record.protocol, record.method, record.evaluation
    machine, start = record.environment, record.init
    dirty = " (with changes that were not committed)" if code.dirty else ""
    stages = (f"{one.name} {one.seconds:,.0f} s{_stage_notes(one)}" for one in record.stages)
    facts = {
        "measured": "; ".join(numbers),
        "command": record.command,
        "seed": str(record.seed),
        "commit": f"{code.commit or 'no checkout'}{dirty}, version {code.version}",
        "data": f"{data.name}, profile {data.profile}, {data.clips:,} clips, digest {data.digest}",
        "split": f"{split.name}: {split.train_clips:,} train (digest {split.train_digest}), "
        f"{split.test_clips:,} test (digest {split.test_digest})",
        "method": f"{method.target}, preset {method.preset}, {method.parameters:,} parameters",
        "recipe": "" if method.recipe is None else RECIPES[method.recipe],
        "settings": json.dumps(method.config, sort_keys=True),
        "evaluation": f"{how.title}, {how.checkpoint_rule}, {json.dumps(how.config, sort_keys=True)}",
        "epoch chosen by": "" if record.selection is None else str(record.selection),
        "started from": "" if start is None else f"{start.method}, {start.path}",
        "stages": "; ".join(stages),
        "environment": f"{machine.device}, {machine.precision}, Python {machine.python}, {machine.platform}",
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        "time": f"{record.started} to {record.finished}",
        "predictions": f"{record.predictions.file}, digest {record.predictions.digest}",
        "marks": "; ".join(record.marks),
    }
    return {name: value for name, value in facts.items() if value}


def _stage_notes(stage: StagePart) -> str:
    notes = [*(["reused"] if stage.reused else []), *([f"epoch {stage.epoch} chosen"] if stage.epoch else [])]
    return f" ({', '.join(notes)})" if notes else ""


def interval(metric: Metric, form: str = ".4g") -> str:
    """The headline 95 % interval of a metric as `59.8 to 61.4`; empty where it has none.

    Args:
        metric: The metric.
        form: How the two numbers are written; default four digits.
    """
    return "" if metric.interval is None else " to ".join(f"{bound:{form}}" for bound in metric.interval)


PLURALS = {"person": "persons", "performance": "performances", "episode": "episodes", "clip": "independent clips"}


def sampled(metric: Metric) -> str:
    """What the headline interval takes as sampled: `20 persons`; empty where there is none."""
    found = metric.sampled
    if found is None:
        return ""
    return f"{found.interval.clusters:,} {PLURALS[found.unit]}{adds_nothing(found.interval.classes_of_one)}"


def adds_nothing(classes: Sequence[int]) -> str:
    """Name the classes with one performance, which add nothing to an interval: `; classes 3, 17 have one`."""
    if not classes:
        return ""
    several = len(classes) > 1
    named = f"class{'es' * several} {', '.join(map(str, classes))}"
    return f"; {named} {'have' if several else 'has'} one and add{'s' * (not several)} nothing"


def _sampled(metric: Metric) -> str:
    return f", 95 % {interval(metric)} by {sampled(metric)}" if metric.sampled else ""
