"""Whether raw files still give a prepared dataset: both in, one line for each kind of difference out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from stars_bench.api import Found, SetAside
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.sources import UnreadableSource
from stars_bench.preparation.prepare import UNPACKED, find_items
from stars_bench.storage import shards
from stars_bench.storage.shards import PreparedDataset

Progress = Callable[[str, int, int, str], None]
"""Called with what is being done, how many clips or files are done, of how many, and a note."""

TICK = 64  # raw files between two calls of progress


def compare_raw(dataset: PreparedDataset, raw: Sequence[Path], progress: Progress) -> Iterator[str]:
    """Convert the raw files again: a fault for each kind of clip that differs, is new, or is not there.

    Raises:
        UsageError: There is no such folder or archive.
        StarsBenchError: The raw files cannot be searched, or none of the dataset is there.
    """
    raw = sources.raw_folders(raw, dataset.folder, dataset.name, dataset.spec.where)
    scratch = dataset.folder / UNPACKED
    try:
        yield from _compared(dataset, _found(dataset, raw, scratch, progress), raw, progress)
    finally:
        sources.remove_unpacked(scratch)


def _found(dataset: PreparedDataset, raw: Sequence[Path], scratch: Path, progress: Progress) -> Found:
    options = {"scratch": scratch, "progress": lambda task, done, total: progress(task, done, total, "")}
    return find_items(dataset.spec, raw, options)


def _compared(dataset: PreparedDataset, found: Found, raw: Sequence[Path], progress: Progress) -> Iterator[str]:
    stored = dict(zip(dataset.table["name"], dataset.table["content"], strict=True))
    differ, new = [], []
    seen: set[str] = set()
    for done, item in enumerate(found.items):
        if done % TICK == 0:
            progress("compare raw files", done, len(found.items), "")
        try:
            data = {role: sources.read(source) for role, source in item.sources.items()}
        except UnreadableSource as error:
            yield str(error)
            continue
        for clip in dataset.spec.convert(item, data, dataset.profile):
            seen.add(clip.name)
            old = stored.get(clip.name)
            if isinstance(clip, SetAside):
                differ += [clip.name] * (old is not None)
            elif old is None:
                new.append(clip.name)
            elif shards.content_digest(clip) != old:
                differ.append(clip.name)
    progress("compare raw files", len(found.items), len(found.items), "")
    where = ", ".join(map(str, raw))
    for names, what in (
        (differ, "the raw file gives another clip than the prepared one"),
        (new, "in the raw files, but not in the prepared dataset"),
        (sorted(stored.keys() - seen), f"no raw file of it in {where}"),
    ):
        if names:
            yield f"{names[0]}{f' and {len(names) - 1:,} more' if len(names) > 1 else ''}: {what}"
