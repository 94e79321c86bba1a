"""The quality report of a conversion: what was read, converted, left out and why, and what a partial set lacks.

In: the find step's result, what each shard reports, and the clips' names. Out: a dataclass that goes into the index as
JSON and to the terminal as a rich renderable of at most 80 columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stars_bench.api import DatasetSpec, Found, RawItem, SetAside
from stars_bench.display.blocks import Block, Facts, Notes, Table
from stars_bench.display.blocks_terminal import blocks_to_rich

if TYPE_CHECKING:
    from rich.console import RenderableType

TAKEN = "Protocols take such clips too: without their files, numbers stand beside published ones (docs/data.md)."
REMEDY = (
    "Correct the name or the label, say in a TOML file what the number is, or give recordings of your own a TOML file "
    "(docs/data.md)."
)
"""For clips of numbers that the dataset does not have."""
DOUBTS = "implausible.csv"
"""Beside the shards: every clip that looks wrong, and why."""
DOUBTFUL = 0.01  # of the clips: a dataset of which so many look wrong is itself in doubt
CLASSES_SHOWN = 5  # without clips, by name
SHOWN = 12  # set-aside clips listed in the terminal; the index has them all
KINDS = {
    "fault": "faults",
    "unknown": "of numbers that the dataset does not have",
    "missing-list": "on the published missing list",
    "empty": "without a visible actor",
    "errata": "known errors of the published files",
}


@dataclass(frozen=True)
class Doubt:
    """What looks wrong in clips that were converted.

    Args:
        what: What looks wrong.
        clips: Number of clips.
        worst: Names of the worst of them, the worst first.
        value: What was measured of the worst one.
        remedy: What to do.
    """

    what: str
    clips: int
    worst: tuple[str, ...]
    value: str
    remedy: str


@dataclass(frozen=True)
class QualityReport:
    """What a conversion did; counts are of clips.

    Args:
        dataset: Name of the dataset.
        profile: Name of the profile.
        files: Number of raw files.
        clips: Number of clips converted.
        expected: Number of clips of the complete dataset; None if unknown.
        complete: Whether all of them are there.
        set_aside: Clips that were not converted. Default: none.
        ignored: Files that are not of the dataset, counted by reason. Default: none.
        cleaning: Bodies and frames that cleaning changed, counted by rule. Default: none.
        missing: {setup: {camera: (missing, of)}}. Default: none.
        unlisted: Number of clips that a complete dataset does not have. Default: 0.
        first_unlisted: Name of the first of them. Default: empty.
        implausible: Number of clips that look wrong. Default: 0.
        doubts: What looks wrong, one kind each. Default: none.
        in_no_part: Number of recordings that are in no part of the splits which the dataset brings. Default: 0.
        first_in_no_part: Name of the first of them. Default: empty.
        without_clips: The classes that have no clip, each with its number from 1. Default: none.
    """

    dataset: str
    profile: str
    files: int  # raw files, videos or synthetic performances read
    clips: int
    expected: int | None
    complete: bool
    set_aside: tuple[SetAside, ...] = ()
    ignored: Mapping[str, int] = field(default_factory=dict)
    cleaning: Mapping[str, int] = field(default_factory=dict)
    missing: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    """Of partial NTU data: {"setup": {"1": (here, expected)}, "camera": ...}."""
    unlisted: int = 0
    """Clips whose names have the right form, but are none of the complete dataset's; `first_unlisted` is one."""
    first_unlisted: str = ""
    implausible: int = 0
    doubts: tuple[Doubt, ...] = ()
    in_no_part: int = 0
    first_in_no_part: str = ""
    without_clips: tuple[str, ...] = ()

    def count(self, kind: str) -> int:
        """Return how many were set aside as one of `KINDS`."""
        return sum(item.kind == kind for item in self.set_aside)

    @property
    def faults(self) -> int:
        """How many clips or files were set aside because something is wrong with them."""
        return sum(item.is_fault for item in self.set_aside)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dictionary; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> QualityReport:
        """Return what `to_json` wrote."""
        set_aside = tuple(SetAside(**item) for item in value["set_aside"])
        missing = {
            part: {key: (here, expected) for key, (here, expected) in groups.items()}
            for part, groups in value["missing"].items()
        }
        doubts = tuple(Doubt(**{**doubt, "worst": tuple(doubt["worst"])}) for doubt in value.get("doubts", ()))
        parts = {"set_aside": set_aside, "missing": missing, "doubts": doubts}
        return cls(**{**value, **parts, "without_clips": tuple(value.get("without_clips", ()))})


