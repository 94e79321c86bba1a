"""How records are written and read: one file for every variant of every evaluation, in the `records` folder of a seed.

`io.run_folder` has the layout of runs.
"""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stars_bench.errors import StarsBenchError, reading
from stars_bench.io.files import path_part, write_json
from stars_bench.io.run_folder import RunFolder, run_folders
from stars_bench.io.sealed import refuse_odd
from stars_bench.records.record import SEALED_SINCE, Metric, Record, VariantOrder, content_digest, parse

LARGEST_RECORD = 64 << 20
"""Bytes: thousands of times what a record has."""


@dataclass(frozen=True)
class StoredRecord:
    """A record and the file that holds it.

    Attributes:
        record: The record.
        path: Its file; None for a record that was never written.
    """

    record: Record
    path: Path | None = None

    @property
    def folder(self) -> RunFolder | None:
        """The folder of its seed."""
        return None if self.path is None else RunFolder.of_record(self.path)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The record's numbers."""
        return self.record.metrics


class StoredRecords(NamedTuple):
    """All records below a runs folder.

    Attributes:
        stored: The records with their files, sorted.
        warnings: One line for each file that could not be read.
        edited: One line for each record that was changed after it was written; it is among the others.
    """

    stored: list[StoredRecord]
    warnings: list[str]
    edited: list[str]

    @property
    def records(self) -> list[Record]:
        """The records alone."""
        return [one.record for one in self.stored]


def with_path(records: Iterable[Record | StoredRecord]) -> list[StoredRecord]:
    """Return every record the same form; those without a file get the path None."""
    return [one if isinstance(one, StoredRecord) else StoredRecord(one) for one in records]


def located(records: Iterable[Record], runs_dir: Path) -> list[StoredRecord]:
    """Find the file of every record.

    Args:
        records: Records that were just written below the folder.
        runs_dir: The folder of runs.

    Returns:
        The records in their order; without a path where none of the files is the record.
    """
    found = []
    for record in records:
        place = (path_part(record.dataset.name), path_part(record.protocol.name), "*", "*", f"seed{record.seed}")
        pattern = "/".join(part if part == "*" else glob.escape(part) for part in (*place, "records", record.file_name))
        same = (path for path in sorted(runs_dir.glob(pattern)) if _is_in(path, record))
        found.append(StoredRecord(record, next(same, None)))
    return found


def _is_in(path: Path, record: Record) -> bool:
    try:
        return read_record(path) == record
    except StarsBenchError:
        return False


def write_record(folder: RunFolder, record: Record) -> Path:
    """Write a record whole or not at all into the folder of its seed; return its path."""
    path = folder.records / record.file_name
    write_json(path, record.sealed().model_dump(mode="json"))
    return path


def read_record(path: Path) -> Record:
    """Return one record.

    Raises:
        StarsBenchError: The file cannot be read or is no record; one line that names it.
    """
    return parse(_text(path), str(path))


def edited(path: Path, record: Record) -> str:
    """Say in one line that a record was changed after it was written; empty where it was not.

    Args:
        path: The record's file.
        record: What `read_record` gives for it.

    Raises:
        StarsBenchError: The file cannot be read.
    """
    if record.self_digest is None:
        missing = record.schema_version >= SEALED_SINCE
        return f"{path}: was edited after it was written (its own checksum is gone)" if missing else ""
    if record.schema_version < SEALED_SINCE:
        return f"{path}: was edited after it was written (schema {record.schema_version} has no checksum)"
    same = content_digest(json.loads(_text(path))) == record.self_digest
    return "" if same else f"{path}: was edited after it was written (its own checksum does not match)"


def _text(path: Path) -> str:
    try:
        refuse_odd(path, LARGEST_RECORD)
        with reading(path):
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StarsBenchError(f"{path}: cannot be read ({error})") from error


def read_records(folder: Path) -> StoredRecords:
    """Read all records at or below a folder: of all runs, a dataset, a protocol, a method, a run or a seed.

    A file that cannot be read becomes a warning. A folder that does not exist has no records.
    """
    found = StoredRecords([], [], [])
    for path in record_files(folder):
        try:
            record = read_record(path)
            found.edited.extend(filter(None, [edited(path, record)]))
            found.stored.append(StoredRecord(record, path))
        except StarsBenchError as error:
            found.warnings.append(str(error))
    found.stored.sort(key=lambda one: _order(one.record))
    return found


def record_files(folder: Path) -> list[Path]:
    """Return the files of all records at or below a folder, by path."""
    return [path for run in run_folders(folder) for path in run.record_files()]


