"""Features of clips on disk, by clip name: kept for the evaluations, protocols and runs that ask for them again.

Files are added whole and never changed, so that runs which extract at the same time cannot harm each other: a clip that
stands in two files has the same features in both, up to rounding. A file is FOLDER/features/KEY-CLIPS.npz with `names`
(N,) and `features` (N, D) float32; KEY is a digest of all that features depend on, CLIPS one of the names.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stars_bench.errors import StarsBenchError
from stars_bench.io.files import atomic_path, digest_lines
from stars_bench.io.run_folder import RunFolder


def read(file: Path) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Names (N,) and features (N, D) of a file.

    Raises:
        StarsBenchError: it cannot be read.
    """
    with _opened(file) as stored:
        return stored["names"], stored["features"]


@contextmanager
def _opened(file: Path) -> Iterator[Mapping[str, NDArray[Any]]]:
    """The arrays of a file; members are read, and their CRC-32 compared, as they are asked for."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            yield stored
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise StarsBenchError(f"{file}: damaged ({error}); delete it, and it is made again") from error


class FeatureFiles:
    """The features that are kept under a key.

    Args:
        folder: the run's own folder, which new files go into.
        key: file name up to the digest of names.
        reuse: whether files of other runs of the dataset under the same key count as well; default no.
    """

    def __init__(self, folder: RunFolder, key: str, reuse: bool = False) -> None:
        self.folder, self.key, self.reuse = folder, key, reuse

    def find(self, names: NDArray[np.str_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Features (N, D) of clips by name, and which of them are there (N,); D is 0 where none is.

        Raises:
            StarsBenchError: a file that cannot be read.
        """
        found, there = np.empty((len(names), 0), np.float32), np.zeros(len(names), bool)
        for file in self.folder.feature_files(self.key, everywhere=self.reuse):
            if there.all():
                break
            with _opened(file) as stored:
                rows = pd.Index(stored["names"]).get_indexer(pd.Index(names))
                new = (rows >= 0) & ~there
                if new.any():
                    features = stored["features"]
                    if not found.shape[1]:
                        found = np.zeros((len(names), features.shape[1]), np.float32)
                    found[new] = features[rows[new]]
            there |= new
        return found, there

    def add(self, names: NDArray[np.str_], features: NDArray[np.float32]) -> Path:
        """Keeps features (N, D) of clips."""
        file = self.folder.features / f"{self.key}-{digest_lines(names)[:8]}.npz"
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, names=names.astype(str), features=features)
        return file
