"""From records to boards: one leaderboard per dataset, protocol and profile, measured rows and published rows apart.

A board holds numbers and reasons, no typography: `pivot` and `cells` make tables of it. Records are
averaged over seeds (and over the lists of semi-supervised clips) only when everything else is identical (method and
evaluation settings, precision, data, lists of clips, what the encoder started from); otherwise they stand in rows of
their own, named by what differs or by a short key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from typing import Any, NamedTuple, TypeVar

from stars_bench import registry
from stars_bench.io.files import digest_json
from stars_bench.records import comparable
from stars_bench.records.aggregate import Estimate, estimate
from stars_bench.records.published import Published, matching, published_for, published_numbers
from stars_bench.records.record import REPLICATES, Record, Scalar
from stars_bench.records.store import StoredRecord, with_path

MAIN_METRIC = "top1"
CLUSTER_METRICS = ("nmi", "silhouette")
"""What a table shows of an evaluation that classifies nothing."""
BEST_ON_TEST = "top1_best_epoch_on_test"
"""What the official programs print: a maximum over epochs that has seen the test labels. Never in a column."""

PUBLISHED_PROFILES = ("mamp", "imported-mamp")
"""The cleaning that published numbers rest on; beside other data they would compare nothing."""

PUBLISHED_AS = {"classifier": "supervised"}
"""Evaluations that published tables call otherwise."""

OWN, ALL, NONE = "own", "all", "none"
"""Choices of published rows that are no patterns of names."""

CHANGED = "changed "
"""In front of the name of a preset of which settings were changed."""

TOLD_OTHERWISE = ("method.preset", "precision", "dataset.stream", "init.dataset", "init.protocol")
MOST_IN_A_LABEL, LONGEST_IN_A_LABEL = 2, 32  # settings, and characters of each

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class Column:
    """One metric of one variant of an evaluation."""

    title: str
    evaluation: str
    settings: Mapping[str, Scalar]
    metric: str = MAIN_METRIC


@dataclass(frozen=True)
class Cell:
    """The metrics of one row and column over its seeds, and the marks that not all cells of the row share.

    `stored`: the records that the numbers are from, one per seed (and list).
    """

    metrics: Mapping[str, Estimate]
    marks: tuple[str, ...]
    stored: tuple[StoredRecord, ...]
    shown: str = MAIN_METRIC

    @property
    def records(self) -> tuple[Record, ...]:
        """The records without their files."""
        return tuple(one.record for one in self.stored)

    @property
    def is_fair(self) -> bool:
        """Whether no result has seen what it was tested on: others are not ranked."""
        return not any(record.advantages for record in self.records)

    @property
    def main(self) -> Estimate:
        """The number that the table shows: the last epoch's top-1 accuracy, where the evaluation classifies."""
        return self.metrics[self.shown]


@dataclass(frozen=True)
class Row:
    """One method as it was measured. `label` tells it from other rows of the same method; cells by column title."""

    method: str
    label: str
    preset: str
    cells: Mapping[str, Cell]
    marks: tuple[str, ...]


@dataclass(frozen=True)
class PublishedRow:
    """One method as others published it; cells by column title."""

    method: str
    cells: Mapping[str, Published]


