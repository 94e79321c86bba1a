"""check_protocol: test whether a split is valid: disjoint parts that depend on the clips and not on their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from stars_bench import registry
from stars_bench.api import ProtocolSpec, Split
from stars_bench.datasets.ntu import NTU60_SETUPS, expected_names
from stars_bench.datasets.parsing.ntu import parse_name
from stars_bench.errors import StarsBenchError, one_line
from stars_bench.protocols.splits import compute_split, make_split
from stars_bench.testing.faults import Tell, collected

NUMBERS = ("setup", "camera", "subject", "replication", "label")
EVERY = 7  # of NTU-120's clips one in so many is in the sample on which rules are tried


def check_protocol(protocol: ProtocolSpec | str, tables: Mapping[str, pd.DataFrame] | None = None) -> None:
    """Check a protocol: valid row numbers, disjoint parts, the same split in any order and for any part of the clips.

    Args:
        protocol: The spec, a registered name or "module:SPEC".
        tables: {dataset: clip table} of complete datasets, whose `expected` counts must come out
            (`PreparedDataset.table`, or columns name, label, subject, camera, setup, replication). Default: the names
            of NTU RGB+D 60 and 120 if the protocol is for them, else synthetic ones.

    Raises:
        NotConforming: The protocol has faults; `faults` has one line for each.
    """
    spec: ProtocolSpec = registry.load("protocols", protocol) if isinstance(protocol, str) else protocol
    with collected(str(getattr(spec, "name", spec))) as tell:
        if not isinstance(spec, ProtocolSpec):
            tell("is not a stars_bench.api.ProtocolSpec")
            return
        _check_facts(spec, tell)
        complete = dict(tables) if tables is not None else _named(spec)
        for table in complete.values() or [ntu_table("ntu120").iloc[::EVERY].reset_index(drop=True)]:
            if not _check_rule(spec, table, tell):
                return
        for dataset, table in complete.items():
            try:
                make_split(spec, dataset, table, complete=True)
            except StarsBenchError as error:
                tell(f"counts: {one_line(error)}")


def ntu_table(dataset: str) -> pd.DataFrame:
    """Return the clip table of a complete NTU RGB+D 60 or 120, without coordinates."""
    names = expected_names("ntu120")
    table = pd.DataFrame([parse_name(name) for name in names], columns=list(NUMBERS)).assign(name=names)
    table["label"] -= 1
    if dataset == "ntu60":
        table = table[table["setup"] <= NTU60_SETUPS]
    return table.sort_values("name", ignore_index=True)


def _named(spec: ProtocolSpec) -> dict[str, pd.DataFrame]:
    return {dataset: ntu_table(dataset) for dataset in ("ntu60", "ntu120") if dataset in spec.datasets}


def _check_facts(spec: ProtocolSpec, tell: Tell) -> None:
    for field in ("name", "title", "rule"):
        value = getattr(spec, field)
        if not isinstance(value, str) or not value or "\n" in value:
            tell(f"{field} must be one line")
    if not spec.datasets:
        tell("datasets is empty: name those that the rule is for")
    if spec.held_out is not None and spec.held_out not in NUMBERS:
        tell(f"held_out is {spec.held_out!r}, not a column of the clip table ({', '.join(NUMBERS)})")
    if unknown := [name for name in spec.evaluations if name not in registry.names("evaluations")]:
        tell(f"there is no evaluation {unknown[0]!r}")


def _check_rule(spec: ProtocolSpec, table: pd.DataFrame, tell: Tell) -> bool:
    """Return whether the split of a table is valid; report why not."""
    given = table.copy(deep=True)
    try:
        split: Any = compute_split(spec, given)
    except Exception as error:
        tell(f"split failed ({one_line(error)})")
        return False
    if not given.equals(table):
        tell("split changes the clip table: work on a copy")
        return False
    if fault := _fault_of(split, len(table)):
        tell(fault)
        return False
    names = _names(split, table)
    rng = np.random.default_rng(0)
    shuffled = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
    if (others := _split_again(spec, shuffled, "in another order", tell)) is None:
        return False
    if others != names:
        tell("the split depends on the order of the clips: decide by their columns")
        return False
    part = table[rng.random(len(table)) < 0.5].reset_index(drop=True)
    there = set(part["name"])
    if (others := _split_again(spec, part, "when others are not there", tell)) is None:
        return False
    if others != {key: value & there for key, value in names.items()}:
        tell("a clip changes its part when others are not there: decide by each clip's own columns")
        return False
    return True


def _split_again(spec: ProtocolSpec, table: pd.DataFrame, how: str, tell: Tell) -> dict[str, set[str]] | None:
    """Return the clips of each part of a split of other clips; report why there is none."""
    try:
        return _names(compute_split(spec, table), table)
    except Exception as error:
        tell(f"split failed on clips {how} ({one_line(error)})")
        return None


def _fault_of(split: Any, clips: int) -> str | None:
    if not isinstance(split, Split):
        return f"split gives a {type(split).__name__}, not a stars_bench.api.Split"
    parts = _parts(split)
    for name, rows in parts.items():
        if not isinstance(rows, np.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
            return f"{name} must be row numbers (N,) int64 (np.flatnonzero gives them)"
        if not len(rows):
            return f"{name} is empty"
        if rows.min() < 0 or rows.max() >= clips:
            return f"{name} has the row {rows.max() if rows.max() >= clips else rows.min()}; there are 0..{clips - 1}"
        if (np.diff(rows) <= 0).any():
            return f"{name} is not ascending, or has a row twice"
    for one, other in (("train", "test"), ("bank", "test"), ("train", "bank")):
        if one in parts and other in parts and (shared := np.intersect1d(parts[one], parts[other])).size:
            return f"{shared.size} clips are in both {one} and {other}, as row {shared[0]}"
    return None


def _parts(split: Split) -> dict[str, np.ndarray]:
    parts = {"train": split.train, "test": split.test, "bank": split.bank}
    return {name: rows for name, rows in parts.items() if rows is not None}


def _names(split: Split, table: pd.DataFrame) -> dict[str, set[str]]:
    return {name: set(table["name"].iloc[rows]) for name, rows in _parts(split).items()}
