"""Check that a prepared dataset is complete and unchanged: a PreparedDataset in, a report of faults out.

Reads every byte of every shard again and compares the digests of files, clips and the whole with the index; then the
names that a complete dataset has, and the published counts of its protocols. With raw files, these are converted once
more and every clip is compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stars_bench import registry
from stars_bench.api import ProtocolSpec
from stars_bench.datasets.parsing.ntu import NAME
from stars_bench.errors import StarsBenchError
from stars_bench.io import files
from stars_bench.preparation.verify_raw import Progress, compare_raw
from stars_bench.preparation.verify_shard import ShardFindings, check_shard
from stars_bench.storage import shards
from stars_bench.storage.quality import unlisted_sentence
from stars_bench.storage.shards import PreparedDataset

if TYPE_CHECKING:
    from rich.console import RenderableType

READERS = 4  # threads: digests are computed side by side, HDF5 reads one after the other
SHOWN = 20  # faults and names listed in the terminal


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` found.

    Args:
        dataset: Name of the dataset.
        profile: Name of the profile.
        folder: Folder of the prepared data.
        digest: Checksum of the prepared data.
        clips: Number of clips.
        shards: Number of shards.
        bytes: Size of the shards.
        complete: Whether the dataset has all its clips.
        expected: Number of clips of the complete dataset; None if unknown.
        remedy: What to do about faults.
        faults: One line each, what and where.
        missing: Names of clips, or of videos for datasets whose split files name these.
        missing_by_setup: {setup: {camera: (missing, of)}}; setups that lack nothing are left out.
        set_aside: How many of the missing were there, but could not be converted.
        protocols: If the data are complete, {name: (train, test) clips}.
        unlisted: A sentence of the clips whose names a complete dataset does not have, or nothing.
    """

    dataset: str
    profile: str
    folder: Path
    digest: str
    clips: int
    shards: int
    bytes: int
    complete: bool
    expected: int | None
    remedy: str
    faults: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    missing_by_setup: Mapping[str, Mapping[str, tuple[int, int]]] = field(default_factory=dict)
    set_aside: int = 0
    protocols: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    unlisted: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong. Partial data are not wrong."""
        return not self.faults


def verify(dataset: PreparedDataset, raw: Sequence[Path] = (), progress: Progress | None = None) -> VerifyReport:
    """Read a prepared dataset again and compare it with its index; with `raw`, also with its raw files.

    Args:
        dataset: The prepared dataset.
        raw: Folders and archives of the raw files; if empty, they are not compared. Default: none.
        progress: Called with the task, the number done, their total, and a note. Default: None.

    Returns:
        What is wrong or missing.

    Raises:
        StarsBenchError: The index is damaged, or the raw files cannot be searched.
    """
    tell = progress or (lambda *_: None)
    remedy = _remedy(dataset)
    index = _index(dataset)
    found = list(_read_all(dataset, index, tell))
    faults = [fault for findings in found for fault in findings.faults]
    faults += [f"{dataset.folder / shards.INDEX}: {fault}" for fault in _faults_of_index(dataset, index, found)]
    clips = {name for findings in found for name in findings.contents}
    expected, present = complete_names(dataset, index), clips.union(*(findings.items for findings in found))
    missing = [name for name in expected if name not in present]
    excused = {item.name for item in dataset.quality.set_aside if item.kind in ("empty", "errata")}
    if dataset.complete and (lost := len(set(missing) - excused)):
        faults.append(f"{dataset.folder / shards.INDEX}: says complete, but {lost:,} are missing")
    protocols: dict[str, tuple[int, int]] = {}
    if not faults and dataset.complete:
        protocols = protocol_counts(dataset)
        faults += _faults_of_counts(dataset, protocols)
    if not faults and raw:
        faults += compare_raw(dataset, raw, tell)
    aside = {item.name for item in dataset.quality.set_aside}
    return VerifyReport(
        dataset=dataset.name,
        profile=dataset.profile.name,
        folder=dataset.folder,
        digest=dataset.digest,
        clips=len(clips),
        shards=len(found),
        bytes=sum(findings.bytes for findings in found),
        complete=dataset.complete,
        expected=dataset.expected_clips,
        remedy=remedy,
        faults=tuple(faults),
        missing=tuple(missing),
        missing_by_setup=missing_by_setup(missing, expected),
        set_aside=len(aside.intersection(missing)),
        protocols=protocols,
        unlisted=unlisted_sentence(dataset.name, dataset.quality.unlisted, dataset.quality.first_unlisted),
    )


def _remedy(dataset: PreparedDataset) -> str:
    name, profile = dataset.name, dataset.profile.name
    if profile not in dataset.spec.profiles:
        return f"import {name} ({profile}) again"
    return f"`stars-bench prepare {name} --profile {profile} --force` makes it anew"


def _index(dataset: PreparedDataset) -> dict[str, Any]:
    index = shards.read_index(dataset.folder)
    if index is None:
        raise StarsBenchError(f"{dataset.folder / shards.INDEX}: is gone; {_remedy(dataset)}")
    return index


def _read_all(dataset: PreparedDataset, index: Mapping[str, Any], tell: Progress) -> Iterator[ShardFindings]:
    classes, done = len(dataset.spec.classes), 0
    total = sum(entry["clips"] for entry in index["shards"])
    tell("read shards", 0, total, "")
    with ThreadPoolExecutor(READERS) as readers:
        jobs = readers.map(lambda entry: check_shard(dataset.folder, entry, index, classes), index["shards"])
        for entry, findings in zip(index["shards"], jobs, strict=True):
            done += entry["clips"]
            tell("read shards", done, total, f"{len(findings.faults)} faults" if findings.faults else "")
            yield findings


def _faults_of_index(
    dataset: PreparedDataset, index: Mapping[str, Any], found: Sequence[ShardFindings]
) -> Iterator[str]:
    """Yield what the shards together must be."""
    listed = {entry["file"] for entry in index["shards"]}
    content = {key: value for key, value in index.items() if key != "checksum"}
    if "checksum" not in index:
        yield "it has no checksum: it was changed by hand, or is of an older version"
    elif files.digest_json(content) != index["checksum"]:
        yield "its content has changed (checksum differs)"
    strays = sorted({path.name for path in dataset.folder.glob("shard-*.h5")} - listed)
    if strays:
        yield f"{', '.join(strays)} lie{'s' * (len(strays) == 1)} in the folder but not in the index"
    if any(findings.faults for findings in found):
        return  # said already, and what follows would only say it again
    counts = Counter(name for findings in found for name in findings.contents)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        yield f"{twice[0]} is in more than one shard"
    if index["num_clips"] != len(counts) or dataset.quality.clips != len(counts):
        yield f"it says {index['num_clips']:,} clips, the shards have {len(counts):,}"
    contents = {name: digest for findings in found for name, digest in findings.contents.items()}
    if files.digest_lines(f"{name} {contents[name]}" for name in sorted(contents)) != index["digest"]:
        yield "its digest is not that of the clips"


# ------------------------------------------------------------------------------------------ completeness


def complete_names(dataset: PreparedDataset, index: Mapping[str, Any]) -> Sequence[str]:
    """Return the names that a complete dataset has, in order: its clips if known, else the videos of its splits."""
    if dataset.spec.expected_names is not None:
        return dataset.spec.expected_names()
    parts = (part for split in index["official_splits"].values() for part in split.values())
    return sorted({video for part in parts for video in part})


def missing_by_setup(missing: Iterable[str], expected: Sequence[str]) -> dict[str, dict[str, tuple[int, int]]]:
    """Return {setup: {camera: (missing, of)}}.

    Setups that lack nothing are left out; PKU-MMD's videos have one, "all".
    """
    if expected and NAME.fullmatch(expected[0]):
        places = [
            Counter((str(int(name[1:4])), str(int(name[5:8]))) for name in names) for names in (missing, expected)
        ]
    else:
        places = [Counter(("all", name[-1:]) for name in names) for names in (missing, expected)]  # 0002-L: camera L
    absent, totals = places
    setups = [setup for setup in dict.fromkeys(setup for setup, _ in totals) if any(setup == row for row, _ in absent)]
    cameras = sorted({camera for _, camera in totals})
    return {setup: {camera: (absent[setup, camera], totals[setup, camera]) for camera in cameras} for setup in setups}


def protocol_counts(dataset: PreparedDataset) -> dict[str, tuple[int, int]]:
    """Return clips of the training and test part of every protocol that the dataset has, and that its clips allow."""
    counts = {}
    for spec in _protocols(dataset):
        try:
            split = spec.split(dataset.table) if spec.Config is None else spec.split(dataset.table, spec.Config())
        except StarsBenchError:  # as of classes too few to leave some out
            continue
        counts[spec.name] = (len(split.train), len(split.test))
    return counts


def _protocols(dataset: PreparedDataset) -> Iterator[ProtocolSpec]:
    for name in registry.names("protocols"):
        spec: ProtocolSpec = registry.load("protocols", name)
        if dataset.has_protocol(spec):
            yield spec


def _faults_of_counts(dataset: PreparedDataset, counts: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    for spec in _protocols(dataset):
        published = spec.expected.get(dataset.name)
        if published is not None and counts.get(spec.name) != published:
            yield f"{dataset.folder}: {spec.name} has {counts.get(spec.name)} clips, published are {published}"


# ---------------------------------------------------------------------------------------------- terminal


def render(report: VerifyReport) -> RenderableType:
    """Return the report for the terminal, at most 80 columns wide."""
    from rich.console import Group
    from rich.text import Text

    size = f"{report.bytes / 2**20:,.1f} MiB"
    head = Text(f"{report.dataset}, profile {report.profile}: {report.clips:,} clips, {size}")
    parts: list[RenderableType] = [head, Text(f"digest {report.digest}", "dim", overflow="fold")]
    if report.ok:
        parts.append(Text("Every shard, clip and count is as when it was prepared.", "green"))
    parts += [Text(f"fault: {fault}", "red") for fault in report.faults[:SHOWN]]
    if len(report.faults) > SHOWN:
        parts.append(Text(f"... and {len(report.faults) - SHOWN:,} more faults"))
    parts += _completeness(report)
    return Group(*parts)


def _completeness(report: VerifyReport) -> Iterator[RenderableType]:
    from rich.text import Text

    if report.complete:
        counts = "; ".join(f"{name} {train:,} / {test:,}" for name, (train, test) in report.protocols.items())
        yield Text("Complete." + (f" Training / test clips: {counts}." if counts else "") + report.unlisted)
    elif report.missing:
        count, unit = len(report.missing), "clip" if NAME.fullmatch(report.missing[0]) else "video"
        aside = f", {report.set_aside:,} of them set aside when it was prepared" if report.set_aside else ""
        yield Text(f"Partial: {count:,} {unit}{' is' if count == 1 else 's are'} missing{aside}.{report.unlisted}")
        yield _missing_table(report.missing_by_setup)
    else:
        yield Text(f"Partial.{report.unlisted}")


def _cell(absent: int, total: int) -> str:
    return "-" if not absent else f"all {total:,}" if absent == total else f"{absent:,} of {total:,}"


def _missing_table(rows: Mapping[str, Mapping[str, tuple[int, int]]]) -> RenderableType:
    from rich.table import Table

    table = Table(title="Missing, by setup and camera", title_justify="left", box=None, pad_edge=False)
    table.add_column("setup", justify="right")
    for camera in next(iter(rows.values())):
        table.add_column(f"camera {camera}", justify="right")
    for setup, cells in rows.items():
        table.add_row(setup, *(_cell(absent, total) for absent, total in cells.values()))
    return table
