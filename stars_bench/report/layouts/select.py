"""Which rows a table has, and which number stands in a cell: the one that fits its table, group, row and column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from typing import NamedTuple, TypeVar

from stars_bench import registry
from stars_bench.errors import UsageError
from stars_bench.records.published.numbers import JOINTS, published_numbers, spelled
from stars_bench.records.store import flat
from stars_bench.report.layouts.table_file import SETTING, RowOf, Sources, TableOf, Where, is_pattern, printed
from stars_bench.report.results.published import MEASURED_AS
from stars_bench.report.results.result import Measure, PublishedResult, Result, Results

ValueT = TypeVar("ValueT", Result, PublishedResult)
Said = Mapping[str, str]
"""What a table, a group, a row and a column say of a number, taken together."""
SHORT = {"joint": "J", "motion": "M", "bone": "B", "bone-motion": "BM"}
"""Streams as papers write them, in the order in which they sum them."""
FOUR = "4 streams"
SHOWN = 8


def short_streams(text: str) -> str:
    """Write streams as papers do: `joint+bone` is `J+B`, four of them are `4 streams`."""
    parts = [SHORT.get(part.strip(), part.strip()) for part in text.split("+")]
    known = [*SHORT.values()]
    ordered = sorted(parts, key=lambda part: known.index(part) if part in known else len(known))
    return FOUR if ordered == known else "+".join(ordered)


def together(*parts: Where) -> Said | None:
    """Return what several parts say together; None where they contradict each other."""
    said: dict[str, str] = {}
    for part in parts:
        for key, value in part.said.items():
            if said.setdefault(key, value) != value:
                return None
    return said


def together_settings(parts: Iterable[Where]) -> Said:
    """Return the settings that several parts say."""
    return {key: value for part in parts for key, value in part.said.items() if key.startswith(SETTING)}


class Line(NamedTuple):
    """One row before it has cells.

    Args:
        row: What the layout says of it.
        group: The place of its group.
        label: Label of the measured row, or name of the published method.
        parts: The table, the group and the row, whose words hold for all its cells.
        where: Its place in the file.
    """

    row: RowOf
    group: int
    label: str
    parts: tuple[Where, ...]
    where: str

    @property
    def is_published(self) -> bool:
        """Whether its numbers are published ones."""
        return self.row.published is not None

    @property
    def key(self) -> object:
        """What two lines of the same numbers share."""
        _, group, row = self.parts
        return self.is_published, self.label, frozenset({**group.said, **row.said}.items())


@dataclass(frozen=True)
class Pool:
    """The numbers that cells are filled with.

    Args:
        results: The numbers.
        sources: "first-hand" leaves out what others quote.
        where: The table, as a message names it.
    """

    results: Results
    sources: Sources
    where: str

    def lines(self, table: TableOf) -> list[Line]:
        """Return all rows of a table; a pattern takes what no other row names.

        Raises:
            UsageError: A row that was not measured or published.
        """
        expanded = [
            self._lines(table, Line(row, group, "", (table, of, row), f"{self.where}.groups.{group}.rows.{place}"))
            for group, of in enumerate(table.groups)
            for place, row in enumerate(of.rows)
        ]
        taken = {line.key for lines in expanded for line in lines if not is_pattern(_name(line.row))}
        found = []
        for line in (line for lines in expanded for line in lines):
            if not is_pattern(_name(line.row)):
                found.append(line)
            elif line.key not in taken:
                taken.add(line.key)
                found.append(line)
        return found

    def _lines(self, table: TableOf, line: Line) -> list[Line]:
        """Return the row under its label, or a row for each label that its pattern fits."""
        if line.is_published:
            known = list(dict.fromkeys(one.method for one in self.results.published))
            every = {spelled(number.method): number.method for number in published_numbers()}
        else:
            said = {key for part in (*line.parts, *table.columns) for key in part.said}
            known = list(dict.fromkeys(_label(one, said) for one in self.results.measured))
            every = {label: label for label in known}
        name = _name(line.row)
        if is_pattern(name):
            pattern = name.casefold().replace("[", "[[]")
            return [line._replace(label=one) for one in known if fnmatchcase(one.casefold(), pattern)]
        label = every.get(spelled(name) if line.is_published else name)
        if not line.is_published and label is not None and not self._has_settings(label, table, line):
            asked = [f"{key.removeprefix(SETTING)}={value}" for key, value in together_settings(line.parts).items()]
            raise UsageError(f"{line.where}: {name!r}: was not measured with {', '.join(asked)}")
        if label is None:
            what = "no published method" if line.is_published else "was not measured"
            raise UsageError(f"{line.where}: {name!r}: {what}; {_nearest(name, every.values())}")
        return [line._replace(label=label)]

    def _has_settings(self, label: str, table: TableOf, line: Line) -> bool:
        """Whether a number of a row has the settings that its table, its group and the row say."""
        asked = together_settings(line.parts)
        keys = {key for part in (*line.parts, *table.columns) for key in part.said}
        same = [one for one in self.results.measured if _label(one, keys) == label]
        return not asked or any(_fits_settings(one, asked) for one in same)

    def value(self, line: Line, column: Where) -> tuple[Result | PublishedResult | None, int]:
        """Return the number of a cell, and how many second-hand ones were left out of it.

        Raises:
            UsageError: Several fit.
        """
        said = together(*line.parts, column)
        if said is None:
            return None, 0
        if line.is_published:
            return self._of_published(line, said)
        fitting = [one for one in self.results.measured if _label(one, said) == line.label and self._fits(one, said)]
        return self._only(line, said, _of_metric(fitting, said.get("metric"))), 0

    def _of_published(self, line: Line, said: Said) -> tuple[PublishedResult | None, int]:
        numbers = self._published.get(line.label, [])
        streams = {one.number.streams for one in numbers}
        if "streams" not in said and len(streams) == 1 and not is_pattern(_name(line.row)):
            said = {**said, "streams": next(iter(streams))}  # a row that is named, such as 3s-CMD, says its streams
        every = [one for one in numbers if self._fits(one, said)]
        kept = [one for one in every if self.sources == "all" or one.number.is_first_hand]
        # One number may stand beside several profiles: where its recipe is theirs it stands best.
        best = {id(one.number): one for one in sorted(kept, key=lambda one: one.other_recipe, reverse=True)}
        return self._only(line, said, list(best.values())), len({id(one.number) for one in every}) - len(best)

    def check(self, columns: Iterable[Where]) -> None:
        """Refuse datasets, protocols and evaluations that no number has.

        Raises:
            UsageError: There is one; the line names those that there are.
        """
        numbers = self._numbers
        known = {
            "dataset": {one.benchmark.dataset for one in numbers} | {one.dataset for one in published_numbers()},
            "protocol": {one.benchmark.protocol for one in numbers} | {one.protocol for one in published_numbers()},
            "evaluation": {one.measure.title for one in numbers},
        }
        for part in columns:
            for key, there in known.items():
                value = part.said.get(key)
                if value is None or (self._same(part.said) if key == "evaluation" else value in there):
                    continue
                raise UsageError(f"{self.where}: {key} = {value!r}: no number is of it; {_nearest(value, there)}")

    @property
    def _numbers(self) -> list[Result | PublishedResult]:
        return [*self.results.measured, *self.results.published]

    @cached_property
    def _published(self) -> dict[str, list[PublishedResult]]:
        found: dict[str, list[PublishedResult]] = {}
        for one in self.results.published:
            found.setdefault(one.method, []).append(one)
        return found

    @cached_property
    def _measures(self) -> dict[str | None, dict[str, Measure]]:
        """All measures by title, by the data that the encoder was trained on; None: of any."""
        found: dict[str | None, dict[str, Measure]] = {None: {}}
        for one in self._numbers:
            for start in (None, *_starts(one)):
                found.setdefault(start, {})[one.measure.title] = one.measure
        return found

    def _same(self, said: Said) -> set[str]:
        """Return the titles of the measures that an evaluation means: by title, else by variant, else by name."""
        asked = said["evaluation"].casefold()
        measures = self._measures.get(said.get("pretrained_on"), {}).values()
        names = (
            [] if "metric" in said else [[(one.title, one.title) for one in measures]],
            [[(one.variant, one.title) for one in measures]],
            [[(one.evaluation, one.title) for one in measures]],
        )
        for pairs in (pairs for kind in names for pairs in kind):
            same = {title for name, title in pairs if name.casefold() in (asked, MEASURED_AS.get(asked))}
            if same:
                return same
        return set()

    def _fits(self, one: Result | PublishedResult, said: Said) -> bool:
        place = one.benchmark
        return (
            said.get("dataset") in (None, place.dataset)
            and said.get("protocol") in (None, place.protocol)
            and said.get("profile") in (None, place.profile)
            and said.get("validation") == place.validation
            and ("evaluation" not in said or one.measure.title in self._same(said))
            and _fits_origin(one, said)
        )

    def _only(self, line: Line, said: Said, fitting: Sequence[ValueT]) -> ValueT | None:
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        each = "; ".join(f"{one.label}, {one.benchmark.title}, {one.measure.title}" for one in fitting[:SHOWN])
        asked = ", ".join(f"{key} {value}" for key, value in said.items())
        keys = ", ".join(key for key in Where.model_fields if key not in said)
        raise UsageError(
            f"{line.where}: {line.label!r} has {len(fitting)} numbers for one cell ({asked}): {each}; say which by "
            f"{keys}"
        )


def _name(row: RowOf) -> str:
    return row.measured or row.published or ""


def _label(result: Result, said: Iterable[str]) -> str:
    said = set(said)
    if any(key.startswith(SETTING) for key in said):  # a label names settings, too, and which depends on other runs
        origin = result.records[0].origin
        result = replace(result, label=f"{result.method} ({origin})" if origin else result.method)
    return result.label_without(streams="streams" in said, start="pretrained_on" in said)


def _settings(result: Result) -> dict[str, str]:
    """Return the settings of a number: those of its method by name, those of its evaluation as `linear.epochs`."""
    record = result.records[0]
    own = flat(record.method.config) | flat({record.evaluation.name: record.evaluation.config})
    return {name: printed(value) for name, value in own.items()}


def _fits_settings(result: Result, said: Said) -> bool:
    """Whether a number has the settings that are asked for; those of other evaluations say nothing of it."""
    asked = {key.removeprefix(SETTING): value for key, value in said.items() if key.startswith(SETTING)}
    own = _settings(result) if asked else {}
    evaluation = result.records[0].evaluation.name
    others = (name for name in asked if "." in name and name not in own and name.split(".")[0] != evaluation)
    foreign = {name for name in others if name.split(".")[0] in registry.names("evaluations")}
    return all(own.get(name) == value for name, value in asked.items() if name not in foreign)


def _starts(one: Result | PublishedResult) -> tuple[str, ...]:
    """Return the data that an encoder was trained on before: dataset, and dataset with protocol."""
    if isinstance(one, PublishedResult):
        start = one.measure.settings.get("from")
        return () if start is None else (str(start),)
    init = one.records[0].init
    return () if init is None or init.dataset is None else (init.dataset, f"{init.dataset} {init.protocol}")


def _fits_origin(one: Result | PublishedResult, said: Said) -> bool:
    """Whether a number is of the streams, the start and the metric that are asked for."""
    if "pretrained_on" in said and said["pretrained_on"] not in _starts(one):
        return False
    metric, streams = said.get("metric"), said.get("streams")
    if isinstance(one, PublishedResult):
        asked = JOINTS if streams is None else short_streams(streams)
        return short_streams(one.number.streams) == asked and metric in (None, one.measure.metric)
    same = streams is None or short_streams(one.records[0].dataset.stream) == short_streams(streams)
    same = same and _fits_settings(one, said)
    return same and (metric is None or metric in one.metrics)


def _of_metric(results: Sequence[Result], metric: str | None) -> list[Result]:
    """Return results with another metric than the one that `report` shows; each variant once."""
    if metric is None:
        return list(results)
    found = {(one.benchmark, one.label, one.measure.variant): one for one in results}
    return [
        one
        if one.measure.metric == metric
        else replace(one, measure=replace(one.measure, metric=metric), hits=None, difference=None)
        for one in found.values()
    ]


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(set(known))
    near = get_close_matches(name, names, 3)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(names[:SHOWN])}{more}"
