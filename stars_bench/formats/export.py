"""Export: a prepared dataset in, a file or folder in another program's format out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stars_bench import registry
from stars_bench.errors import StarsBenchError, UsageError, not_written
from stars_bench.formats.base import PARTS, Format, Parts
from stars_bench.formats.catalog import format_of
from stars_bench.formats.clip_order import parts_of, two_part_protocols
from stars_bench.io.outputs import output_file
from stars_bench.storage.shards import PreparedDataset

Progress = Callable[[int, int], None]
"""Called with how many clips are done, of how many."""


@dataclass(frozen=True)
class ExportReport:
    """What `export` wrote.

    the file.

    Args:
        out: The file or folder.
        format: Name of the format.
        clips: {protocol: (training clips, test clips)}.
        size: Bytes written.
        notes: What a reader of the file should know.
        warnings: What may be wrong with the file.
        seconds: Time that it took.
    """

    out: Path
    format: str
    clips: dict[str, tuple[int, int]]
    size: int  # bytes
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    seconds: float


def export(
    dataset: PreparedDataset,
    format: str,
    out: Path,
    protocol: str | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a prepared dataset in the format of another program, completely or not at all, in bounded memory.

    Args:
        dataset: The prepared dataset.
        format: One of `formats.FORMATS`.
        out: The file, or the folder if the format is one.
        protocol: The protocol whose train/test split is written. Default: None, all protocols of two parts, where a
            file can hold several.
        progress: Called with the task, the clips done, their total and a note. Default: None.
        overwrite: Whether to replace an existing file. Default: False.

    Returns:
        What was written.

    Raises:
        UsageError: A name is unknown, the format cannot hold the protocol, or the file exists already.
        StarsBenchError: The protocol takes no clip, or the disk is full.
    """
    started = time.perf_counter()
    chosen = format_of(format)
    named, out = out, _place(out, chosen.files(out), overwrite)
    files = chosen.files(out)
    splits = _splits(dataset, chosen, protocol)
    total = sum(len(parts[part]) for parts in splits.values() for part in PARTS)
    if not chosen.one_protocol:
        total = dataset.num_clips
    done = 0

    def tick(clips: int) -> None:
        nonlocal done
        done += clips
        if progress is not None:
            progress(done, total)

    try:
        notes = chosen.write(out, dataset, splits, tick)
    except OSError as error:
        raise not_written(out, error) from error
    return ExportReport(
        out=named,
        format=chosen.name,
        clips={name: (len(parts["train"]), len(parts["test"])) for name, parts in splits.items()},
        size=sum(file.stat().st_size for file in files),
        notes=(*_notes(dataset, chosen), *notes),
        warnings=tuple(_empty_parts(splits)),
        seconds=time.perf_counter() - started,
    )


def _place(out: Path, files: list[Path], overwrite: bool) -> Path:
    """The file or folder that is written; of a file that is a symbolic link, what it points to."""
    if files == [out]:
        return output_file(out, overwrite=overwrite)
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file; give the name of a folder")
    for file in files:
        if file.is_symlink():
            raise UsageError(f"{file}: is a symbolic link, which is not replaced; remove it or name another folder")
        output_file(file, overwrite=overwrite)
    return out


def _splits(dataset: PreparedDataset, format: Format, protocol: str | None) -> dict[str, Parts]:
    """Return {protocol: parts}, for one protocol or for all that take a clip of the dataset."""
    possible = two_part_protocols(dataset)
    if protocol is not None:
        spec = registry.load("protocols", protocol)
        if spec.name not in possible:
            reason = "has three parts" if dataset.has_protocol(spec) else f"is not for {dataset.name}"
            raise UsageError(f"{protocol} {reason}; these can be exported: {', '.join(possible)}")
        possible = {spec.name: spec}
    elif format.one_protocol:
        raise UsageError(f"a file of format {format.name} holds one protocol: --protocol {'|'.join(possible)}")
    splits = {name: parts_of(spec, dataset.table) for name, spec in possible.items()}
    taken = {name: parts for name, parts in splits.items() if any(len(parts[part]) for part in PARTS)}
    if protocol is not None and not taken:
        rule = possible[protocol].rule
        raise StarsBenchError(f"{dataset.name} {protocol}: no clip of the prepared data is in either part ({rule})")
    return taken


def _notes(dataset: PreparedDataset, format: Format) -> list[str]:
    notes = [f"holds the clips of profile {dataset.profile.name}: {dataset.profile.summary}"]
    if format.theirs != dataset.profile.name and format.theirs in dataset.spec.profiles:
        notes.append(f"the clips of {format.name}'s own files are those of profile {format.theirs}")
    return notes


def _empty_parts(splits: dict[str, Parts]) -> list[str]:
    return [
        f"{name}: no clip of the prepared data is in the {words} part: there it has length 0"
        for name, parts in splits.items()
        for part, words in (("train", "training"), ("test", "test"))
        if not len(parts[part])
    ]
