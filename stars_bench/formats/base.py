"""What a format's writer takes and what its reader gives; the formats themselves are one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import AbsentBody, DatasetSpec, ProtocolSpec, SetAside
from stars_bench.storage.shards import PreparedDataset

PARTS = ("train", "test")

Parts = Mapping[str, NDArray[np.int64]]
"""{"train": clip numbers, "test": ...}, in the published order."""
Tick = Callable[[int], None]
"""Called with how many clips were done since the last call."""


@dataclass(frozen=True)
class NamedClip:
    """One clip of a file: its name, its label (0-based) and its bodies (M, F, V, 3) float32, metres."""

    name: str
    label: int
    bodies: NDArray[np.float32]


@dataclass(frozen=True)
class Incoming:
    """What a reader found in a file.

    Args:
        clips: read one by one, once.
        total: how many.
        stated: {protocol: {part: names}}, the train/test splits that the file states.
        absent_body: what its fixed size puts for a missing body.
        summary: what kind of clips these are.
        digest: tells the same file from another one.
        unnamed: whether the file has no names, so that placeholders stand for them.
        notes: what the user must know of how the file was read.
    """

    clips: Iterable[NamedClip | SetAside]
    total: int
    stated: Mapping[str, Mapping[str, Sequence[str]]]
    absent_body: AbsentBody
    summary: str
    digest: str
    unnamed: bool = False
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Format:
    """A format of other programs.

    Args:
        files: what `write` makes, given --out.
        one_protocol: a file holds one protocol.
        theirs: the profile whose clips their own files hold.
    """

    name: str
    summary: str
    theirs: str
    one_protocol: bool
    recognises: Callable[[Path], bool]
    read: Callable[[Path, DatasetSpec, ProtocolSpec | None], Incoming]
    write: Callable[[Path, PreparedDataset, Mapping[str, Parts], Tick], list[str]]
    files: Callable[[Path], list[Path]]
