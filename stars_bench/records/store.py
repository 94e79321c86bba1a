"""Where runs live, and how their records are written and read.

    runs/DATASET/PROTOCOL/METHOD/KEY/seedN/{config.toml, log.jsonl, stages/, features/, predictions/, records/}

KEY is a short digest of what decides the run; one record lies in records/ for every variant of every evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stars_bench.errors import StarsBenchError
from stars_bench.io.files import path_part, write_json
from stars_bench.records.record import Metric, Record, VariantOrder, parse

RECORDS_PATTERN = "*/*/*/*/seed*/records/*.json"


@dataclass(frozen=True)
class StoredRecord:
    """A record and the file that holds it.

    Attributes:
        record: the record.
        path: its file in the `records` folder of a seed; None for a record that was never written.
    """

    record: Record
    path: Path | None = None


class StoredRecords(NamedTuple):
    """All records below a runs folder.

    Attributes:
        stored: the records with their files, sorted.
        warnings: one line for each file that could not be read.
    """

    stored: list[StoredRecord]
    warnings: list[str]

    @property
    def records(self) -> list[Record]:
        """The records alone."""
        return [one.record for one in self.stored]


def with_path(records: Iterable[Record | StoredRecord]) -> list[StoredRecord]:
    """Give every record the same form; those without a file get the path None."""
    return [one if isinstance(one, StoredRecord) else StoredRecord(one) for one in records]


def run_folder(runs_dir: Path, dataset: str, protocol: str, method: str, key: str, seed: int) -> Path:
    """The folder of one seed of one run; names, as `module:Class` of a method, are made folder names."""
    return runs_dir.joinpath(*map(path_part, (dataset, protocol, method, key)), f"seed{seed}")


def write_record(folder: Path, record: Record) -> Path:
    """Writes a record whole or not at all into `folder`/records, where `folder` is a seed's; returns its path."""
    path = folder / "records" / record.file_name
    write_json(path, record.model_dump(mode="json"))
    return path


def read_record(path: Path) -> Record:
    """One record.

    Raises:
        StarsBenchError: the file cannot be read or is no record; one line that names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StarsBenchError(f"{path}: cannot be read ({error})") from error
    return parse(text, str(path))


def read_records(runs_dir: Path) -> StoredRecords:
    """All records below `runs_dir` (none when it does not exist). A bad file becomes a warning, not a failure."""
    found = StoredRecords([], [])
    for path in sorted(runs_dir.glob(RECORDS_PATTERN)):
        try:
            found.stored.append(StoredRecord(read_record(path), path))
        except StarsBenchError as error:
            found.warnings.append(str(error))
    found.stored.sort(key=lambda one: _order(one.record))
    return found


def to_frame(records: Sequence[Record]) -> pd.DataFrame:
    """A tidy frame: one row per record and metric."""
    rows = [_frame_row(record, metric) for record in records for metric in record.metrics]
    return pd.DataFrame(rows, columns=list(_FRAME_TYPES)).astype(_FRAME_TYPES)


_FRAME_TYPES = {
    "dataset": "string",
    "profile": "string",
    "stream": "string",
    "protocol": "string",
    "validation": "string",
    "method": "string",
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
    return {
        "dataset": record.dataset.name,
        "profile": record.dataset.profile,
        "stream": record.dataset.stream,
        "protocol": record.protocol.name,
        "validation": record.protocol.validation,
        "method": record.method.name,
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


def _order(record: Record) -> tuple[str, str, str, VariantOrder, int, str]:
    place = record.dataset.name, record.protocol.name, record.method.name
    return (*place, record.evaluation.order, record.seed, record.started)
