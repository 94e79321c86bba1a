"""The folders of data and runs, as `stars-bench doctor` checks them: writable, room, speed, locks, and content."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import psutil

from stars_bench.errors import cause
from stars_bench.inspection.finding import Finding
from stars_bench.io.files import flush_to_disk, lock_fault
from stars_bench.records import store
from stars_bench.storage.shards import left_out, prepared_datasets

GIB = 1 << 30
MIB = 1 << 20
FREE = {"data": 20 * GIB, "runs": 5 * GIB}
"""Bytes that prepared NTU RGB+D 120, and the runs of a paper's table, need at least."""
LEAST = GIB // 2
"""Bytes free below which nothing can be done."""
CHUNK = 4 * MIB
MOST = 64 * MIB
SECONDS = 0.7
"""How long, and how much, is written and read to measure a disk."""
SLOW = 50.0
"""MiB a second below which a disk is the slowest part of preparing and of loading."""


def examine(data_dir: Path, runs_dir: Path) -> Iterator[Finding]:
    """Yield how the two folders stand, the disk that each is on once, and what they hold."""
    measured: set[int] = set()
    for name, folder in (("data", data_dir), ("runs", runs_dir)):
        there = existing(folder)
        room = _room(name, folder, there)
        yield room
        device = there.stat().st_dev
        if room.state == "problem" or device in measured:
            continue
        measured.add(device)
        yield from _disk(name, there)
    yield from _data(data_dir)
    yield from _runs(runs_dir)


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest above that is there."""
    return next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())


def _room(name: str, folder: Path, there: Path) -> Finding:
    """Return whether a folder can be written, now or once it is made, and how much room there is."""
    other = f"give another folder with --{name}-dir, or make this one writable"
    if not there.is_dir():
        return Finding(
            name, "problem", f"{folder}: {there} is a file, not a folder", f"name a folder with --{name}-dir"
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            free = shutil.disk_usage(there).free
    except OSError as error:
        return Finding(name, "problem", f"{folder} cannot be written ({cause(error)})", other)
    text = f"{folder.absolute()}, {free / GIB:.1f} GiB free" + ("" if folder.exists() else ", not made yet")
    if free < FREE[name]:
        need = f"{FREE[name] / GIB:.0f} GiB or more"
        remedy = f"make room ({need}), or name a folder on another disk with --{name}-dir"
        return Finding(name, "problem" if free < LEAST else "warning", text, remedy)
    return Finding(name, "OK", text)


def _disk(name: str, folder: Path) -> Iterator[Finding]:
    """Yield the speed of a disk, and whether its locks hold."""
    kind = _file_system(folder)
    try:
        written, read = _speed(folder)
    except OSError as error:
        yield Finding(f"disk of {name}", "problem", f"{kind}: a test file failed ({cause(error)})", "use another disk")
        return
    text = f"{kind}, writes {written:,.0f} MiB/s, reads {read:,.0f} MiB/s"
    slow = min(written, read) < SLOW
    remedy = f"keep the folder on a local disk: --{name}-dir" if slow else ""
    yield Finding(f"disk of {name}", "warning" if slow else "OK", text, remedy)
    fault = lock_fault(folder)
    if fault is None:
        yield Finding(f"locks of {name}", "OK", "two commands cannot write the same files at once")
    else:
        remedy = f"do not start two commands on the same dataset or run at once, or move --{name}-dir to a local disk"
        yield Finding(f"locks of {name}", "warning", fault, remedy)


def _file_system(folder: Path) -> str:
    """Return the kind of a folder's file system, such as "ext4" or "nfs4"."""
    best, kind = -1, "file system of unknown kind"
    with suppress(OSError, psutil.Error):
        for mount in psutil.disk_partitions(all=True):
            point = Path(mount.mountpoint)
            if mount.fstype and folder.resolve().is_relative_to(point) and len(point.parts) >= best:
                best, kind = len(point.parts), mount.fstype
    return kind


def _speed(folder: Path) -> tuple[float, float]:
    """Write and read a temporary file for a fraction of a second each.

    Returns:
        MiB a second written, on the disk and not in memory, and read, from the disk where the system allows that.
    """
    with tempfile.TemporaryFile(dir=folder) as stream:
        block = os.urandom(CHUNK)
        start, size = time.monotonic(), 0
        while size < MOST and time.monotonic() - start < SECONDS:
            size += stream.write(block)
            flush_to_disk(stream)
        written = size / MIB / max(time.monotonic() - start, 1e-6)
        _forget(stream)
        stream.seek(0)
        start, size = time.monotonic(), 0
        while (part := len(stream.read(CHUNK))) and time.monotonic() - start < SECONDS:
            size += part
        return written, size / MIB / max(time.monotonic() - start, 1e-6)


def _forget(stream: BinaryIO) -> None:
    """Ask the system to keep nothing of a file in memory, so that it is read from the disk."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _data(folder: Path) -> Iterator[Finding]:
    prepared = prepared_datasets(folder) if folder.is_dir() else []
    for dataset in prepared:
        whole = "complete" if dataset.complete else "partial"
        text = f"{dataset.profile.name}, {dataset.num_clips:,} clips, {whole}"
        gone = [shard.name for shard in dataset.shards if not shard.exists()]
        if gone:
            again = f"stars-bench prepare {dataset.name} --profile {dataset.profile.name} --force"
            yield Finding(f"dataset {dataset.name}", "problem", f"{text}; {gone[0]} is gone", again)
        else:
            yield Finding(f"dataset {dataset.name}", "OK", text)
    unread = left_out(folder)
    for index, why in unread.items():
        yield Finding(f"dataset {index.parent.parent.name}", "problem", why)
    if not prepared and not unread:
        remedy = "stars-bench prepare, or stars-bench quickstart; --data-dir names another folder"
        yield Finding("datasets", "warning", f"none prepared in {folder}", remedy)


def _runs(folder: Path) -> Iterator[Finding]:
    stored = store.read_records(folder)
    yield Finding("records", "OK", f"{len(stored.records):,} in {folder}")
    for line in stored.warnings:
        yield Finding("records", "problem", line)
