"""Sentences under a table: why rows stand apart, what was mixed, what is not comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stars_bench.records.comparability import comparable, mixtures
from stars_bench.report.results.entries import Entry
from stars_bench.report.results.labels import differing, setting, value_of
from stars_bench.report.results.result import group_by

MOST_IN_A_NOTE = 4
AVERAGED = "averaged over different"


def notes(entries: Sequence[Entry], labels: Mapping[Entry, str]) -> list[str]:
    """Say what a reader must know about the rows of one benchmark."""
    return [*_differences(entries, labels), *_mixtures(entries, labels), *_not_comparable(entries, labels)]


def _differences(entries: Sequence[Entry], labels: Mapping[Entry, str]) -> list[str]:
    """Say, for every row that has a key, what differs from the other rows of its method."""
    found = []
    for same in group_by(entries, lambda entry: entry.method).values():
        for entry in same:
            if not labels[entry].endswith(f"[{entry.key}]"):
                continue
            names = [name for name in differing(same) if value_of(entry, name) is not None]
            # What few rows share comes first: among ablations that is what the row is there for.
            alike = {name: sum(value_of(other, name) == value_of(entry, name) for other in same) for name in names}
            names.sort(key=alike.__getitem__)
            found.append(f"[{entry.key}]: {_some([setting(entry, name) for name in names], ', ')}.")
    return found


def _mixtures(entries: Sequence[Entry], labels: Mapping[Entry, str]) -> list[str]:
    """Say, for every row whose seeds were run by different code or on different devices, which ones."""
    found = []
    for entry in entries:
        cells = {title: mixtures.of_cell([one.record for one in seeds]) for title, seeds in entry.variants.items()}
        told = group_by(((title, str(one)) for title, mixed in cells.items() for one in mixed), lambda pair: pair[1])
        for text, pairs in told.items():
            where = (
                labels[entry]
                if len(pairs) == len(cells)
                else f"{labels[entry]}, {', '.join(title for title, _ in pairs)}"
            )
            found.append(f"{where}: {AVERAGED} {text}.")
        found += [f"{labels[entry]}: its columns stand for different {one}." for one in mixtures.of_row(entry.records)]
    return found


def _not_comparable(entries: Sequence[Entry], labels: Mapping[Entry, str]) -> list[str]:
    """Say, for every column whose numbers are not all comparable, which stand apart, and why."""
    found = []
    for title in dict.fromkeys(title for entry in entries for title in entry.variants):
        measured = [entry for entry in entries if title in entry.variants]
        (rest, _), *others = comparable.apart([entry.variants[title][0].record for entry in measured])
        for group, reasons in others:
            names, others_named = (", ".join(labels[measured[place]] for place in part) for part in (group, rest))
            found.append(f"{title}: not comparable: {others_named} / {names}: {_some(reasons, '; ')}.")
    return found


def _some(items: Sequence[str], separator: str) -> str:
    more = len(items) - MOST_IN_A_NOTE
    return separator.join(items[:MOST_IN_A_NOTE]) + (f" and {more} more" if more > 0 else "")
