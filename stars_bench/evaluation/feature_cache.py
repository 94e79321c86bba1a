"""Features of clips on disk, by clip name: kept for the evaluations, protocols and runs that ask for them again.

Files are added whole and never changed, so that runs which extract at the same time cannot harm each other: a clip that
stands in two files has the same features in both, up to rounding. A file is FOLDER/features/KEY-CLIPS.npz with `key`,
`names` (N,) and `features` (N, D) float32; KEY is a digest of all that features depend on, CLIPS one of the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stars_bench.errors import StarsBenchError, disk_failed
from stars_bench.io.files import atomic_path, digest_lines
from stars_bench.io.run_folder import RunFolder
from stars_bench.io.sealed import Damaged, keep_away, seal
from stars_bench.io.untrusted.npy import opened_npz


def read(file: Path) -> tuple[NDArray[np.str_], NDArray[np.float32]]:
    """Return names (N,) and features (N, D) of a file.

    Raises:
        StarsBenchError: It cannot be read.
    """
    try:
        with opened_npz(file) as stored:
            _check_key(file, stored)
            return stored["names"], stored["features"]
    except KeyError as error:
        raise Damaged(f"{file}: damaged: no file of features ({error} is missing)") from error


def _check_key(file: Path, stored: Mapping[str, NDArray[Any]]) -> None:
    """Raise Damaged for a file that was given another's name; files of older versions hold no key."""
    key = file.stem.rpartition("-")[0]
    if "key" in stored and str(stored["key"]) != key:
        raise Damaged(f"{file}: damaged: holds features of {stored['key']!s:.80}, not those that its name says")


class FeatureFiles:
    """The features that are kept under a key.

    Args:
        folder: The run's own folder, which new files go into.
        key: File name up to the digest of names.
        reuse: Whether files of other runs of the dataset under the same key count as well; default no.
        tell: Called with a line for each damaged file; default None.
    """

    def __init__(
        self, folder: RunFolder, key: str, reuse: bool = False, tell: Callable[[str], None] | None = None
    ) -> None:
        self.folder, self.key, self.reuse, self.tell = folder, key, reuse, tell

    def find(self, names: NDArray[np.str_]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return features (N, D) of clips by name, and which of them are there (N,); D is 0 where none is.

        A damaged file is passed over, and set aside if it is this run's own.

        Raises:
            StarsBenchError: The disk fails.
        """
        found, there = np.empty((len(names), 0), np.float32), np.zeros(len(names), bool)
        for file in self.folder.feature_files(self.key, everywhere=self.reuse):
            if there.all():
                break
            try:
                with opened_npz(file, sealed=True) as stored:
                    _check_key(file, stored)
                    rows = pd.Index(stored["names"]).get_indexer(pd.Index(names))
                    new = (rows >= 0) & ~there
                    if new.any():
                        features = stored["features"]
                        if not found.shape[1]:
                            found = np.zeros((len(names), features.shape[1]), np.float32)
                        found[new] = features[rows[new]]
            except (StarsBenchError, KeyError) as error:
                if disk_failed(error.__cause__):
                    raise
                own = file.parent == self.folder.features
                line = keep_away(file, own) if isinstance(error, (Damaged, KeyError)) else str(error)
                if self.tell:
                    self.tell(f"features: {line}")
                continue
            there |= new
        return found, there

    def add(self, names: NDArray[np.str_], features: NDArray[np.float32]) -> Path:
        """Keep features (N, D) of clips."""
        file = self.folder.features / f"{self.key}-{digest_lines(names)[:8]}.npz"
        with atomic_path(file) as temporary, temporary.open("w+b") as stream:
            np.savez(stream, allow_pickle=False, key=self.key, names=names.astype(str), features=features)
            seal(stream)
        return file
