"""What the page shows beside its tables: provenance, confusions, curves, maps and k-shot curves, as plain JSON values.

Read from what lies beside the records: log.jsonl, predictions/, maps/. What is not there any more is left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from pydantic import BaseModel

from stars_bench import registry
from stars_bench.records.record import Record
from stars_bench.records.store import StoredRecord
from stars_bench.report.leaderboard import MAIN_METRIC
from stars_bench.report.pivot import Measured
from stars_bench.viewer.thumbnails import KeptSkeletons

POINTS_PER_CURVE = 400


class MapPoints(BaseModel):
    """A map as `map` keeps it: places (x, y) of clips, their names, their classes (0-based), names of all classes."""

    title: str
    caption: str
    points: list[tuple[float, float]]
    names: list[str]
    labels: list[int]
    classes: list[str]


def map_file(record: Path) -> Path:
    """Where the places of clips lie that belong to a record's file."""
    return record.parent.parent / "maps" / record.name


def skeleton_file(record: Path) -> Path:
    """Where small skeletons of those clips lie (`viewer.thumbnails`)."""
    return map_file(record).with_suffix(".skeletons.json")


def provenance(record: Record) -> list[list[str]]:
    """What a number can be traced by, as (name, value)."""
    numbers = [
        f"{metric.name} {metric.value:.4g}{metric.unit} (n {metric.n:,}{_interval(metric.interval)})"
        for metric in record.metrics
    ]
    code, data, split, method, how = record.code, record.dataset, record.protocol, record.method, record.evaluation
    machine, start = record.environment, record.init
    dirty = " (with changes that were not committed)" if code.dirty else ""
    stages = (f"{one.name} {one.seconds:,.0f} s{' (reused)' if one.reused else ''}" for one in record.stages)
    told = {
        "measured": "; ".join(numbers),
        "command": record.command,
        "seed": str(record.seed),
        "commit": f"{code.commit or 'no checkout'}{dirty}, version {code.version}",
        "data": f"{data.name}, profile {data.profile}, {data.clips:,} clips, digest {data.digest}",
        "split": f"{split.name}: {split.train_clips:,} train (digest {split.train_digest}), "
        f"{split.test_clips:,} test (digest {split.test_digest})",
        "method": f"{method.target}, preset {method.preset}, {method.parameters:,} parameters",
        "settings": json.dumps(method.config, sort_keys=True),
        "evaluation": f"{how.title}, {how.checkpoint_rule}, {json.dumps(how.config, sort_keys=True)}",
        "started from": "" if start is None else f"{start.method}, {start.path}",
        "stages": "; ".join(stages),
        "environment": f"{machine.device}, {machine.precision}, Python {machine.python}, {machine.platform}",
        "packages": ", ".join(f"{name} {version}" for name, version in machine.packages.items()),
        "time": f"{record.started} to {record.finished}",
        "predictions": f"{record.predictions.file}, digest {record.predictions.digest}",
        "marks": "; ".join(record.marks),
    }
    return [[name, value] for name, value in told.items() if value]


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f", 95 % {interval[0]:.4g} to {interval[1]:.4g}"


def confusion(item: Measured) -> dict[str, Any] | None:
    """Counts of (true, predicted, clips) over the seeds, flat; accuracy of each class alone where predictions are gone.

    None for evaluations that do not classify.
    """
    if item.column.metric != MAIN_METRIC or any(record.per_class is None for record in item.cell.records):
        return None
    pairs: dict[tuple[int, int], int] = {}
    for one in item.cell.stored:
        found = None if one.path is None else _predicted(one.path.parent.parent / one.record.predictions.file)
        if found is None:
            return {"perClass": _mean_per_class(item.cell.records)}
        values, counts = np.unique(np.stack(found), axis=1, return_counts=True)
        for true, told, clips in zip(*values.tolist(), counts.tolist(), strict=True):
            pairs[true, told] = pairs.get((true, told), 0) + clips
    return {"counts": [number for pair, clips in sorted(pairs.items()) for number in (*pair, clips)]}