@dataclass(frozen=True)
class Board:
    """The leaderboard of one dataset, protocol and cleaning profile. `notes` are sentences that belong under it."""

    dataset: str
    protocol: str
    profile: str
    validation: str | None  # the part of train that was measured instead of the test part
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    published: tuple[PublishedRow, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """What was measured: dataset, protocol, profile."""
        part = f", validation part ({self.validation})" if self.validation is not None else ""
        return f"{self.dataset} {self.protocol}, profile {self.profile}{part}"


def leaderboard(records: Iterable[Record | StoredRecord], published: str = OWN) -> list[Board]:
    """One board per dataset, protocol, profile and part, in the registry's order.

    Args:
        records: those without a top-1 accuracy are left to `store.to_frame`. Only of records with their files does a
            page show what lies beside them.
        published: "own": published rows of the methods that were measured; "all": of every method that uses joints
            alone; "none"; else patterns of names, as "MAMP,*CLR". Only numbers of the same dataset, protocol,
            evaluation and settings stand beside a column.

    Raises:
        UsageError: a pattern that no published method has.
    """
    if published not in (OWN, ALL, NONE):
        matching(published)
    ranked = [one for one in with_path(records) if shown_metrics(one.record)]
    boards = _group(ranked, lambda one: _place(one.record))
    datasets, protocols = by_registry("datasets"), by_registry("protocols")

    def order(place: _Place) -> tuple[object, ...]:
        other_profile = place.profile not in PUBLISHED_PROFILES
        return datasets(place.dataset), protocols(place.protocol), other_profile, place.profile, place.validation or ""

    return [_board(place, boards[place], published) for place in sorted(boards, key=order)]


def shown_metrics(record: Record) -> tuple[str, ...]:
    """The metrics of a record that have a column."""
    there = [metric.name for metric in record.metrics]
    return (MAIN_METRIC,) if MAIN_METRIC in there else tuple(name for name in CLUSTER_METRICS if name in there)


# --------------------------------------------------------------------------------------------- what is one row


@dataclass(frozen=True, eq=False)
class _Entry:
    """Records that make up one row: by column title, the seeds of one variant. Every entry equals itself alone."""

    cells: Mapping[str, list[StoredRecord]]

    @cached_property
    def records(self) -> list[Record]:
        return [one.record for seeds in self.cells.values() for one in seeds]

    @property
    def name(self) -> str:
        return self.records[0].method.name

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that decides the numbers of this row, the seed apart, as flat names and values."""
        variants = {title: _variant_identity(seeds[0].record) for title, seeds in self.cells.items()}
        return _flat(_trained_identity(self.records[0]) | variants)

    @cached_property
    def key(self) -> str:
        return digest_json(self.identity)[:6]


def _trained_identity(record: Record) -> dict[str, Any]:
    """What must agree before two trained encoders may differ by their seed alone."""
    method, dataset, protocol = record.method, record.dataset, record.protocol
    # The seed draws the validation part: there the lists of clips differ from seed to seed.
    lists = {"train_digest", "test_digest", "bank_digest"} if protocol.validation is None else set[str]()
    start = None if record.init is None else record.init.model_dump(include={"method", "dataset", "protocol", "run"})
    return {
        "method": method.model_dump(include={"name", "target", "preset", "config"}),
        "precision": record.environment.precision,
        "dataset": dataset.model_dump(include={"name", "profile", "digest", "absent_body", "stream"}),
        "protocol": protocol.model_dump(include={"name", "validation", "config"} | lists),
        "init": start,
    }


def _variant_identity(record: Record) -> dict[str, Any]:
    """What must agree before two measurements may be averaged."""
    clips = next(metric.n for metric in record.metrics if metric.name == shown_metrics(record)[0])
    measured = record.evaluation.model_dump(include={"config", "checkpoint_rule"})
    return measured | ({"clips": clips} if record.protocol.validation is None else {})


def _entries(stored: Sequence[StoredRecord]) -> list[_Entry]:
    """Rows of one board. An evaluation that was run with two configs gives its method a second row."""
    entries = []
    for trained in _group(stored, lambda one: digest_json(_trained_identity(one.record))).values():
        variants = {
            title: list(_group(same, lambda one: digest_json(_variant_identity(one.record))).values())
            for title, same in _group(trained, lambda one: one.record.evaluation.title).items()
        }
        for cells in zip_longest(*variants.values()):
            entries.append(_Entry({title: seeds for title, seeds in zip(variants, cells, strict=True) if seeds}))
    return entries


def _newest(stored: Sequence[StoredRecord]) -> list[StoredRecord]:
    """One record per seed and list: a repetition with the same settings is no further seed."""
    chosen: dict[str, StoredRecord] = {}
    for one in sorted(stored, key=lambda one: one.record.finished):
        record, evaluation = one.record, one.record.evaluation
        what = [
            _trained_identity(record),
            evaluation.title,
            _variant_identity(record),
            record.seed,
            evaluation.replicate,
        ]
        chosen[digest_json(what)] = one
    return sorted(chosen.values(), key=lambda one: (one.record.started, one.record.seed))


# ---------------------------------------------------------------------------------------------- one board


class _Place(NamedTuple):
    """What all rows of a board share."""

    dataset: str
    protocol: str
    profile: str
    validation: str | None


def _place(record: Record) -> _Place:
    return _Place(record.dataset.name, record.protocol.name, record.dataset.profile, record.protocol.validation)


def _board(place: _Place, stored: Sequence[StoredRecord], choice: str) -> Board:
    newest = _newest(stored)
    entries = _entries(newest)
    columns = _columns(one.record for one in newest)
    labels = {
        entry: label
        for same in _group(entries, lambda entry: entry.name).values()
        for entry, label in zip(same, _labels(same), strict=True)
    }
    method_order = by_registry("methods")
    rows = [_row(entry, labels[entry]) for entry in sorted(entries, key=lambda entry: method_order(entry.name))]
    beside = _published_rows(place, columns, choice, {entry.name for entry in entries})
    notes = [
        *_difference_notes(entries, labels),
        *_mixture_notes(entries, labels),
        *_apart_notes(entries, labels),
        *dict.fromkeys(note for one in newest for note in one.record.protocol.notes),
    ]
    if superseded := len(stored) - len(newest):
        notes.append(f"{superseded} older results left out: the same settings and seed were run again.")
    if choice != NONE and not beside:
        notes.append(_nothing_published(place, choice))
    return Board(*place, tuple(columns), tuple(rows), tuple(beside), tuple(notes))


def _columns(records: Iterable[Record]) -> list[Column]:
    order = by_registry("evaluations")
    found = {record.evaluation.title: record for record in records}
    in_order = sorted(found.values(), key=lambda record: (order(record.evaluation.name), record.evaluation.order))
    return [
        Column(_title(record, metric), record.evaluation.name, _variant(record), metric)
        for record in in_order
        for metric in shown_metrics(record)
    ]


def _title(record: Record, metric: str) -> str:
    return record.evaluation.title if metric == MAIN_METRIC else f"{record.evaluation.title} {metric.replace('_', ' ')}"


def _variant(record: Record) -> dict[str, Scalar]:
    return {key: value for key, value in record.evaluation.settings.items() if key not in REPLICATES}


def _row(entry: _Entry, label: str) -> Row:
    shared = [mark for mark in entry.records[0].marks if all(mark in record.marks for record in entry.records)]
    cells = {}
    for seeds in entry.cells.values():
        by_name = _group((metric for one in seeds for metric in one.record.metrics), lambda metric: metric.name)
        marks = dict.fromkeys(mark for one in seeds for mark in one.record.marks if mark not in shared)
        estimates = {name: estimate(same) for name, same in by_name.items()}
        for metric in shown_metrics(seeds[0].record):
            cells[_title(seeds[0].record, metric)] = Cell(estimates, tuple(marks), tuple(seeds), metric)
    first = entry.records[0]
    return Row(first.method.name, label, first.method.preset, cells, tuple(shared))


def _labels(entries: Sequence[_Entry]) -> list[str]:
    """Labels of the rows of one method: its name, then what tells them apart; a key where that is too much to say."""
    told = [_apart_in_words(entry, entries) for entry in entries]
    labels = [
        f"{entry.name} ({', '.join(words)})" if words else entry.name
        for entry, words in zip(entries, told, strict=True)
    ]
    return [
        f"{label} [{entry.key}]" if labels.count(label) > 1 else label
        for entry, label in zip(entries, labels, strict=True)
    ]


def _apart_in_words(entry: _Entry, same: Sequence[_Entry]) -> list[str]:
    """What tells a row from the other rows of its method: input and start, preset, precision, and up to two settings.

    A setting is told where it is not the usual one: that of the only row whose preset is unchanged, or of most rows.
    """
    words = [*filter(None, [entry.records[0].origin])]
    for fact in (_preset, _precision):
        if len({fact(other) for other in same}) > 1:
            words.append(fact(entry))
    of_preset = [other for other in same if _preset(other) == _preset(entry)]
    settings = [
        f"{_plain(name)} {_told(entry, name)}"
        for name in _differing(of_preset)
        if name not in TOLD_OTHERWISE and _told(entry, name) not in (None, _usual(name, of_preset))
    ]
    few = len(settings) <= MOST_IN_A_LABEL and all(len(setting) <= LONGEST_IN_A_LABEL for setting in settings)
    return [*words, *settings] if few else words


def _preset(entry: _Entry) -> str:
    """The preset that its settings began as."""
    return entry.records[0].method.preset.removeprefix(CHANGED)


def _precision(entry: _Entry) -> str:
    return entry.records[0].environment.precision


def _differing(same: Sequence[_Entry]) -> list[str]:
    """The names of what is not alike in all rows that have it."""
    names = dict.fromkeys(name for entry in same for name in entry.identity)
    return [name for name in names if len({_told(entry, name) for entry in same} - {None}) > 1]


def _usual(name: str, same: Sequence[_Entry]) -> str | None:
    """The value that goes without saying; None where there is none."""
    unchanged = [entry for entry in same if entry.records[0].method.preset == _preset(entry)]
    if len(unchanged) == 1 < len(same):
        return _told(unchanged[0], name)
    (value, count), *_ = Counter(_told(entry, name) for entry in same).most_common(1)
    return value if 2 * count > len(same) else None


def _difference_notes(entries: Sequence[_Entry], labels: Mapping[_Entry, str]) -> list[str]:
    """For every row that is told apart by a key: what differs from the other rows of its method."""
    notes = []
    for same in _group(entries, lambda entry: entry.name).values():
        for entry in same:
            if not labels[entry].endswith(f"[{entry.key}]"):
                continue
            differing = [name for name in _differing(same) if _told(entry, name) is not None]
            # What few rows share comes first: among ablations that is what the row is there for.
            told_alike = {name: sum(_told(other, name) == _told(entry, name) for other in same) for name in differing}
            differing.sort(key=told_alike.__getitem__)
            told = [f"{_plain(name)} {_told(entry, name)}" for name in differing[:4]]
            rest = f" and {len(differing) - 4} more" if len(differing) > 4 else ""
            notes.append(f"[{entry.key}]: {', '.join(told)}{rest}.")
    return notes


def _mixture_notes(entries: Sequence[_Entry], labels: Mapping[_Entry, str]) -> list[str]:
    """For every row whose seeds were run by different code or on different devices: which."""
    notes = []
    for entry in entries:
        facts = {
            "code": {f"{r.code.version} {(r.code.commit or '')[:10]}".strip() for r in entry.records},
            "devices": {record.environment.device for record in entry.records},
        }
        told = [f"{name} ({', '.join(sorted(values))})" for name, values in facts.items() if len(values) > 1]
        if told:
            notes.append(f"{labels[entry]}: its results come from different {' and '.join(told)}.")
    return notes


def _apart_notes(entries: Sequence[_Entry], labels: Mapping[_Entry, str]) -> list[str]:
    """For every column whose numbers are not all comparable: which stand apart, and why."""
    notes = []
    for title in dict.fromkeys(title for entry in entries for title in entry.cells):
        there = [entry for entry in entries if title in entry.cells]
        (rest, _), *others = comparable.apart([entry.cells[title][0].record for entry in there])
        for group, reasons in others:
            names, others_named = (", ".join(labels[there[place]] for place in part) for part in (group, rest))
            why = "; ".join(reasons[:4]) + (f" and {len(reasons) - 4} more" if len(reasons) > 4 else "")
            notes.append(f"{title}: not comparable: {others_named} / {names}: {why}.")
    return notes


def _published_rows(place: _Place, columns: Iterable[Column], choice: str, methods: set[str]) -> list[PublishedRow]:
    if choice == NONE or place.profile not in PUBLISHED_PROFILES or place.validation is not None:
        return []
    wanted = methods if choice == OWN else None if choice == ALL else matching(choice)
    found = [
        (column.title, number)
        for column in columns
        if column.metric == MAIN_METRIC
        for number in published_for(place.dataset, place.protocol, *_as_published(place, column), wanted)
    ]
    rows = _group(found, lambda item: item[1].method)
    ordered = sorted(rows, key=lambda method: (min(item[1].year or 9999 for item in rows[method]), method.casefold()))
    return [PublishedRow(method, dict(rows[method])) for method in ordered]


def _as_published(place: _Place, column: Column) -> tuple[str, Mapping[str, Scalar]]:
    """An evaluation and its settings in the words of the published table."""
    name = PUBLISHED_AS.get(column.evaluation, column.evaluation)
    if "from" in column.settings:
        name = {"finetune": "transfer", "linear": "transfer-linear"}.get(name, name)
    one_shot = place.protocol == "oneshot" and name == "exemplar"
    return name, {"auxiliary_classes": 100} if one_shot else column.settings


def _nothing_published(place: _Place, choice: str) -> str:
    if place.validation is not None:
        return "Published numbers are over the test part: none stand beside a validation part."
    if place.profile not in PUBLISHED_PROFILES and any(
        number.dataset == place.dataset for number in published_numbers()
    ):
        return f"Published numbers rest on profile {PUBLISHED_PROFILES[0]}: none stand beside {place.profile}."
    whose = {ALL: "", OWN: " of these methods"}.get(choice, f" of {choice}")
    return f"No published numbers{whose} for {place.dataset} {place.protocol} with these evaluations."


# ------------------------------------------------------------------------------------------------ small tools


def by_registry(kind: str) -> Callable[[str], tuple[int, str]]:
    """A sort key: registered names in their order, then the others by name."""
    places = {name: place for place, name in enumerate(registry.names(kind))}
    return lambda name: (places.get(name, len(places)), name)


def _group(items: Iterable[_Item], key: Callable[[_Item], _Key]) -> dict[_Key, list[_Item]]:
    groups: dict[_Key, list[_Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return groups


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, inner in value.items():
        flat |= _flat(inner, f"{prefix}{name}.") if isinstance(inner, Mapping) else {f"{prefix}{name}": inner}
    return flat


def _plain(name: str) -> str:
    """`method.config.epochs` as `epochs`, `linear.config.epochs` as `linear epochs`."""
    return name.removeprefix("method.config.").replace(".config.", " ").replace(".", " ").replace("_", " ")


def _told(entry: _Entry, name: str) -> str | None:
    """A value of a row's identity in few characters; None where the row has nothing to say (no such column)."""
    if name not in entry.identity:
        return "unset" if name.startswith("method.config.") else None
    value = str(entry.identity[name])
    return value[:8] if name.endswith("digest") else value
