"""What a format's writer takes and what its reader gives; the formats themselves are one file each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import AbsentBody, DatasetSpec, ProtocolSpec, SetAside
from stars_bench.storage.pictures import SCORE, normalised
from stars_bench.storage.read_clips import bodies_of
from stars_bench.storage.shards import PreparedDataset

PARTS = ("train", "test")
NORMALISED = (
    "poses in pixels are normalised as methods get them, (x - w/2) / (w/2) and y alike: this format has no place for "
    "the picture's size; pyskl keeps pixels"
)

Parts = Mapping[str, NDArray[np.int64]]
"""{"train": clip numbers, "test": ...}, in the published order."""
Tick = Callable[[int], None]
"""Called with how many clips were done since the last call."""


def as_methods_get(dataset: PreparedDataset, clips: NDArray[np.int64]) -> Iterator[NDArray[np.float32]]:
    """Yield bodies (M, F, V, 3) of the clips with these numbers, for formats without a place for a picture's size.

    Poses in pixels are normalised: without the size nobody could do it later.
    """
    for row, bodies in zip(clips.tolist(), bodies_of(dataset, clips), strict=True):
        picture = dataset.picture(row)
        if picture is not None:
            bodies[..., :SCORE] = normalised(bodies, *picture)
        yield bodies


def note_of_pixels(dataset: PreparedDataset) -> list[str]:
    """Return a note on poses that `as_methods_get` changes."""
    return [NORMALISED] if "height" in dataset.table else []


@dataclass(frozen=True)
class NamedClip:
    """One clip of a file.

    Args:
        name: Name of the clip.
        label: 0-based class.
        bodies: (M, F, V, 3) float32, metres.
        picture: Height and width of the picture, of bodies in pixels. Default: None.
    """

    name: str
    label: int
    bodies: NDArray[np.float32]
    picture: tuple[int, int] | None = None


@dataclass(frozen=True)
class Incoming:
    """What a reader found in a file.

    Args:
        clips: Read one by one, once.
        total: Number of clips.
        stated: {protocol: {part: names}}, the train/test splits that the file states.
        absent_body: What the fixed size of the file has for a missing body.
        summary: What kind of clips these are.
        digest: Checksum that tells the file from another one.
        unnamed: Whether the file has no names, so that placeholders stand for them. Default: False.
        notes: What the user must know about how the file was read. Default: none.
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
    """A format of another program.

    Args:
        name: Name on the command line.
        summary: The format in one line.
        theirs: The profile whose clips the program's own files hold.
        one_protocol: Whether a file holds exactly one protocol.
        recognises: Whether a path looks like this format.
        read: From a path, the dataset and the protocol (or None) to the clips.
        write: Writes a file from a path, the dataset, the parts by protocol and a progress callback; returns notes.
        files: The files that `write` makes for a path.
    """

    name: str
    summary: str
    theirs: str
    one_protocol: bool
    recognises: Callable[[Path], bool]
    read: Callable[[Path, DatasetSpec, ProtocolSpec | None], Incoming]
    write: Callable[[Path, PreparedDataset, Mapping[str, Parts], Tick], list[str]]
    files: Callable[[Path], list[Path]]