def assess(
    spec: DatasetSpec,
    profile: str,
    found: Found,
    files: int,
    names: Collection[str],
    labels: Collection[int],
    set_aside: Iterable[SetAside],
    cleaning: Mapping[str, int],
) -> QualityReport:
    """Put the report together.

    Args:
        spec: The dataset.
        profile: Name of the profile.
        found: What the search found.
        files: Number of raw files.
        names: Names of all converted clips.
        labels: Labels (from 0) that they have.
        set_aside: What was set aside, at the search and at the conversion.
        cleaning: What cleaning did, counted by rule.
    """
    aside = tuple(set_aside)
    excused = sum(item.kind in ("empty", "errata") for item in aside)
    expected = spec.expected_names() if spec.expected_names is not None else []
    unlisted = sorted(set(names).difference(expected)) if expected else []
    lists, outside = _lists(found), in_no_part(found)
    if spec.expected_clips is not None:
        complete = len(names) - len(unlisted) + excused == spec.expected_clips
    else:  # no count is published: whole when every file and every video of all split files was converted
        here = {item.name for item in found.items}
        everything = files == len(found.items) and all(videos and videos <= here for videos in lists)
        complete = everything and not any(item.is_fault for item in aside)
    return QualityReport(
        dataset=spec.name,
        profile=profile,
        files=files,
        clips=len(names),
        expected=spec.expected_clips,
        complete=complete,
        set_aside=aside,
        ignored=dict(found.ignored),
        cleaning=dict(sorted(cleaning.items())),
        missing={} if complete else missing_groups(expected, frozenset(names)),
        unlisted=len(unlisted),
        first_unlisted=unlisted[0] if unlisted else "",
        in_no_part=len(outside),
        first_in_no_part=min((item.name for item in outside), default=""),
        without_clips=tuple(f"{n} {name}" for n, name in enumerate(spec.classes, start=1) if n - 1 not in labels),
    )


def in_no_part(found: Found) -> list[RawItem]:
    """Return the items that are in no part of any split which the dataset brings; none where it brings no split."""
    taken = set().union(*_lists(found))
    return [item for item in found.items if item.name not in taken] if taken else []


def _lists(found: Found) -> list[set[str]]:
    """Return the items that each split names."""
    return [set().union(*split.values()) for split in found.official_splits.values()]


