"""What one row of a leaderboard is: the records that differ by nothing but their seed.

Records are averaged over seeds (and over the lists of semi-supervised clips) only when everything else is identical:
method and evaluation settings, precision, data, lists of clips, what the encoder started from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any

from stars_bench.io.files import digest_json
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord, flat
from stars_bench.report.results.result import group_by, shown_metrics

CHANGED = "changed "
"""In front of the name of a preset whose settings were changed."""
NO_PRESET = "default"
"""The preset of a record whose method and evaluation have none, such as k-NN of `raw`."""


@dataclass(frozen=True, eq=False)
class Entry:
    """The records of one row; every entry equals itself alone.

    Attributes:
        variants: By title of an evaluation's variant, the records of its seeds.
    """

    variants: Mapping[str, Sequence[StoredRecord]]

    @cached_property
    def records(self) -> list[Record]:
        """All records."""
        return [one.record for seeds in self.variants.values() for one in seeds]

    @property
    def method(self) -> str:
        """The method's name."""
        return self.records[0].method.name

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the numbers of this row, the seed apart, as flat names and values."""
        variants = {title: _measured(seeds[0].record) for title, seeds in self.variants.items()}
        return flat(_trained(self.records[0]) | variants)

    @cached_property
    def key(self) -> str:
        """A short digest of the identity."""
        return digest_json(self.identity)[:6]


def entries(stored: Sequence[StoredRecord]) -> list[Entry]:
    """Group the records of one benchmark into rows.

    An evaluation that was run with two configs gives its method a second row.
    """
    found = []
    for trained in _by_training(stored):
        variants = {
            title: list(group_by(same, lambda one: digest_json(_measured(one.record))).values())
            for title, same in group_by(trained, lambda one: one.record.evaluation.title).items()
        }
        for row in zip_longest(*variants.values()):
            found.append(Entry({title: seeds for title, seeds in zip(variants, row, strict=True) if seeds}))
    return found


def _by_training(stored: Sequence[StoredRecord]) -> list[list[StoredRecord]]:
    """Group records by what was trained; those without presets join the only others that were trained alike.

    A preset whose evaluation alone was changed has trained the same: its numbers stand in the preset's row.
    """
    found = []
    for alike in group_by(stored, lambda one: digest_json(_trained(one.record, named=False))).values():
        presets = group_by(alike, lambda one: one.record.method.preset.removeprefix(CHANGED))
        plain = presets.pop(NO_PRESET) if NO_PRESET in presets and len(presets) == 2 else []
        found += [[*named, *plain] for named in presets.values()]
    return found


def newest(stored: Sequence[StoredRecord]) -> list[StoredRecord]:
    """Keep one record per seed and list of clips: a repetition with the same settings is no further seed."""
    chosen: dict[str, StoredRecord] = {}
    for one in sorted(stored, key=lambda one: one.record.finished):
        record, evaluation = one.record, one.record.evaluation
        what = [_trained(record), evaluation.title, _measured(record), record.seed, evaluation.replicate]
        chosen[digest_json(what)] = one
    return sorted(chosen.values(), key=lambda one: (one.record.started, one.record.seed))


def _trained(record: Record, named: bool = True) -> dict[str, Any]:
    """Return what must agree before two trained encoders may differ by their seed alone.

    Args:
        record: A record of one of them.
        named: Whether the name of the preset must agree, too, and not the settings alone. Default: True.
    """
    method, dataset, protocol = record.method, record.dataset, record.protocol
    # The seed draws the validation part: there the lists of clips differ from seed to seed.
    lists = {"train_digest", "test_digest", "bank_digest"} if protocol.validation is None else set[str]()
    start = None if record.init is None else record.init.model_dump(include={"method", "dataset", "protocol", "run"})
    return {
        "method": method.model_dump(include={"name", "target", "config"} | ({"preset"} if named else set())),
        "precision": record.environment.precision,
        "recipe": "own" if record.is_own_recipe else "common",
        "dataset": dataset.model_dump(include={"name", "profile", "digest", "absent_body", "stream", "clip_input"}),
        "protocol": protocol.model_dump(include={"name", "validation", "config"} | lists),
        "init": start,
    }


def _measured(record: Record) -> dict[str, Any]:
    """Return what must agree before two measurements may be averaged."""
    clips = next(metric.n for metric in record.metrics if metric.name == shown_metrics(record)[0])
    measured = record.evaluation.model_dump(include={"config", "checkpoint_rule"})
    return measured | ({"clips": clips} if record.protocol.validation is None else {})
