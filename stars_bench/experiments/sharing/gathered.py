"""Results from several places: folders of runs, packs, and folders of packs, as one set of records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from stars_bench.errors import StarsBenchError, UsageError
from stars_bench.experiments.sharing.unpack import unpack
from stars_bench.records.store import StoredRecord, StoredRecords, read_records

SUFFIX = ".zip"


@dataclass(frozen=True)
class Gathered:
    """Where results lie.

    Args:
        folders: Folders of runs; the last holds what was unpacked.
        refused: One line for each pack that was not unpacked. Default: none.
    """

    folders: tuple[Path, ...]
    refused: list[str] = field(default_factory=list)

    def records(self) -> StoredRecords:
        """Return all records, each once.

        A record that two places have with other numbers is taken from the first; a warning says so.
        """
        together = StoredRecords([], list(self.refused), [])
        first: dict[tuple[str, ...], StoredRecord] = {}
        for found in map(read_records, self.folders):
            together.warnings.extend(found.warnings)
            together.edited.extend(found.edited)
            for one in found.stored:
                kept = first.setdefault(_identity(one), one)
                if kept is one:
                    together.stored.append(one)
                elif kept.metrics != one.metrics:
                    together.warnings.append(f"{one.path}: has other numbers than {kept.path}, which is shown")
        return together


def _identity(one: StoredRecord) -> tuple[str, ...]:
    record, key = one.record, "" if one.folder is None else one.folder.run.name
    place = record.dataset.name, record.protocol.name, record.method.name
    return (*place, key, str(record.seed), record.file_name)


@contextmanager
def gathered(places: Sequence[Path]) -> Iterator[Gathered]:
    """Unpack all packs until the block ends.

    Args:
        places: Folders of runs, packs, and folders with packs in them.

    Raises:
        UsageError: There is no such file or folder.
    """
    if gone := [place for place in places if not place.exists()]:
        raise UsageError(f"{gone[0]}: there is no such folder of runs, and no such pack")
    with TemporaryDirectory(prefix="stars-bench-packs-") as scratch:
        folders = [place for place in places if place.is_dir()]
        found = Gathered((*folders, Path(scratch)))
        for pack in packs(places):
            try:
                unpack(pack, Path(scratch))
            except StarsBenchError as error:
                found.refused.append(str(error))
        yield found


def packs(places: Sequence[Path]) -> list[Path]:
    """Return the packs among files, and in folders, by name."""
    return [pack for place in places for pack in (sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place])]