def missing_groups(expected: Iterable[str], here: Collection[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Return how many NTU clips of each setup and camera are here, of how many."""
    totals = tuple(expected)
    present = frozenset(totals).intersection(here)
    groups: dict[str, dict[str, tuple[int, int]]] = {}
    for part, digits in (("setup", slice(1, 4)), ("camera", slice(5, 8))):
        wanted = Counter(name[digits] for name in totals)
        counted = Counter(name[digits] for name in present)
        groups[part] = {str(int(value)): (counted[value], total) for value, total in sorted(wanted.items())}
    return groups if totals else {}


def render(report: QualityReport) -> RenderableType:
    """Return the report for the terminal, at most 80 columns wide."""
    return blocks_to_rich(blocks(report))


def blocks(report: QualityReport, shown: int = SHOWN) -> list[Block]:
    """Return the report: totals, what was set aside and why (the first `shown`), and the verdict."""
    title = f"{report.dataset}, profile {report.profile}"
    found: list[Block] = [Facts({what: f"{count:,}" for what, count in _totals(report)}, title)]
    listed = [item for item in report.set_aside if item.kind != "missing-list"]
    if listed:
        rows = tuple((item.name, item.where, item.reason) for item in listed[:shown])
        found.append(Table("Set aside", ("clip", "where", "why"), rows, ("clip", "where", "why")))
    if len(listed) > shown:
        found.append(Notes((f"... and {len(listed) - shown:,} more; index.json lists them all",)))
    return [*found, *_doubts(report), Notes((*_numbers(report), verdict(report)))]


def _numbers(report: QualityReport) -> Iterable[str]:
    """Say which clips have numbers that the dataset does not have, or none of its splits, and classes without clips."""
    unknown = [item for item in report.set_aside if item.kind == "unknown"]
    if unknown:
        count = "1 clip was" if len(unknown) == 1 else f"{len(unknown):,} clips were"
        first = f"the first: {unknown[0].name}: {unknown[0].reason}"
        yield f"{count} set aside for numbers that {report.dataset} does not have ({first}). {REMEDY}"
    if report.in_no_part:
        count = "1 recording" if report.in_no_part == 1 else f"{report.in_no_part:,} recordings"
        yield f"The splits of {report.dataset} leave out {count} (the first: {report.first_in_no_part})."
    if empty := report.without_clips:
        more = f" and {len(empty) - CLASSES_SHOWN:,} more" if len(empty) > CLASSES_SHOWN else ""
        count = "1 class has" if len(empty) == 1 else f"{len(empty):,} classes have"
        yield f"{count} no clip: {', '.join(empty[:CLASSES_SHOWN])}{more}."


def _doubts(report: QualityReport) -> Iterable[Block]:
    if not report.doubts:
        return
    clips = "1 clip looks" if report.implausible == 1 else f"{report.implausible:,} of {report.clips:,} clips look"
    header = ("what", "clips", "worst", "what to do")
    rows = tuple(
        (doubt.what, f"{doubt.clips:,}", f"{doubt.worst[0]}: {doubt.value}", doubt.remedy) for doubt in report.doubts
    )
    yield Table(f"{clips} wrong ({DOUBTS} lists all)", header, rows, ("what", "worst", "what to do"))


def doubtful(report: QualityReport) -> list[str]:
    """Say in a line each that many of a dataset's clips look wrong, and that it has, or had, clips of others.

    Many are `DOUBTFUL` of them, or more.
    """
    lines = []
    if report.implausible and report.implausible >= DOUBTFUL * report.clips:
        most = max(report.doubts, key=lambda doubt: doubt.clips)
        command = f"stars-bench inspect {report.dataset} --profile {report.profile}"
        lines.append(
            f"{report.dataset}: {report.implausible:,} of {report.clips:,} clips look wrong, most of all: {most.what} "
            f"({most.worst[0]}: {most.value}); `{command}` says more"
        )
    unknown = [item for item in report.set_aside if item.kind == "unknown"]
    if unknown:
        first = f"{unknown[0].name}: {unknown[0].reason}"
        lines.append(f"{report.dataset}: {len(unknown):,} clips had numbers that it does not have (the first: {first})")
    strange = unlisted_sentence(report.dataset, report.unlisted, report.first_unlisted).strip()
    return [*lines, f"{report.dataset}: {strange}"] if strange else lines


def _totals(report: QualityReport) -> Iterable[tuple[str, int]]:
    yield "raw files, videos or takes read", report.files
    yield "clips converted", report.clips
    for kind, words in KINDS.items():
        if report.count(kind):
            yield f"left out: {words}", report.count(kind)
    for what, count in report.ignored.items():
        yield f"passed over: {what}", count
    for rule, count in report.cleaning.items():
        if count:
            yield f"cleaning: {rule.replace('_', ' ')}", count


def verdict(report: QualityReport) -> str:
    """Return a few sentences: complete, or how partial and where; and what does not belong there."""
    if report.expected is None:
        whole = "Complete" if report.complete else "Partial (files left out, or videos of the split files missing)"
        return f"{whole}: {report.clips:,} clips."
    listed = report.clips - report.unlisted
    strange = unlisted_sentence(report.dataset, report.unlisted, report.first_unlisted)
    if report.complete:
        return f"Complete: {listed:,} clips of {report.expected:,} expected.{strange}"
    text = f"Partial: {listed:,} of {report.expected:,} clips ({listed / report.expected:.1%}).".replace("%", " %")
    for part, groups in report.missing.items():
        absent = [key for key, (here, _) in groups.items() if here == 0]
        partial = [key for key, (here, expected) in groups.items() if 0 < here < expected]
        if absent:
            text += f" Absent {part}s: {' '.join(absent)}."
        if partial:
            text += f" Partial {part}s: {' '.join(partial)}."
    return text + strange


def unlisted_sentence(dataset: str, count: int, first: str) -> str:
    """Return what is said of clips that the complete dataset does not have, with a blank in front; of none: nothing."""
    if not count:
        return ""
    what = "1 clip has a name" if count == 1 else f"{count:,} clips have names"
    named = first if count == 1 else f"the first: {first}"
    return f" {what} that {dataset} does not have ({named}), kept all the same. {TAKEN}"
