"""Raw files of a dataset as clips, without preparing them: for `predict` and `view`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stars_bench.api import Clip, DatasetSpec, Profile, SetAside
from stars_bench.datasets.parsing.numbers import ParseError
from stars_bench.datasets.raw_files import sources
from stars_bench.datasets.raw_files.survey import what_lies_there
from stars_bench.errors import StarsBenchError, UsageError


@dataclass(frozen=True)
class Recording:
    """What was read for a clip.

    Args:
        name: The clip, as it was asked for.
        bodies: (M, F, V, 3), as stored.
        label: Its class (0-based). Default: None, unknown.
        picture: Height and width of the picture, of bodies in pixels. Default: None.
    """

    name: str
    bodies: NDArray[np.float32]
    label: int | None = None
    picture: tuple[int, int] | None = None


def recordings(spec: DatasetSpec, path: Path, profile: Profile) -> list[Recording]:
    """Return the recordings of a described dataset that a file, folder or archive holds, in the order of their names.

    A file whose name is not one of the dataset's is a recording of no known class.

    Args:
        spec: A dataset with `read_file`.
        path: The file, folder or archive.
        profile: How clips are cleaned.

    Raises:
        UsageError: No file of the dataset is there.
        StarsBenchError: A file is damaged.
    """
    assert spec.read_file is not None
    try:
        found = spec.find([path])
        if not found.items and path.is_file() and path.suffix.lower() != ".zip":
            return [Recording(str(path), spec.read_file(path.read_bytes(), profile))]
        clips = [
            one
            for item in found.items
            for one in spec.convert(
                item, {role: sources.read(source) for role, source in item.sources.items()}, profile
            )
        ]
    except ParseError as error:
        raise StarsBenchError(f"{path}:{error.line}: {error.reason}") from error
    except ValueError as error:
        raise StarsBenchError(f"{path}: {error}") from error
    if not clips:
        raise UsageError(f"{path}: no file of {spec.name} is there: {what_lies_there([path])}")
    if aside := [one for one in clips if isinstance(one, SetAside)]:
        raise StarsBenchError(f"{aside[0].where}: {aside[0].reason}")
    return [Recording(one.name, one.bodies, one.label, one.picture) for one in clips if isinstance(one, Clip)]