def _predicted(file: Path) -> tuple[np.ndarray, np.ndarray] | None:
    """True and predicted classes (N,) of saved predictions; None where they cannot be read."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            labels, predictions = stored["labels"], stored["predictions"]
            rows = stored["rows"] if "rows" in stored.files else None
    except (OSError, KeyError, ValueError, EOFError, BadZipFile):
        return None
    labels = labels if rows is None else labels[rows]
    return (
        (labels.astype(np.int64), predictions.astype(np.int64))
        if labels.shape == predictions.shape and labels.ndim == 1
        else None
    )


def _mean_per_class(records: Sequence[Record]) -> list[float | None]:
    """Mean accuracy of each class over the records that have clips of it."""
    columns = zip(*(record.per_class or () for record in records), strict=True)
    known = [[value for value in column if value is not None] for column in columns]
    return [round(sum(values) / len(values), 2) if values else None for values in known]


def classes(dataset: str) -> list[str]:
    """Action names of a dataset; none where a plug-in that made it is not installed."""
    return list(registry.load("datasets", dataset).classes) if dataset in registry.names("datasets") else []


def curves(stored: Iterable[StoredRecord], title: str) -> Iterator[dict[str, Any]]:
    """What each stage of these records logged: epochs and, by quantity, values."""
    folders: dict[Path, set[str]] = {}
    seeds: dict[Path, int] = {}
    for one in stored:
        if one.path is not None:
            folder = one.path.parent.parent
            folders.setdefault(folder, set()).update(stage.key[:16] for stage in one.record.stages)
            seeds[folder] = one.record.seed
    for folder, keys in folders.items():
        for key, lines in logged(folder).items():
            if key in keys:
                yield {"title": f"{title}, seed {seeds[folder]}", "key": key, **curve(lines)}


def logged(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of a seed's log by the key of their stage; epochs in order."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for line in _log(folder / "log.jsonl"):
        if isinstance(line.get("key"), str) and isinstance(line.get("epoch"), int | float):
            stages.setdefault(line["key"], []).append(line)
    return stages


def curve(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The lines of one stage as {stage, epochs, values by quantity}, thinned."""
    thinned = lines[:: math.ceil(len(lines) / POINTS_PER_CURVE)]
    names = [name for name in lines[0] if name not in ("stage", "epoch", "step", "key")]
    values = {name: [_finite(line.get(name)) for line in thinned] for name in names}
    values = {name: one for name, one in values.items() if any(value is not None for value in one)}
    stage = str(lines[0].get("stage", lines[0].get("key")))
    return {"stage": stage, "epochs": [line["epoch"] for line in thinned], "values": values}


def _log(file: Path) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return []
    return [line for line in lines if isinstance(line, dict)]


def _finite(value: object) -> float | None:
    return round(float(value), 6) if isinstance(value, int | float) and math.isfinite(value) else None


def maps(stored: Iterable[StoredRecord]) -> list[dict[str, Any]]:
    """Places of clips that `map` kept for these records; `data` is the digest of the clips' data."""
    kept = {one.path: one.record for one in stored if one.path is not None}
    found = []
    for path, record in kept.items():
        try:
            text = map_file(path).read_text(encoding="utf-8")
        except OSError:
            continue
        found.append(MapPoints.model_validate_json(text).model_dump() | {"data": record.dataset.digest})
    return found


def skeletons(stored: Iterable[StoredRecord]) -> dict[str, dict[str, Any]]:
    """Small skeletons that `map` kept for these records, by the digest of their data: {layout, licence, clips}."""
    found: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(one.path for one in stored if one.path is not None):
        try:
            text = skeleton_file(path).read_text(encoding="utf-8")
        except OSError:
            continue
        kept = KeptSkeletons.model_validate_json(text)
        own = found.setdefault(kept.digest, {"layout": kept.layout, "licence": kept.licence, "clips": {}})
        own["clips"] |= kept.clips
    return found


def shots(items: Sequence[Measured]) -> list[dict[str, Any]]:
    """Accuracy over the number of labelled clips a class: one series a method and other settings."""
    series: dict[str, dict[str, Any]] = {}
    for item in items:
        settings = dict(item.column.settings)
        if (count := settings.pop("shots", None)) is None:
            continue
        told = ", ".join(f"{name} {value}" for name, value in sorted(settings.items()))
        title = f"{item.row.label}, {item.board.title}, {told}"
        number = item.cell.main
        point = [count, round(number.mean, 3), number.low, number.high]
        series.setdefault(title, {"title": title, "points": []})["points"].append(point)
    return [one | {"points": sorted(one["points"])} for one in series.values()]
