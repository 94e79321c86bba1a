"""What lies in folders and archives in which no recording was found: counts by kind, and what to do with each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from stars_bench.api import Source
from stars_bench.datasets.raw_files import looks, repack, sources
from stars_bench.datasets.raw_files.looks import Kind
from stars_bench.datasets.raw_files.zip import base_name
from stars_bench.errors import StarsBenchError, printable

HEADS = 1_000
"""Files whose first bytes are looked at, and members of a tar that are; what the others are, their names say."""
KINDS = 4
"""Kinds that are told."""


def what_lies_there(paths: Sequence[Path]) -> str:
    """Say in one line what files there are below some paths, by kind, the most frequent first.

    Args:
        paths: Folders, files and archives.
    """
    counts: Counter[Kind] = Counter()
    first: dict[Kind, Source] = {}
    for number, (name, source) in enumerate(_files(paths)):
        in_place = not source.path.name.lower().endswith(repack.SUFFIXES)
        kind = _kind(name, source, number < HEADS and in_place)
        counts[kind] += 1
        first.setdefault(kind, source)
    if not counts:
        return "there is no file in it"
    told = [_told(kind, count, first[kind]) for kind, count in counts.most_common(KINDS)]
    if (more := len(counts) - KINDS) > 0:
        told.append(f"files of {more} more kind{'s' * (more > 1)}")
    return f"it holds {'; '.join(told)}"


def _files(paths: Sequence[Path]) -> Iterator[tuple[str, Source]]:
    """Yield files and members of archives, with their names; what cannot be opened comes out as it is."""
    for name, text in sources.files_below(paths):
        path = Path(text)
        members: Iterable[str] = ()
        with suppress(StarsBenchError, OSError):
            if name.lower().endswith(".zip"):
                members = sources.zip_members(path)
            elif name.lower().endswith(repack.SUFFIXES):
                members = repack.member_names(path, HEADS)
        for member in members:
            yield base_name(member), Source(path, member)
        if not members:
            yield name, Source(path)


def _kind(name: str, source: Source, look: bool) -> Kind:
    if source.member is not None and name.lower().endswith(sources.UNOPENED):
        return looks.NESTED
    return looks.kind_of(name, sources.head(source, looks.HEAD) if look else b"")


def _told(kind: Kind, count: int, first: Source) -> str:
    example = printable(str(first), 120) + ", ..." * (count > 1)
    remedy = kind.on(first.path)
    return f"{count:,} {kind.name.format(s='s' * (count != 1))} ({example}){remedy and ': '}{remedy}"