def to_frame(records: Sequence[Record]) -> pd.DataFrame:
    """Make a tidy frame: one row per record and metric.

    Args:
        records: In any order; rows keep it.

    Returns:
        The columns of `_FRAME_TYPES`, which are always there; then a column for every setting of the method, the
        evaluation and the protocol (`method.lr`, `evaluation.k`, `protocol.novel_classes`), missing where a record
        has no such setting. Of an evaluation's variants (k = 1, 2, 5) each row has its own. Integers, numbers, truth
        values and texts have pandas' nullable types; lists, and settings of several types, are JSON texts.
    """
    rows = [_frame_row(record, metric) for record in records for metric in record.metrics]
    frame = pd.DataFrame(rows, columns=list(_FRAME_TYPES)).astype(_FRAME_TYPES)
    settings = [of_record for record in records for of_record in [_settings(record)] * len(record.metrics)]
    names = sorted(dict.fromkeys(name for row in settings for name in row), key=lambda name: _PARTS[name.split(".")[0]])
    columns = {name: _setting_column([row.get(name) for row in settings]) for name in names}
    return pd.concat([frame, pd.DataFrame(columns, index=frame.index)], axis=1)


_PARTS = {"method": 0, "evaluation": 1, "protocol": 2}
"""The order of the columns of settings; those of one part stand as the records have them."""
_FRAME_TYPES = {
    "dataset": "string",
    "profile": "string",
    "stream": "string",
    "protocol": "string",
    "validation": "string",
    "method": "string",
    "recipe": "string",
    "preset": "string",
    "parameters": "int64",
    "multiply_adds": "Int64",
    "init": "string",
    "evaluation": "string",
    "settings": "string",
    "checkpoint_rule": "string",
    "seed": "int64",
    "metric": "string",
    "value": "float64",
    "unit": "string",
    "clips": "int64",
    "low": "float64",
    "high": "float64",
    "sampled": "string",
    "clusters": "Int64",
    "design_effect": "Float64",
    "complete": "bool",
    "marks": "string",
    "train_seconds": "float64",
    "device": "string",
    "precision": "string",
    "version": "string",
    "commit": "string",
    "dirty": "boolean",
    "data_digest": "string",
    "started": "string",
    "finished": "string",
    "command": "string",
}


def _frame_row(record: Record, metric: Metric) -> dict[str, object]:
    low, high = metric.interval or (None, None)
    sampled = metric.sampled
    return {
        "dataset": record.dataset.name,
        "profile": record.dataset.profile,
        "stream": record.dataset.stream,
        "protocol": record.protocol.name,
        "validation": record.protocol.validation,
        "method": record.method.name,
        "recipe": record.method.recipe or "common",
        "preset": record.method.preset,
        "parameters": record.method.parameters,
        "multiply_adds": record.method.multiply_adds,
        "init": record.init.path if record.init is not None else None,
        "evaluation": record.evaluation.name,
        "settings": json.dumps(record.evaluation.settings, sort_keys=True),
        "checkpoint_rule": record.evaluation.checkpoint_rule,
        "seed": record.seed,
        "metric": metric.name,
        "value": metric.value,
        "unit": metric.unit,
        "clips": metric.n,
        "low": low,
        "high": high,
        "sampled": None if sampled is None else sampled.unit,
        "clusters": None if sampled is None else sampled.interval.clusters,
        "design_effect": None if sampled is None else sampled.interval.design_effect,
        "complete": record.complete,
        "marks": "; ".join(record.marks),
        # A reused stage was paid for by the run that made it; its recorded seconds are still what it costs.
        "train_seconds": sum(stage.seconds for stage in record.stages),
        "device": record.environment.device,
        "precision": record.environment.precision,
        "version": record.code.version,
        "commit": record.code.commit,
        "dirty": record.code.dirty,
        "data_digest": record.dataset.digest,
        "started": record.started,
        "finished": record.finished,
        "command": record.command,
    }


def _settings(record: Record) -> dict[str, Any]:
    """Return every setting that decided a record, by the name of its column."""
    evaluation = record.evaluation.config | record.evaluation.settings
    parts = {"method": record.method.config, "evaluation": evaluation, "protocol": record.protocol.config}
    return flat(parts)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested mappings as one, with names joined by dots: {"a": {"b": 1}} as {"a.b": 1}."""
    flattened: dict[str, Any] = {}
    for name, value in values.items():
        flattened |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flattened


def _setting_column(values: Sequence[Any]) -> pd.api.extensions.ExtensionArray:
    """Return values of one setting, None where a record has none, as the narrowest type that all of them have."""
    kinds = {type(value) for value in values if value is not None}
    small = all(abs(value) < 2**63 for value in values if type(value) is int)
    if kinds == {bool}:
        return pd.array(values, dtype="boolean")
    if kinds == {int} and small:
        return pd.array(values, dtype="Int64")
    if kinds and kinds <= {int, float} and small:
        return pd.array([None if value is None else float(value) for value in values], dtype="Float64")
    texts = [
        value if value is None or isinstance(value, str) else json.dumps(value, sort_keys=True) for value in values
    ]
    return pd.array(texts, dtype="string")


def _order(record: Record) -> tuple[str, str, str, VariantOrder, int, str]:
    place = record.dataset.name, record.protocol.name, record.method.name
    return (*place, record.evaluation.order, record.seed, record.started)
