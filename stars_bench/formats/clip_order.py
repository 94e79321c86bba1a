"""The order of clips in the files of other programs, and the names that follow from it.

CTR-GCN's preparation, which MAMP and STARS use, walks the performers of each part (x-sub), the cameras (x-view) or the
setups (x-set) in ascending order and takes their clips by name. PKU-MMD's preparation (MAMP) walks the videos in the
order of the file system, which is not defined. Here the videos come by name, and the clips of a video by label row, as
in MAMP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stars_bench import registry
from stars_bench.api import DatasetSpec, NameFacts, ProtocolSpec
from stars_bench.errors import UsageError
from stars_bench.formats.base import Parts

if TYPE_CHECKING:
    import pandas as pd

    from stars_bench.storage.shards import PreparedDataset

GROUPED_BY = {"xsub": "subject", "xview": "camera", "xset": "setup"}
LAST_NUMBER = re.compile(r"(.*?)(\d*)")


def table_of(facts: Mapping[str, NameFacts]) -> pd.DataFrame:
    """Make a clip table from names alone: name, item, subject, camera, setup, replication, label."""
    import pandas as pd

    return pd.DataFrame(list(facts.values()), columns=NameFacts._fields).assign(name=list(facts))


def two_part_protocols(dataset: DatasetSpec | PreparedDataset) -> dict[str, ProtocolSpec]:
    """Return the protocols of a dataset that have exactly a training and a test part, by name."""
    specs = [registry.load("protocols", name) for name in registry.names("protocols")]
    return {spec.name: spec for spec in specs if dataset.has_protocol(spec) and has_two_parts(spec)}


def has_two_parts(protocol: ProtocolSpec) -> bool:
    """Return whether a protocol has exactly a training and a test part."""
    return not protocol.expected_bank and not protocol.Config


def of_folder(path: Path, spec: DatasetSpec, names: Iterable[str]) -> ProtocolSpec | None:
    """Return the protocol whose parts the folders of a dataset hold; None where the clips' names say who trains.

    Args:
        path: The folder, for the message.
        spec: The dataset.
        names: Names of the clips.

    Raises:
        UsageError: The names do not say it, and the dataset has several protocols.
    """
    if not spec.ships_splits and (not spec.protocols or (spec.splits is not None and _say_all(spec, names))):
        return None
    known = two_part_protocols(spec)
    if len(known) == 1:
        return next(iter(known.values()))
    raise UsageError(
        f"{path}: which protocol of {spec.name} is it? Say --protocol {'|'.join(known)} (its clips' names do not tell)"
    )


def _say_all(spec: DatasetSpec, names: Iterable[str]) -> bool:
    """Return whether names say the class, and with it all that the dataset's rule goes by."""
    for name in names:
        try:
            if spec.read_name is None or spec.read_name(name).label is None:
                return False
        except ValueError:  # none of the dataset: told later
            continue
    return True


def parts_of(protocol: ProtocolSpec, table: pd.DataFrame) -> Parts:
    """Return the clip numbers of both parts in the published order; a part may be empty, unlike in `make_split`."""
    split = protocol.split(table)
    by_file = f"official_{protocol.name}" in table
    key = None if by_file else GROUPED_BY.get(protocol.name)
    return {"train": _ordered(table, split.train, key), "test": _ordered(table, split.test, key)}


def _ordered(table: pd.DataFrame, rows: NDArray[np.int64], group: str | None) -> NDArray[np.int64]:
    names = table["name"].to_numpy()[rows]
    groups = table[group].to_numpy()[rows] if group is not None else np.zeros(len(rows), np.int64)
    order = sorted(range(len(rows)), key=lambda i: (groups[i], *_natural(str(names[i]))))
    return np.asarray(rows, np.int64)[order]


def _natural(name: str) -> tuple[str, int]:
    """Return a sort key by which `0002-L_10` comes after `0002-L_9`."""
    match = LAST_NUMBER.fullmatch(name)
    assert match is not None
    return match[1], int(match[2] or 0)


def published_names(spec: DatasetSpec, protocol: ProtocolSpec) -> dict[str, list[str]] | None:
    """Return the names of the clips of each part of the complete dataset, in the published order; None if unknown."""
    if spec.expected_names is None or spec.read_name is None or protocol.name not in GROUPED_BY:
        return None
    table = table_of({name: spec.read_name(name) for name in spec.expected_names()})
    names = table["name"].to_numpy()
    return {part: list(names[rows]) for part, rows in parts_of(protocol, table).items()}
